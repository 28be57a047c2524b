//! Where in a JSON text (RFC 8259) a value lies, so that it can be replaced without touching another byte.
//!
//! In: a text, and a path such as `$.order.items[0].id`. Out: ranges. Guaranteed: linear time; nesting is bounded; a text
//! that is no JSON as a whole has no values.

use std::ops::Range;

use memchr::memchr2;

use super::MAX_PLACES;

/// How deep values may be nested; what is deeper is taken for no JSON.
const MAX_DEPTH: usize = 128;

/// A step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Name(String),
    Index(usize),
    /// Any member or element.
    Any,
}

/// A path from the root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path(Vec<Step>);

impl Path {
    /// Reads `$.a['b c'][0].*`. An error has the byte at which it is, and what was expected there.
    pub fn parse(text: &str) -> Result<Self, (usize, &'static str)> {
        const STEP: &str = "expected `.name`, `[0]`, `['name']` or `[*]`";
        let mut rest = text.strip_prefix('$').ok_or((0, "a JSON path begins with `$`"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            let (step, behind) = if let Some(named) = rest.strip_prefix('.') {
                let end = named.find(['.', '[']).unwrap_or(named.len());
                let (name, behind) = named.split_at_checked(end).ok_or((at, STEP))?;
                let is_name = !name.is_empty() && !name.contains([' ', '\t', '"', '\'', ']']);
                let step = match name {
                    "*" => Step::Any,
                    _ => Step::Name(name.to_owned()),
                };
                (is_name.then_some(step), behind)
            } else if let Some(inner) = rest.strip_prefix('[') {
                bracket(inner)
            } else {
                (None, rest)
            };
            steps.push(step.ok_or((at, STEP))?);
            rest = behind;
        }
        match steps.is_empty() {
            true => Err((text.len(), STEP)),
            false => Ok(Self(steps)),
        }
    }

    /// Where its values lie in a text: strings with their quotes. In order, so many at most.
    pub fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut scan = Scan { text, at: 0, found: Vec::new() };
        let is_json = scan.value(Some(&self.0), 0).is_some();
        scan.skip_space();
        if is_json && scan.at == text.len() { scan.found } else { Vec::new() }
    }
}

/// What stands in brackets, and what follows them.
fn bracket(inner: &str) -> (Option<Step>, &str) {
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let Some((name, behind)) = quoted.split_once(quote) else { return (None, "") };
            let behind = behind.strip_prefix(']');
            return (behind.map(|_| Step::Name(name.to_owned())), behind.unwrap_or_default());
        }
    }
    let Some((index, behind)) = inner.split_once(']') else { return (None, "") };
    let step = match index.trim() {
        "*" => Some(Step::Any),
        number => number.parse().ok().map(Step::Index),
    };
    (step, behind)
}

/// A text, read from its beginning.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    found: Vec<Range<usize>>,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Reads this byte, behind white space.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Reads a value. `steps` are those that lead from it to what is wanted; `None` where nothing of it is.
    fn value(&mut self, steps: Option<&[Step]>, depth: usize) -> Option<()> {
        self.skip_space();
        let start = self.at;
        match self.peek()? {
            b'{' | b'[' if depth == MAX_DEPTH => return None,
            b'{' => self.object(steps, depth)?,
            b'[' => self.array(steps, depth)?,
            b'"' => {
                self.string()?;
            }
            _ => self.bare()?,
        }
        if steps.is_some_and(<[Step]>::is_empty) && self.found.len() < MAX_PLACES {
            self.found.push(start..self.at);
        }
        Some(())
    }

    fn object(&mut self, steps: Option<&[Step]>, depth: usize) -> Option<()> {
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.take(b':')?;
            let next = steps.and_then(<[Step]>::split_first).filter(|(step, _)| match step {
                Step::Any => true,
                Step::Index(_) => false,
                Step::Name(wanted) => is_string(self.text.get(name).unwrap_or_default(), wanted),
            });
            self.value(next.map(|(_, rest)| rest), depth + 1)?;
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn array(&mut self, steps: Option<&[Step]>, depth: usize) -> Option<()> {
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(());
        }
        for index in 0.. {
            let next = steps.and_then(<[Step]>::split_first).filter(|(step, _)| match step {
                Step::Any => true,
                Step::Index(wanted) => *wanted == index,
                Step::Name(_) => false,
            });
            self.value(next.map(|(_, rest)| rest), depth + 1)?;
            if self.take(b',').is_none() {
                break;
            }
        }
        self.take(b']')
    }

    /// A string, its quotes included.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        (self.peek()? == b'"').then_some(())?;
        self.at += 1;
        loop {
            self.at += memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            match self.peek()? {
                b'"' => break,
                _ => self.at += 2,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.');
        let len = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
        let token = rest.get(..len)?;
        self.at += len;
        (matches!(token, b"true" | b"false" | b"null") || is_number(token)).then_some(())
    }
}

/// Whether a string, in its quotes, has this content.
fn is_string(quoted: &[u8], wanted: &str) -> bool {
    let inner = inner(quoted);
    match memchr::memchr(b'\\', inner) {
        None => inner == wanted.as_bytes(),
        Some(_) => content(quoted).is_some_and(|content| content == wanted.as_bytes()),
    }
}

fn inner(quoted: &[u8]) -> &[u8] {
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

/// What a value says: the content of a string, the digits of a number; nothing for any other.
pub(super) fn content(value: &[u8]) -> Option<Vec<u8>> {
    match value.first()? {
        b'"' => match serde_json::from_slice::<String>(value) {
            Ok(text) => Some(text.into_bytes()),
            // Not UTF-8, or with a control: as it stands there.
            Err(_) => Some(inner(value).to_vec()),
        },
        b'-' | b'0'..=b'9' => Some(value.to_vec()),
        _ => None,
    }
}

/// Whether this is a number as JSON has it.
pub(super) fn is_number(text: &[u8]) -> bool {
    let is_first = text.first().is_some_and(|b| b.is_ascii_digit() || *b == b'-');
    is_first && serde_json::from_slice::<serde_json::Number>(text).is_ok()
}

/// A string with this content, in its quotes.
pub(super) fn quoted(content: &[u8]) -> Vec<u8> {
    if let Ok(text) = std::str::from_utf8(content)
        && let Ok(quoted) = serde_json::to_vec(text)
    {
        return quoted;
    }
    let mut out = vec![b'"'];
    for &byte in content {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}
