//! From an expression to what is asked of each request: recursive descent, one function for each line of the grammar.
//!
//! ```text
//! or   = and { "or" and }
//! and  = not { "and" not }
//! not  = "not" not | "(" or ")" | test
//! test = subject [ operator value | "in" value { "," value } ]
//! ```

use std::ops::RangeInclusive;
use std::str::FromStr;

use bytesize::ByteSize;
use memchr::memmem::Finder;

use super::super::JsonPath;
use super::lexer::{Lexer, Token};
use super::operator::Operator;
use super::subject::Text;
use super::value::{Comparison, Literal, Network, Number, Value};
use super::{ExprError, MAX_DEPTH, MAX_LEN, Node, Test};

/// What stands behind the name of a subject that is not known.
const SUBJECTS: &str = "method, path, host, client, query NAME, header NAME, cookie NAME, body.size, \
                        json $.PATH or status";

/// Of an expression as typed, what it asks.
pub fn parse(text: &str) -> Result<Node, ExprError> {
    if text.len() > MAX_LEN {
        let at = (0..=MAX_LEN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        return Err(ExprError::new(text, at, format!("an expression has {MAX_LEN} bytes at most")));
    }
    let mut parser = Parser { text, lexer: Lexer::new(text), depth: 0 };
    let node = parser.or()?;
    match parser.lexer.rest() {
        "" => Ok(node),
        rest => Err(parser.unexpected(rest)),
    }
}

struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, at: usize, what: impl Into<String>) -> ExprError {
        ExprError::new(self.text, at, what)
    }

    /// Behind a whole expression comes something else.
    fn unexpected(&mut self, rest: &str) -> ExprError {
        let hint = match rest.chars().next() {
            Some('(') => "; a value with parentheses stands in quotes",
            Some('&' | '|' | '!') => "; they are written as words",
            Some('=') => "; equality is written ==",
            _ => "",
        };
        let at = self.lexer.place();
        self.error(at, format!("expected an operator, `and`, `or` or the end{hint}"))
    }

    fn or(&mut self) -> Result<Node, ExprError> {
        let first = self.and()?;
        self.more("or", first, Self::and, Node::Or)
    }

    fn and(&mut self) -> Result<Node, ExprError> {
        let first = self.not()?;
        self.more("and", first, Self::not, Node::And)
    }

    /// What follows behind this word, as often as it comes.
    fn more(
        &mut self,
        word: &str,
        first: Node,
        next: fn(&mut Self) -> Result<Node, ExprError>,
        join: fn(Vec<Node>) -> Node,
    ) -> Result<Node, ExprError> {
        let mut nodes = vec![first];
        while self.lexer.take_word(word) {
            nodes.push(next(self)?);
        }
        Ok(match nodes.len() {
            1 => nodes.swap_remove(0),
            _ => join(nodes),
        })
    }

    fn not(&mut self) -> Result<Node, ExprError> {
        let at = self.lexer.place();
        if self.lexer.take_word("not") {
            return self.deeper(at, Self::not).map(|node| Node::Not(Box::new(node)));
        }
        if self.lexer.take_char('(') {
            let node = self.deeper(at, Self::or)?;
            if !self.lexer.take_char(')') {
                let rest = self.lexer.rest();
                return Err(match rest {
                    "" => self.error(self.text.len(), "expected `)`"),
                    rest => self.unexpected(rest),
                });
            }
            return Ok(node);
        }
        self.test()
    }

    fn deeper(
        &mut self,
        at: usize,
        inner: fn(&mut Self) -> Result<Node, ExprError>,
    ) -> Result<Node, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(
                self.error(at, format!("`not` and parentheses go {MAX_DEPTH} deep at most"))
            );
        }
        let node = inner(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn test(&mut self) -> Result<Node, ExprError> {
        let at = self.lexer.place();
        let word = self.lexer.peek_word();
        self.lexer.take_word(word);
        match word {
            "method" => self.text(Text::Method, Operator::OF_TEXTS, false),
            "path" => self.text(Text::Path, Operator::OF_TEXTS, false),
            "host" => self.text(Text::Host, Operator::OF_TEXTS, true),
            "query" => {
                let name = self.name("a parameter", |_| true)?;
                self.text(Text::Query(name), Operator::OF_VALUES, true)
            }
            "header" => {
                let name = self.name("a field", is_token)?;
                self.text(Text::Header(name), Operator::OF_VALUES, true)
            }
            "cookie" => {
                let name = self.name("a cookie", is_token)?;
                self.text(Text::Cookie(name), Operator::OF_VALUES, true)
            }
            "json" => self.json(),
            "client" => self.client(),
            "body.size" => self.number(word, size, Test::Size),
            "status" => self.number(word, status, Test::Status),
            _ => Err(self.error(at, format!("expected {SUBJECTS}"))),
        }
    }

    /// The name of a field.
    fn name(&mut self, of: &str, is_name: fn(&str) -> bool) -> Result<Vec<u8>, ExprError> {
        let name = self.lexer.name().map_err(|at| self.unclosed(at))?;
        match name.text.is_empty() || !is_name(&name.text) {
            true => Err(self.error(name.at, format!("expected the name of {of}"))),
            false => Ok(name.text.into_owned().into_bytes()),
        }
    }

    fn unclosed(&self, at: usize) -> ExprError {
        self.error(at, "this quote is not closed")
    }

    /// The operator that comes next, one of these; nothing where the subject may stand alone.
    fn operator(
        &mut self,
        subject: &str,
        of: &[Operator],
        may_stand_alone: bool,
    ) -> Result<Option<Operator>, ExprError> {
        let at = self.lexer.place();
        match self.lexer.operator() {
            Some(operator) if of.contains(&operator) => Ok(Some(operator)),
            None if may_stand_alone => Ok(None),
            _ => {
                let list = Operator::list(of);
                Err(self.error(at, format!("expected an operator that `{subject}` has: {list}")))
            }
        }
    }

    fn text(
        &mut self,
        subject: Text,
        of: &[Operator],
        may_stand_alone: bool,
    ) -> Result<Node, ExprError> {
        let kind = match &subject {
            Text::Method => "method",
            Text::Path => "path",
            Text::Host => "host",
            Text::Query(_) => "query",
            Text::Header(_) => "header",
            Text::Cookie(_) => "cookie",
        };
        let Some(operator) = self.operator(kind, of, may_stand_alone)? else {
            return Ok(Node::Test(Test::Text(subject, None)));
        };
        let value = self.value_of(operator, &subject)?;
        Ok(negated(operator, Test::Text(subject, Some(value))))
    }

    fn json(&mut self) -> Result<Node, ExprError> {
        let start = self.lexer.place();
        let rest = self.lexer.rest();
        let (path, len) =
            JsonPath::prefix(rest).map_err(|(at, what)| self.error(start + at, what))?;
        self.lexer.skip(len);
        let Some(operator) = self.operator("json", Operator::OF_VALUES, true)? else {
            return Ok(Node::Test(Test::Json(path, None)));
        };
        // Any subject that compares texts as they are.
        let value = self.value_of(operator, &Text::Path)?;
        Ok(negated(operator, Test::Json(path, Some(value))))
    }

    /// What stands behind an operator of texts.
    fn value_of(&mut self, operator: Operator, of: &Text) -> Result<Value, ExprError> {
        let is_host = *of == Text::Host;
        let small = |text: &str| if is_host { text.to_ascii_lowercase() } else { text.to_owned() };
        if operator == Operator::In {
            let tokens = self.list()?;
            let literals = tokens.iter().map(|token| self.literal(token, of));
            return literals.collect::<Result<_, _>>().map(Value::OneOf);
        }
        let token = self.token(Lexer::value)?;
        let text = small(&token.text);
        let value = match operator {
            Operator::Equals | Operator::Differs | Operator::In => {
                Ok(Value::OneOf(vec![self.literal(&token, of)?]))
            }
            Operator::Begins => Ok(Value::Begins(text.into_bytes())),
            Operator::Ends => Ok(Value::Ends(text.into_bytes())),
            Operator::Contains => Ok(Value::Contains(Box::new(Finder::new(&text).into_owned()))),
            Operator::Matches | Operator::MatchesNot => Value::regex(&token.text, is_host),
            Operator::Fits => Value::glob(&text),
            Operator::Less | Operator::AtMost | Operator::More | Operator::AtLeast => {
                let number = Number::parse(text.as_bytes()).ok_or("expected a number".to_owned());
                number.map(|number| Value::Order(comparison(operator), number))
            }
        };
        value.map_err(|what| self.error(token.at, what))
    }

    fn literal(&self, token: &Token<'_>, of: &Text) -> Result<Literal, ExprError> {
        if *of == Text::Method && token.text.bytes().any(|b| b.is_ascii_lowercase()) {
            return Err(self.error(token.at, "expected a method in capitals, such as GET"));
        }
        let mut text = token.text.as_bytes().to_owned();
        if *of == Text::Host {
            text.make_ascii_lowercase();
        }
        Ok(Literal { text, is_quoted: token.is_quoted })
    }

    fn client(&mut self) -> Result<Node, ExprError> {
        let operator = self.operator("client", Operator::OF_ADDRESSES, false)?;
        let tokens = match operator {
            Some(Operator::In) => self.list()?,
            _ => vec![self.token(Lexer::value)?],
        };
        let network = |token: &Token<'_>| {
            let what = "expected an address or a network, such as 10.0.0.0/8";
            Network::parse(&token.text).ok_or_else(|| self.error(token.at, what))
        };
        let networks = tokens.iter().map(network).collect::<Result<_, _>>()?;
        Ok(negated(operator.unwrap_or(Operator::In), Test::Client(networks)))
    }

    /// A test of a number, each value of which is one or a range.
    fn number(
        &mut self,
        subject: &str,
        parse: fn(&str) -> Result<RangeInclusive<u64>, &'static str>,
        test: fn(Vec<RangeInclusive<u64>>) -> Test,
    ) -> Result<Node, ExprError> {
        let operator = self.operator(subject, Operator::OF_NUMBERS, false)?.unwrap_or(Operator::In);
        if operator == Operator::In {
            let ranges = self.list()?;
            let range =
                |token: &Token<'_>| parse(&token.text).map_err(|what| self.error(token.at, what));
            return Ok(Node::Test(test(ranges.iter().map(range).collect::<Result<_, _>>()?)));
        }
        let token = self.token(Lexer::value)?;
        let range = parse(&token.text).map_err(|what| self.error(token.at, what))?;
        let (low, high) = range.into_inner();
        // Against a class such as 5xx: against all of it.
        let range = match operator {
            Operator::Less => match low.checked_sub(1) {
                Some(most) => 0..=most,
                None => return Err(self.error(token.at, "nothing is less than that")),
            },
            Operator::AtMost => 0..=high,
            Operator::More => match high.checked_add(1) {
                Some(least) => least..=u64::MAX,
                None => return Err(self.error(token.at, "nothing is more than that")),
            },
            Operator::AtLeast => low..=u64::MAX,
            _ => low..=high,
        };
        Ok(negated(operator, test(vec![range])))
    }

    /// One value, which is not empty unless it is quoted.
    fn token(
        &mut self,
        take: fn(&mut Lexer<'a>) -> Result<Token<'a>, usize>,
    ) -> Result<Token<'a>, ExprError> {
        let token = take(&mut self.lexer).map_err(|at| self.unclosed(at))?;
        if token.is_quoted {
            return Ok(token);
        }
        match token.text.as_ref() {
            "" => Err(self.error(
                token.at,
                "expected a value; one with parentheses or spaces stands in quotes",
            )),
            word @ ("and" | "or" | "not") => {
                Err(self
                    .error(token.at, format!("expected a value; `{word}` is one only in quotes")))
            }
            _ => Ok(token),
        }
    }

    /// Values behind `in`: `a, b` or `(a, b)`.
    fn list(&mut self) -> Result<Vec<Token<'a>>, ExprError> {
        let is_enclosed = self.lexer.take_char('(');
        let mut tokens = vec![self.token(Lexer::item)?];
        while self.lexer.take_char(',') {
            tokens.push(self.token(Lexer::item)?);
        }
        if is_enclosed && !self.lexer.take_char(')') {
            let at = self.lexer.place();
            return Err(self.error(at, "expected `,` or `)`"));
        }
        Ok(tokens)
    }
}

fn negated(operator: Operator, test: Test) -> Node {
    match operator.is_negation() {
        true => Node::Not(Box::new(Node::Test(test))),
        false => Node::Test(test),
    }
}

fn comparison(operator: Operator) -> Comparison {
    match operator {
        Operator::Less => Comparison::Less { or_equal: false },
        Operator::AtMost => Comparison::Less { or_equal: true },
        Operator::More => Comparison::More { or_equal: false },
        _ => Comparison::More { or_equal: true },
    }
}

/// `500`, `5xx`, `500..599`.
fn status(text: &str) -> Result<RangeInclusive<u64>, &'static str> {
    let number = |text: &str| text.parse().ok().filter(|status| (100..1000).contains(status));
    let range = match (text.strip_suffix("xx"), text.split_once("..")) {
        (Some(class), _) => {
            let class = class.parse().ok().filter(|class| (1..10).contains(class));
            class.map(|class: u64| 100 * class..=100 * class + 99)
        }
        (None, Some((low, high))) => range(number(low), number(high)),
        (None, None) => range(number(text), number(text)),
    };
    range.ok_or("expected a status: 404, 5xx or 500..599")
}

/// `1MiB`, `1KiB..2KiB`; a bare number is bytes.
fn size(text: &str) -> Result<RangeInclusive<u64>, &'static str> {
    let number = |text: &str| ByteSize::from_str(text).ok().map(|size| size.as_u64());
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    range(number(low), number(high)).ok_or("expected a size: 1MiB or 1KiB..2KiB")
}

fn range(low: Option<u64>, high: Option<u64>) -> Option<RangeInclusive<u64>> {
    low.zip(high).filter(|(low, high)| low <= high).map(|(low, high)| low..=high)
}

/// Whether this is a field name (RFC 9110 section 5.1).
fn is_token(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
