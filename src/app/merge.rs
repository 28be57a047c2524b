//! Several recordings read as one, by time.
//!
//! In: recordings whose turn has not come. Out: their items, in the order in which the messages were complete; of
//! two at the same time that of the file given first; within a file always in its own order. Guaranteed: a file is opened when its time
//! has come and closed at its end, so that the files of a rotation cost no more than one; those that overlap are open
//! side by side, each with one message in memory. A fault or an end is given out as such, and is its own file's only.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::RangeInclusive;

use anyhow::Context;

use super::files::{Files, Opened, Waiting};
use super::stored::{Stored, Threads};
use crate::model::Timestamp;
use crate::record::{Item, Limits, Next, RecordedMessage};

/// What comes next.
pub enum Step {
    /// An item of the file.
    Next(Next),
    /// The file is over.
    End(Stored),
    /// The file ends here by an error; the reader is there if it could be opened at all.
    Fault(Option<Stored>, anyhow::Error),
}

/// See the module's description.
pub struct Merge<'a> {
    files: &'a Files,
    limits: Limits,
    threads: &'a mut Threads,
    names: Vec<String>,
    /// The latest first.
    waiting: Vec<(Turn, Waiting)>,
    open: BinaryHeap<Reverse<Open>>,
}

/// When a file's turn comes: at a time, and among those of the same time by its place in the command.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    at: Timestamp,
    place: usize,
}

/// A file that is being read.
struct Open {
    /// When its next message was complete; that of its last one while the next is not known.
    turn: Turn,
    reader: Stored,
    next: Option<RecordedMessage>,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
    }
}

impl Eq for Open {}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.turn.cmp(&other.turn)
    }
}

impl<'a> Merge<'a> {
    /// Of these files, which are some of `files`. `threads` is what they share, and those before and behind them.
    pub fn new(
        files: &'a Files,
        group: Vec<Waiting>,
        limits: Limits,
        threads: &'a mut Threads,
    ) -> Self {
        let names = group.iter().map(|waiting| waiting.name().to_owned()).collect();
        let is_alone = group.len() == 1;
        let turn = |(place, waiting): (usize, Waiting)| {
            let at = if is_alone { None } else { first_time(files, &waiting, limits) };
            (Turn { at: at.unwrap_or(Timestamp::ZERO), place }, waiting)
        };
        let mut waiting: Vec<_> = group.into_iter().enumerate().map(turn).collect();
        waiting.sort_by_key(|(turn, _)| Reverse(*turn));
        Self { files, limits, threads, names, waiting, open: BinaryHeap::new() }
    }

    /// What comes next, and of which file; `None` behind the last. Of messages outside the range a format may tell no
    /// more than that they are there.
    pub fn next(&mut self, wanted: Option<&RangeInclusive<Timestamp>>) -> Option<(usize, Step)> {
        loop {
            if let Some((turn, waiting)) =
                self.waiting.pop_if(|(turn, _)| is_due(*turn, &self.open))
            {
                match self.begin(waiting) {
                    Ok(reader) => self.open.push(Reverse(Open { turn, reader, next: None })),
                    Err(fault) => return Some((turn.place, Step::Fault(None, fault))),
                }
                continue;
            }
            let mut first = self.open.peek_mut()?;
            let Reverse(Open { turn, reader, next }) = &mut *first;
            let place = turn.place;
            if let Some(message) = next.take() {
                return Some((place, Step::Next(Next::Item(Item::Message(message)))));
            }
            match reader.read_next(wanted.cloned()) {
                Ok(Some(Next::Item(Item::Message(message)))) => {
                    // One that was complete earlier than the one before it goes right behind that.
                    turn.at = turn.at.max(message.last_byte);
                    *next = Some(message);
                }
                Ok(Some(other)) => return Some((place, Step::Next(other))),
                Ok(None) => return Some((place, Step::End(PeekMut::pop(first).0.reader))),
                Err(error) => {
                    let reader = PeekMut::pop(first).0.reader;
                    let what = format!("cannot read on in {}", self.name(place));
                    let fault = anyhow::Error::new(error).context(what);
                    return Some((place, Step::Fault(Some(reader), fault)));
                }
            }
        }
    }

    /// What a file is called.
    pub fn name(&self, place: usize) -> &str {
        self.names.get(place).map_or("", String::as_str)
    }

    /// Those that are being read.
    pub fn readers(&self) -> impl Iterator<Item = &Stored> {
        self.open.iter().map(|Reverse(open)| &open.reader)
    }

    /// Whether anything is left to read.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty() || !self.open.is_empty() || self.files.left() > 0
    }

    fn begin(&mut self, waiting: Waiting) -> anyhow::Result<Stored> {
        let name = waiting.name().to_owned();
        match self.files.open_waiting(waiting)? {
            Opened::Recording(input) => {
                Stored::open(*input, self.limits, self.files.logs(), self.threads)
                    .with_context(|| format!("cannot read {name}"))
            }
            opened => Err(opened.has_changed()),
        }
    }
}

/// Whether a file's turn comes before anything more of those that are open: when the first of them is known to be later.
fn is_due(turn: Turn, open: &BinaryHeap<Reverse<Open>>) -> bool {
    open.peek().is_none_or(|Reverse(first)| first.next.is_some() && turn <= first.turn)
}

/// When the first message of a file was complete; `None` where that cannot be known before its turn.
fn first_time(files: &Files, waiting: &Waiting, limits: Limits) -> Option<Timestamp> {
    let Some(Opened::Recording(input)) = files.look_at(waiting).ok()? else { return None };
    let mut reader = Stored::open(*input, limits, files.logs(), &mut Threads::default()).ok()?;
    match reader.read_next(None).ok()?? {
        Next::Item(Item::Message(message)) => Some(message.last_byte),
        // It may be long until there is a message.
        Next::Item(Item::Damage(_)) | Next::Outside(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;
    use crate::record::access_log::LogOptions;

    /// A .gor recording with a request at each of these seconds, its target telling the file and the second.
    fn gor(name: char, seconds: &[u64]) -> String {
        let mut text = String::new();
        for at in seconds {
            let target = format!("/{name}{at}");
            let _ = write!(
                text,
                "1 {name}{at:023} {at}000000000 0\nGET {target} HTTP/1.1\r\n\r\n\n🐵🙈🙉\n"
            );
        }
        text
    }

    struct Read {
        /// Targets, or what else there was.
        steps: Vec<String>,
        most_open: usize,
    }

    fn read(dir: &Path, texts: &[String]) -> Read {
        let path = |(place, text): (usize, &String)| {
            let path = dir.join(place.to_string());
            std::fs::write(&path, text).expect("own directory");
            path.to_str().expect("UTF-8").to_owned()
        };
        let paths: Vec<_> = texts.iter().enumerate().map(path).collect();
        let mut files = Files::open(&paths, LogOptions::default()).expect("files");
        let mut threads = Threads::default();
        let group = files.next_group();
        let mut merge = Merge::new(&files, group, Limits::default(), &mut threads);
        let (mut steps, mut most_open) = (Vec::new(), 0);
        while let Some((place, step)) = merge.next(None) {
            steps.push(match step {
                Step::Next(Next::Item(Item::Message(message))) => {
                    let raw = String::from_utf8(message.raw.to_vec()).expect("ASCII");
                    raw.split(' ').nth(1).expect("a target").to_owned()
                }
                Step::Next(Next::Item(Item::Damage(_))) => format!("damage in {place}"),
                Step::Next(Next::Outside(_)) => "outside".to_owned(),
                Step::End(_) => format!("end of {place}"),
                Step::Fault(..) => format!("fault in {place}"),
            });
            most_open = most_open.max(merge.readers().count());
        }
        assert!(!merge.has_more());
        Read { steps, most_open }
    }

    fn messages(read: &Read) -> String {
        read.steps.iter().filter(|step| step.starts_with('/')).map(String::as_str).collect()
    }

    #[test]
    fn files_that_overlap_come_by_time_and_of_the_same_time_in_their_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let texts = [gor('c', &[2, 7]), gor('a', &[1, 2, 3, 9]), gor('b', &[2, 8])];
        let read = read(dir.path(), &texts);
        assert_eq!(messages(&read), "/a1/c2/a2/b2/a3/c7/b8/a9");
        assert_eq!(read.steps.len(), 8 + 3, "{:?}", read.steps);
    }

    #[test]
    fn a_file_keeps_its_own_order() {
        let dir = tempfile::tempdir().expect("a directory");
        let read = read(dir.path(), &[gor('a', &[5, 1, 6]), gor('b', &[5, 7])]);
        assert_eq!(messages(&read), "/a5/a1/b5/a6/b7");
    }

    #[test]
    fn a_rotation_is_read_with_one_file_open_in_whatever_order_it_is_given() {
        let dir = tempfile::tempdir().expect("a directory");
        let texts: Vec<_> = (0..20).rev().map(|n| gor('a', &[10 * n, 10 * n + 9])).collect();
        let read = read(dir.path(), &texts);
        let all: String = (0..20).map(|n| format!("/a{}/a{}", 10 * n, 10 * n + 9)).collect();
        assert_eq!(messages(&read), all);
        assert_eq!(read.most_open, 1);
    }

    #[test]
    fn what_is_wrong_in_one_file_is_said_of_it_and_the_others_go_on() {
        let dir = tempfile::tempdir().expect("a directory");
        let broken = gor('b', &[2, 4]).replace("1 b00000000000000000000004", "gone");
        let read = read(dir.path(), &[gor('a', &[1, 3, 5]), broken, gor('c', &[6])]);
        assert_eq!(messages(&read), "/a1/b2/a3/a5/c6");
        let of_b = read.steps.iter().filter(|step| step.ends_with('1') && !step.starts_with('/'));
        assert_eq!(of_b.collect::<Vec<_>>(), ["damage in 1", "end of 1"]);
    }
}
