//! JSON edited where it lies: members found by path or name, removed, set, or changed leaf by leaf.
//!
//! In: a document, and rules. Out: edits in order, or where values lie; nothing for what is no JSON. Guaranteed: every byte outside the
//! edits stays (order, spacing, numbers, duplicates); what was JSON is JSON afterwards; one pass, however many rules;
//! depth is bounded by [`DEPTH`], and memory by what is edited.
//!
//! Names are compared without escapes. Of duplicate names each counts. What lies within an edited value is not looked
//! at again.

use std::borrow::Cow;
use std::ops::Range;

use super::edits::Edit;
pub use path::JsonPath;
pub(super) use path::Step;

mod path;

/// Deeper documents are taken for no JSON, as most parsers do.
const DEPTH: usize = 128;

/// Rules in one pass at most: their states are bits.
pub(super) const MOST: usize = 64;

/// What a leaf is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Leaf {
    /// What stands between the quotes, escapes and all.
    String,
    Number,
    Bool,
    /// A member's name, of the same form as a string.
    Name,
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
    /// Tell where it lies.
    Find,
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
    Some(walked(bytes, rules, 0)?.edits)
}

/// Where the first values of this path lie, so many at most: strings with their quotes. What is no JSON has none.
pub(super) fn find(bytes: &[u8], path: &JsonPath, most: usize) -> Vec<Range<usize>> {
    let rules = [Rule { place: Where::Path(path), act: Act::Find }];
    walked(bytes, &rules, most).map_or_else(Vec::new, |walk| walk.found)
}

/// The edits of every leaf and every member's name of a document, or of several behind one another; `None` for what is no
/// JSON.
pub(super) fn leaves(bytes: &[u8], change: ReplaceLeaf<'_>) -> Option<Vec<Edit>> {
    let mut walk = Walk::new(bytes, &[], 0);
    walk.space();
    while walk.at < bytes.len() || walk.at == 0 {
        walk.value(0, Mode::All(change))?;
        walk.space();
    }
    Some(walk.edits)
}

/// The document, read to its end.
fn walked<'a>(bytes: &'a [u8], rules: &'a [Rule<'a>], find_most: usize) -> Option<Walk<'a>> {
    let mut walk = Walk::new(bytes, rules, find_most);
    let mut mask = 0;
    for (n, rule) in rules.iter().enumerate().take(MOST) {
        if matches!(rule.place, Where::Path(_)) {
            mask |= 1 << n;
        }
    }
    walk.space();
    walk.value(mask, Mode::Look)?;
    walk.space();
    (walk.at == bytes.len()).then_some(walk)
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
    /// Each leaf and each name.
    All(ReplaceLeaf<'a>),
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
    found: Vec<Range<usize>>,
    find_most: usize,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8], rules: &'a [Rule<'a>], find_most: usize) -> Self {
        let (edits, found) = (Vec::new(), Vec::new());
        Self { bytes, at: 0, rules, depth: 0, edits, found, find_most }
    }

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
        if let (Mode::Leaves(change) | Mode::All(change), Some(kind)) = (mode, kind) {
            self.change(change, kind, start)?;
        }
        Some(())
    }

    /// Changes the leaf or name that began at `start` and ends here.
    fn change(&mut self, change: ReplaceLeaf<'a>, kind: Leaf, start: usize) -> Option<()> {
        let quotes = usize::from(matches!(kind, Leaf::String | Leaf::Name));
        let place = start + quotes..self.at - quotes;
        if let Some(value) = change(kind, self.bytes.get(place.clone())?) {
            self.edits.push(Edit::new(place, value));
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
                if let Mode::All(change) = mode {
                    self.change(change, Leaf::Name, start)?;
                }
                self.space();
                if !self.take(b':') {
                    return None;
                }
                self.space();
                let fits = self.fits(mask, mode, |step| step.is_member(&name), Some(&name));
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
                let fits = self.fits(mask, mode, |step| step.is_item(n), None);
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
                    mask & (1 << n) != 0 && path.steps().get(self.depth - 1).is_some_and(&is_step)
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
            Some(Act::Find) => {
                self.value(0, Mode::Pass)?;
                if self.found.len() < self.find_most {
                    self.found.push(place..self.at);
                }
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
                Where::Path(path) => path.steps().len() == self.depth,
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
            let is_here = missing & (1 << n) != 0 && path.steps().len() == self.depth;
            let Some(name) = path.last_name().filter(|_| is_here) else { continue };
            if is_behind {
                text.push(b',');
            }
            is_behind = true;
            text.extend_from_slice(&quoted(name.as_bytes()));
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
