//! An expression taken apart from left to right: words, values, operators, each with its place.
//!
//! In: the text, and what the parser expects next, since a word of a field's name ends elsewhere than one of a
//! value. Out: pieces of the text. Guaranteed: each call takes something or leaves everything; places lie on borders of characters.

use std::borrow::Cow;

use super::operator::Operator;

/// A word or a quoted text, and where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token<'a> {
    /// Its first byte in the expression.
    pub at: usize,
    /// Its text, quotes and their escapes taken away.
    pub text: Cow<'a, str>,
    /// Whether it stood in quotes.
    pub is_quoted: bool,
}

/// See the module's description.
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// From the start of the text.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The text from here on, white space skipped.
    pub fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }

    /// Where the next piece begins.
    pub fn place(&mut self) -> usize {
        self.rest();
        self.at
    }

    /// Takes this much of the text.
    fn take(&mut self, len: usize) -> &'a str {
        let taken = self.text.get(self.at..self.at + len).unwrap_or_default();
        self.at += taken.len();
        taken
    }

    /// Passes over this much of the text, whose length the caller knows.
    pub fn skip(&mut self, len: usize) {
        self.take(len);
    }

    /// Takes this character, if it is the next.
    pub fn take_char(&mut self, wanted: char) -> bool {
        let is_next = self.rest().starts_with(wanted);
        self.at += if is_next { wanted.len_utf8() } else { 0 };
        is_next
    }

    /// The word of letters and dots that comes next; empty if there is none.
    pub fn peek_word(&mut self) -> &'a str {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Takes this word, if it is the next.
    pub fn take_word(&mut self, wanted: &str) -> bool {
        let is_next = self.peek_word() == wanted;
        self.at += if is_next { wanted.len() } else { 0 };
        is_next
    }

    /// Takes the operator that comes next.
    pub fn operator(&mut self) -> Option<Operator> {
        let rest = self.rest();
        let (operator, name) = match self.peek_word() {
            "in" => (Operator::In, "in"),
            _ => Operator::SIGNS.into_iter().find(|(_, sign)| rest.starts_with(sign))?,
        };
        self.take(name.len());
        Some(operator)
    }

    /// Takes the name of a field, quoted or up to white space, a parenthesis or an operator. An error is the place
    /// of a quote that is not closed.
    pub fn name(&mut self) -> Result<Token<'a>, usize> {
        let ends = |rest: &str, c: char| {
            let is_sign = Operator::SIGNS.iter().any(|(_, sign)| rest.starts_with(sign));
            is_sign || matches!(c, '(' | ')' | '=')
        };
        self.token(ends)
    }

    /// Takes a value, quoted or up to white space or a parenthesis.
    pub fn value(&mut self) -> Result<Token<'a>, usize> {
        self.token(|_, c| matches!(c, '(' | ')'))
    }

    /// The same in a list.
    pub fn item(&mut self) -> Result<Token<'a>, usize> {
        self.token(|_, c| matches!(c, '(' | ')' | ','))
    }

    fn token(&mut self, ends: impl Fn(&str, char) -> bool) -> Result<Token<'a>, usize> {
        let rest = self.rest();
        let at = self.at;
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            let text = self.quoted(quote).ok_or(at)?;
            return Ok(Token { at, text, is_quoted: true });
        }
        let is_end = |(here, c): &(usize, char)| {
            c.is_whitespace() || ends(rest.get(*here..).unwrap_or_default(), *c)
        };
        let end = rest.char_indices().find(is_end).map_or(rest.len(), |(here, _)| here);
        Ok(Token { at, text: Cow::Borrowed(self.take(end)), is_quoted: false })
    }

    /// Takes a quoted text. A backslash before the quote makes it part of the text; any other stays as it is, for regular
    /// expressions.
    fn quoted(&mut self, quote: char) -> Option<Cow<'a, str>> {
        let inside = self.text.get(self.at + 1..)?;
        let (mut is_escaped, mut has_escape) = (false, false);
        for (here, c) in inside.char_indices() {
            if c == quote && !is_escaped {
                let text = inside.get(..here)?;
                self.at += here + 2;
                let escape = ['\\', quote].iter().collect::<String>();
                return Some(match has_escape {
                    true => Cow::Owned(text.replace(&escape, &quote.to_string())),
                    false => Cow::Borrowed(text),
                });
            }
            has_escape |= c == quote;
            is_escaped = c == '\\';
        }
        None
    }
}
