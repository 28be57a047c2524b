//! JSON edited where it lies: members found by path or name, removed, set, or changed leaf by leaf.
//!
//! In: a document, and rules. Out: edits in order, or `None` for what is no JSON. Guaranteed: every byte outside the
//! edits stays (order, spacing, numbers, duplicates); what was JSON is JSON afterwards; one pass, however many rules;
//! depth is bounded by [`DEPTH`], and memory by what is edited.
//!
//! Names are compared without escapes. Of duplicate names each counts. What lies within an edited value is not looked
//! at again.

use std::borrow::Cow;

use super::edits::Edit;

/// Deeper documents are taken for no JSON, as most parsers do.
const DEPTH: usize = 128;

/// Rules in one pass at most: their states are bits.
pub(super) const MOST: usize = 64;

/// One step of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Name(String),
    Index(usize),
    /// Every element of an array.
    Each,
}

/// Where in a document: `$.a.b`, `$.a[0]`, `$.a[*].b`, `$["a.b"]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Reads a path; an error says what is wrong and at which character.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |rest: &str, what: &str| {
            let at = text.len() - rest.len();
            let at = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
            Err(format!(
                "`{text}`, character {at}: {what}; write a path such as $.user.name, $.items[0] or $.items[*].id"
            ))
        };
        let Some(mut rest) = text.strip_prefix('$') else {
            return wrong(text, "it does not begin with $");
        };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(named) = rest.strip_prefix('.') {
                let len = named.find(['.', '[']).unwrap_or(named.len());
                let (name, behind) = named.split_at_checked(len).unwrap_or((named, ""));
                if name.is_empty() {
                    return wrong(named, "a name is missing");
                }
                steps.push(Step::Name(name.to_owned()));
                rest = behind;
            } else if let Some(inner) = rest.strip_prefix('[') {
                let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''));
                let found = match quote {
                    Some(quote) => {
                        let end = format!("{quote}]");
                        let named = inner.get(1..).unwrap_or_default();
                        named.split_once(&end).map(|(name, rest)| (Step::Name(name.into()), rest))
                    }
                    None => inner.split_once(']').and_then(|(index, rest)| match index {
                        "*" => Some((Step::Each, rest)),
                        index => Some((Step::Index(index.parse().ok()?), rest)),
                    }),
                };
                let Some((step, behind)) = found else {
                    return wrong(rest, "expected [0], [*] or [\"name\"]");
                };
                steps.push(step);
                rest = behind;
            } else {
                return wrong(rest, "expected a dot or a bracket");
            }
        }
        match steps.len() {
            0 => wrong("", "it names the whole document"),
            1..DEPTH => Ok(Self(steps)),
            _ => wrong("", "it is too deep"),
        }
    }

    /// Whether one leads through the other, or both to the same.
    pub(super) fn touches(&self, other: &Self) -> bool {
        let meets = |(a, b): (&Step, &Step)| match (a, b) {
            (Step::Each, Step::Index(_) | Step::Each) | (Step::Index(_), Step::Each) => true,
            (a, b) => a == b,
        };
        self.0.iter().zip(&other.0).all(meets)
    }

    /// The name that is set in an object, if it ends with one.
    fn last_name(&self) -> Option<&str> {
        match self.0.last() {
            Some(Step::Name(name)) => Some(name),
            _ => None,
        }
    }
}

/// What a leaf is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaf {
    /// What stands between the quotes, escapes and all.
    String,
    Number,
    Bool,
}

/// What goes into the place of a leaf; `None` leaves it.
pub(super) type ReplaceLeaf<'a> = &'a dyn Fn(Leaf, &[u8]) -> Option<Vec<u8>>;

/// What to do where a rule fits.
#[derive(Clone, Copy)]
pub(super) enum Act<'a> {
    /// Take the member or element out.
    Remove,
    /// Put this JSON there; where the object lacks the name, add it behind the last member.
    Set(&'a [u8]),
    /// Put something in the place of each leaf.
    Leaves(ReplaceLeaf<'a>),
}

/// Where a rule fits.
#[derive(Clone, Copy)]
pub(super) enum Where<'a> {
    Path(&'a JsonPath),
    /// A member of this name anywhere, compared without regard to ASCII case.
    Name(&'a str),
}

/// A rule of one pass.
#[derive(Clone, Copy)]
pub(super) struct Rule<'a> {
    pub place: Where<'a>,
    pub act: Act<'a>,
}

/// The edits of these rules, at most [`MOST`], in order; `None` for what is no JSON.
pub(super) fn edits(bytes: &[u8], rules: &[Rule<'_>]) -> Option<Vec<Edit>> {
    let mut walk = Walk { bytes, at: 0, rules, depth: 0, edits: Vec::new() };
    let mut mask = 0;
    for (n, rule) in rules.iter().enumerate().take(MOST) {
        if matches!(rule.place, Where::Path(_)) {
            mask |= 1 << n;
        }
    }
    walk.space();
    walk.value(mask, Mode::Look)?;
    walk.space();
    (walk.at == bytes.len()).then_some(walk.edits)
}

/// What is done with the values that are read.
#[derive(Clone, Copy)]
enum Mode<'a> {
    /// They are looked through.
    Look,
    /// They are passed over: something else comes there.
    Pass,
    /// Each leaf is changed.
    Leaves(ReplaceLeaf<'a>),
}

/// The last members that are kept or taken out of an object or array.
#[derive(Default)]
struct Kept {
    /// Whether one before this is kept.
    any: bool,
    /// Behind the last value.
    end: usize,
    /// The comma before this one.
    comma: usize,
    /// Where what is taken out began, as long as nothing before it is kept.
    gone: Option<usize>,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    rules: &'a [Rule<'a>],
    depth: usize,
    edits: Vec<Edit>,
}

impl<'a> Walk<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// A value of any kind; `mask` are the rules whose paths lead here.
    fn value(&mut self, mask: u64, mode: Mode<'a>) -> Option<()> {
        let start = self.at;
        let kind = match self.peek()? {
            b'{' => return self.deeper(|walk| walk.object(mask, mode)),
            b'[' => return self.deeper(|walk| walk.array(mask, mode)),
            b'"' => {
                self.string()?;
                Some(Leaf::String)
            }
            b't' => self.word(b"true").map(|()| Some(Leaf::Bool))?,
            b'f' => self.word(b"false").map(|()| Some(Leaf::Bool))?,
            b'n' => self.word(b"null").map(|()| None)?,
            _ => self.number().map(|()| Some(Leaf::Number))?,
        };
        if let (Mode::Leaves(change), Some(kind)) = (mode, kind) {
            let quotes = usize::from(kind == Leaf::String);
            let place = start + quotes..self.at - quotes;
            let text = self.bytes.get(place.clone())?;
            if let Some(value) = change(kind, text) {
                self.edits.push(Edit::new(place, value));
            }
        }
        Some(())
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth += 1;
        if self.depth > DEPTH {
            return None;
        }
        self.at += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn object(&mut self, mask: u64, mode: Mode<'a>) -> Option<()> {
        let open = self.at;
        let mut kept = Kept::default();
        let mut seen = 0;
        self.space();
        if !self.take(b'}') {
            loop {
                self.space();
                let start = self.at;
                let name = self.string()?;
                self.space();
                if !self.take(b':') {
                    return None;
                }
                self.space();
                let fits = self.fits(
                    mask,
                    mode,
                    |step| matches!(step, Step::Name(n) if n.as_bytes() == &*name),
                    Some(&name),
                );
                seen |= fits;
                self.member(start, fits, mode, &mut kept)?;
                if self.take(b'}') {
                    break;
                }
                kept.comma = self.at;
                if !self.take(b',') {
                    return None;
                }
            }
        }
        self.close(&kept);
        if matches!(mode, Mode::Look) {
            self.append(mask & !seen, if kept.any { kept.end } else { open }, kept.any);
        }
        Some(())
    }

    fn array(&mut self, mask: u64, mode: Mode<'a>) -> Option<()> {
        let mut kept = Kept::default();
        self.space();
        if !self.take(b']') {
            for n in 0.. {
                self.space();
                let start = self.at;
                let fits = self.fits(
                    mask,
                    mode,
                    |step| matches!(step, Step::Each) || *step == Step::Index(n),
                    None,
                );
                self.member(start, fits, mode, &mut kept)?;
                if self.take(b']') {
                    break;
                }
                kept.comma = self.at;
                if !self.take(b',') {
                    return None;
                }
            }
        }
        self.close(&kept);
        Some(())
    }

    /// The rules that lead to a member: of the paths those whose next step fits, of the names those that are its own.
    fn fits(
        &self,
        mask: u64,
        mode: Mode<'a>,
        is_step: impl Fn(&Step) -> bool,
        name: Option<&[u8]>,
    ) -> u64 {
        if !matches!(mode, Mode::Look) {
            return 0;
        }
        let mut fits = 0;
        for (n, rule) in self.rules.iter().enumerate().take(MOST) {
            let is_fit = match rule.place {
                Where::Path(path) => {
                    mask & (1 << n) != 0 && path.0.get(self.depth - 1).is_some_and(&is_step)
                }
                Where::Name(wanted) => {
                    name.is_some_and(|name| name.eq_ignore_ascii_case(wanted.as_bytes()))
                }
            };
            fits |= u64::from(is_fit) << n;
        }
        fits
    }

    /// A member or element that began at `start`, its value next.
    fn member(&mut self, start: usize, fits: u64, mode: Mode<'a>, kept: &mut Kept) -> Option<()> {
        if let Some(gone) = kept.gone.take() {
            self.edits.push(Edit::new(gone..start, []));
        }
        let act = self.done(fits);
        let place = self.at;
        match act {
            Some(Act::Remove) => {
                self.value(0, Mode::Pass)?;
                match kept.any {
                    true => self.edits.push(Edit::new(kept.comma..self.at, [])),
                    false => kept.gone = Some(start),
                }
            }
            Some(Act::Set(value)) => {
                self.value(0, Mode::Pass)?;
                self.edits.push(Edit::new(place..self.at, value));
                kept.any = true;
            }
            Some(Act::Leaves(change)) => {
                self.value(0, Mode::Leaves(change))?;
                kept.any = true;
            }
            None => {
                self.value(fits, mode)?;
                kept.any = true;
            }
        }
        kept.end = self.at;
        self.space();
        Some(())
    }

    /// What is to be done here: of several rules the first one's.
    fn done(&self, fits: u64) -> Option<Act<'a>> {
        if fits == 0 {
            return None;
        }
        let is_done = |(n, rule): &(usize, &Rule<'_>)| {
            let ends = match rule.place {
                Where::Path(path) => path.0.len() == self.depth,
                Where::Name(_) => true,
            };
            fits & (1 << n) != 0 && ends
        };
        self.rules.iter().enumerate().take(MOST).find(is_done).map(|(_, rule)| rule.act)
    }

    /// The end of an object or array of which the last was taken out, and nothing was kept.
    fn close(&mut self, kept: &Kept) {
        if let Some(gone) = kept.gone {
            self.edits.push(Edit::new(gone..kept.end, []));
        }
    }

    /// What is to be set and was not there.
    fn append(&mut self, missing: u64, at: usize, mut is_behind: bool) {
        if missing == 0 {
            return;
        }
        let mut text = Vec::new();
        for (n, rule) in self.rules.iter().enumerate().take(MOST) {
            let (Where::Path(path), Act::Set(value)) = (rule.place, rule.act) else { continue };
            let is_here = missing & (1 << n) != 0 && path.0.len() == self.depth;
            let Some(name) = path.last_name().filter(|_| is_here) else { continue };
            if is_behind {
                text.push(b',');
            }
            is_behind = true;
            text.extend_from_slice(&quoted(name));
            text.push(b':');
            text.extend_from_slice(value);
        }
        if !text.is_empty() {
            self.edits.push(Edit::new(at..at, text));
        }
    }

    /// A string; its text without escapes.
    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let start = self.at;
        if !self.take(b'"') {
            return None;
        }
        let mut has_escapes = false;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    let escaped = self.peek()?;
                    self.at += 1;
                    match escaped {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
        let inner = self.bytes.get(start + 1..self.at - 1)?;
        if !has_escapes {
            return Some(Cow::Borrowed(inner));
        }
        // A lone surrogate is no text: compared as it stands.
        let decoded = serde_json::from_slice::<String>(self.bytes.get(start..self.at)?);
        Some(decoded.map_or(Cow::Borrowed(inner), |text| Cow::Owned(text.into_bytes())))
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_there = self.bytes.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_there.then_some(())
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Option<()> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    serde_json::Value::String(text.to_owned()).to_string().into_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
