//! Tests of the writer on disks that fill, lie, and get stuck.

use std::cell::{Ref, RefCell, RefMut};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::rc::Rc;

use super::*;
use crate::record::files::{Ended, Holds, Retried, Store};
use crate::record::pack::Compression;
use crate::record::tests::{info, read_all, request};

const ALL: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

/// A file on a disk of limited size, on which cutting back can be made to fail.
#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    room: usize,
    stuck: bool,
    removed: bool,
    lies: bool,
    nameless: bool,
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Disk>>);

impl Shared {
    fn with_room(room: usize) -> Self {
        Self(Rc::new(RefCell::new(Disk { room, ..Disk::default() })))
    }

    fn set(&self) -> RefMut<'_, Disk> {
        self.0.borrow_mut()
    }

    fn bytes(&self) -> Ref<'_, [u8]> {
        Ref::map(self.0.borrow(), |disk| disk.bytes.as_slice())
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.set();
        let fits = bytes.len().min(disk.room.saturating_sub(disk.bytes.len())).min(100_000);
        if fits == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.bytes.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Store for Shared {
    fn cut_back(&mut self, len: u64) -> io::Result<()> {
        if self.set().stuck {
            return Err(ErrorKind::Other.into());
        }
        self.set().bytes.truncate(usize::try_from(len).expect("small"));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.set().lies { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn is_removed(&self) -> bool {
        self.0.borrow().removed
    }
}

/// Files made beforehand; without one left, none can be made.
#[derive(Default)]
struct Disks {
    waiting: Vec<Shared>,
    finished: Rc<RefCell<Vec<Holds>>>,
    nameless: Vec<(Shared, Holds)>,
    discarded: Rc<RefCell<u32>>,
}

impl Disks {
    /// As a real file: it gets its name only where it ends as it should.
    fn settle(&mut self, mut file: Shared, holds: Holds) -> Ended {
        let len = file.bytes().len() as u64;
        let is_whole = len == holds.bytes || file.cut_back(holds.bytes).is_ok();
        if is_whole && !file.0.borrow().nameless {
            self.finished.borrow_mut().push(holds);
            return Ended::Named;
        }
        self.nameless.push((file, holds));
        Ended::Waits
    }
}

impl Files for Disks {
    type Store = Shared;

    fn begin(&mut self) -> Result<(Shared, PathBuf), RecordError> {
        let path = PathBuf::from("d.warc");
        match self.waiting.is_empty() {
            true => {
                let cause = ErrorKind::PermissionDenied.into();
                Err(RecordError::Create { path, cause })
            }
            false => Ok((self.waiting.remove(0), path)),
        }
    }

    fn finish(&mut self, mut file: Shared, holds: Holds) -> Result<Ended, RecordError> {
        let path = PathBuf::from("d.warc");
        file.sync().map_err(|cause| RecordError::Write { path, cause })?;
        Ok(self.settle(file, holds))
    }

    fn retry(&mut self) -> Retried {
        let mut retried = Retried::default();
        for (mut file, holds) in std::mem::take(&mut self.nameless) {
            if file.sync().is_err() {
                retried.lost.push(holds);
            } else if self.settle(file, holds) == Ended::Named {
                retried.named += 1;
            }
        }
        retried
    }

    fn has_waiting(&self) -> bool {
        !self.nameless.is_empty()
    }

    fn give_up(&mut self) -> Option<RecordError> {
        let (path, cause) = (PathBuf::from("d.warc"), ErrorKind::Other.into());
        self.nameless.pop().map(|_| RecordError::Torn { path, cause })
    }

    fn discard(&mut self, _: Shared) {
        *self.discarded.borrow_mut() += 1;
    }

    fn deleted(&self) -> (u64, u64) {
        (0, 0)
    }
}

#[track_caller]
fn begin(disks: &[Shared], compression: Compression, rotate: Rotate) -> Recorder<Disks> {
    let disks = Disks { waiting: disks.to_vec(), ..Disks::default() };
    let packer = Packer::new(compression).expect("a packer");
    let mut recorder = Recorder::begin(disks, &info(), packer, rotate).expect("begin");
    recorder.retry_every = Duration::ZERO;
    recorder
}

fn get() -> Message {
    request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
}

/// A request that no compression makes much smaller.
fn noise(len: usize, seed: u64) -> Message {
    let mut raw = format!("POST /{seed} HTTP/1.1\r\nContent-Length: {len}\r\n\r\n").into_bytes();
    let random = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let bytes = (0..len as u64).map(|n| random(random(n ^ (seed << 20)) ^ n) as u8);
    raw.extend(bytes);
    request(&raw)
}

#[test]
fn a_full_disk_is_counted_and_named_and_the_file_ends_with_a_whole_record() {
    for (compression, stuck) in ALL.into_iter().flat_map(|c| [(c, false), (c, true)]) {
        for room in (600..4000).step_by(37) {
            let disk = Shared::with_room(1000);
            let mut recorder = begin(std::slice::from_ref(&disk), compression, Rotate::default());
            let info_len = disk.bytes().len();
            disk.set().room = room.max(info_len);
            disk.set().stuck = stuck;
            for seed in 0..8 {
                recorder.record(&noise(500, seed));
            }
            recorder.flush();
            let trouble = recorder.trouble().map(ToString::to_string).expect("disk is full");
            assert!(trouble.contains("d.warc") && trouble.contains("room"), "{trouble}");
            let first = recorder.counts().requests;
            assert_eq!(first + recorder.counts().failed, 8);
            if !stuck {
                let (messages, damages) = read_all(&disk.bytes());
                assert_eq!((messages.len() as u64, damages.len()), (first, 0));
            }

            // With room again the recording goes on behind its last whole record.
            disk.set().room = 1 << 20;
            disk.set().stuck = false;
            recorder.record(&get());
            let (counts, result) = recorder.finish();
            result.expect("there is room");
            let bytes = disk.bytes();
            assert_eq!((counts.requests, counts.bytes), (first + 1, bytes.len() as u64));
            let (messages, damages) = read_all(&bytes);
            assert_eq!((messages.len() as u64, damages.len()), (first + 1, 0));
        }
    }
}

#[test]
fn while_it_is_paused_messages_are_counted_and_not_tried() {
    let disk = Shared::with_room(600);
    let mut recorder = begin(std::slice::from_ref(&disk), Compression::Plain, Rotate::default());
    recorder.retry_every = Duration::from_secs(3600);
    recorder.record(&get());
    recorder.flush();
    disk.set().room = 1 << 20;
    recorder.record(&get());
    assert!(!recorder.has_pending() && recorder.trouble().is_some());
    recorder.retry_at = None;
    recorder.record(&get());
    assert!(recorder.trouble().is_none(), "the first one after the pause is the try");
    let (counts, result) = recorder.finish();
    result.expect("there is room");
    assert_eq!((counts.requests, counts.failed), (1, 2));
}

#[test]
fn a_full_file_is_finished_and_each_record_is_in_one_file() {
    let rotate = Rotate { bytes: Some(4000), age: None };
    for compression in ALL {
        let disks: Vec<_> = (0..100).map(|_| Shared::with_room(1 << 20)).collect();
        let mut recorder = begin(&disks, compression, rotate);
        let finished = Rc::clone(&recorder.files.finished);
        let sent: Vec<_> = (0..50).map(|seed| noise(700, seed)).collect();
        sent.iter().for_each(|message| recorder.record(message));
        // One larger than any file may be has one of its own.
        recorder.record(&noise(9000, 99));
        recorder.record(&noise(700, 100));
        let (counts, result) = recorder.finish();
        result.expect("there is room");
        let used: Vec<_> = disks.iter().filter(|disk| !disk.bytes().is_empty()).collect();
        assert!(used.len() > 10, "{compression:?}: {} files", used.len());
        let files = used.len() as u64;
        assert_eq!((counts.files, finished.borrow().len() as u64), (files, files));
        let mut found = Vec::new();
        for (disk, holds) in used.iter().zip(finished.borrow().iter()) {
            let (messages, damages) = read_all(&disk.bytes());
            assert_eq!((damages.len(), messages.len() as u64), (0, holds.messages()));
            assert_eq!(holds.bytes, disk.bytes().len() as u64);
            assert!(holds.bytes <= 4000 || messages.len() == 1, "{holds:?}");
            found.extend(messages.into_iter().map(|message| message.raw));
        }
        assert_eq!(found.len() as u64, counts.requests);
        assert!(found.iter().zip(&sent).all(|(found, sent)| *found == sent.raw));
        assert_eq!(counts.bytes, finished.borrow().iter().map(|holds| holds.bytes).sum::<u64>());
    }
}

#[test]
fn an_old_file_is_finished_without_traffic_and_the_next_begins_with_a_message() {
    let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
    let rotate = Rotate { bytes: None, age: Some(Duration::ZERO) };
    let mut recorder = begin(&disks, Compression::Plain, rotate);
    recorder.keep_up();
    assert_eq!((recorder.rotate_at(), recorder.counts().files), (None, 0), "it is empty");
    recorder.record(&get());
    assert!(recorder.rotate_at().is_some());
    recorder.keep_up();
    assert_eq!((recorder.counts().files, recorder.counts().requests), (1, 1));
    assert!(disks[1].bytes().is_empty());
    recorder.record(&get());
    let (counts, _) = recorder.finish();
    assert_eq!((counts.files, counts.requests), (2, 2));
}

#[test]
fn where_no_file_can_be_made_it_pauses_and_tries_again() {
    let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
    let rotate = Rotate { bytes: Some(1), age: None };
    let mut recorder = begin(&disks[..1], Compression::Gzip, rotate);
    (0..3).for_each(|seed| recorder.record(&noise(100, seed)));
    recorder.flush();
    let trouble = recorder.trouble().map(ToString::to_string).expect("no second file");
    assert!(trouble.contains("may write"), "{trouble}");
    recorder.files.waiting = vec![disks[1].clone()];
    recorder.record(&noise(100, 3));
    let (counts, result) = recorder.finish();
    result.expect("there is a file again");
    let kept: u64 = disks.iter().map(|disk| read_all(&disk.bytes()).0.len() as u64).sum();
    assert_eq!((counts.requests, counts.failed), (kept, 4 - kept));
    assert!(kept >= 2);
}

#[test]
fn what_was_in_a_file_that_somebody_removed_is_counted_as_failed() {
    let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
    let mut recorder = begin(&disks, Compression::Zstd, Rotate::default());
    (0..3).for_each(|_| recorder.record(&get()));
    recorder.flush();
    assert_eq!(recorder.counts().requests, 3);
    disks[0].set().removed = true;
    recorder.record(&get());
    let (counts, result) = recorder.finish();
    result.expect("the next file is good");
    let len = disks[1].bytes().len() as u64;
    assert_eq!((counts.requests, counts.failed, counts.bytes), (1, 3, len));
}

#[test]
fn what_the_disk_took_and_does_not_have_is_counted_as_failed_and_said_at_the_end() {
    let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
    let rotate = Rotate { bytes: Some(2000), age: None };
    let mut recorder = begin(&disks, Compression::Plain, rotate);
    disks[0].set().lies = true;
    (0..2).for_each(|seed| recorder.record(&noise(1000, seed)));
    let (counts, result) = recorder.finish();
    let len = disks[1].bytes().len() as u64;
    assert_eq!((counts.requests, counts.failed, counts.files), (1, 1, 1));
    assert!(counts.bytes <= len && counts.bytes > 1000, "{} of {len}", counts.bytes);
    assert!(matches!(result, Err(RecordError::Write { .. })), "{result:?}");
}

#[test]
fn a_file_with_part_of_a_record_at_its_end_waits_until_that_is_cut_off() {
    let disks = [Shared::with_room(3000), Shared::with_room(1 << 20)];
    let rotate = Rotate { bytes: Some(100_000), age: Some(Duration::from_secs(3600)) };
    let mut recorder = begin(&disks, Compression::Plain, rotate);
    let finished = Rc::clone(&recorder.files.finished);
    disks[0].set().stuck = true;
    (0..4).for_each(|seed| recorder.record(&noise(1000, seed)));
    recorder.flush();
    recorder.next_file();
    let torn = disks[0].bytes().len() as u64;
    assert!(recorder.counts().bytes < torn && recorder.due_at().is_some());
    assert_eq!((recorder.counts().files, finished.borrow().len()), (0, 0), "it has no name");

    recorder.keep_up();
    assert_eq!((recorder.counts().files, recorder.names_at.is_some()), (0, true));
    disks[0].set().stuck = false;
    recorder.keep_up();
    assert_eq!((recorder.counts().files, recorder.names_at), (1, None));
    let (messages, damages) = read_all(&disks[0].bytes());
    assert_eq!((messages.len() as u64, damages.len()), (recorder.counts().requests, 0));
    // The first message after trouble is the try.
    recorder.record(&get());
    let (counts, result) = recorder.finish();
    result.expect("all have their names");
    assert_eq!((counts.requests + counts.failed, counts.files), (5, 2));
}

#[test]
fn a_file_that_never_gets_its_name_is_said_at_the_end_and_one_that_the_disk_lost_is_counted() {
    for lies in [false, true] {
        let disks = [Shared::with_room(1 << 20), Shared::with_room(1 << 20)];
        let rotate = Rotate { bytes: Some(2000), age: None };
        let mut recorder = begin(&disks, Compression::Plain, rotate);
        disks[0].set().nameless = true;
        (0..2).for_each(|seed| recorder.record(&noise(1000, seed)));
        recorder.flush();
        assert_eq!((recorder.counts().requests, recorder.counts().files), (2, 0));
        disks[0].set().lies = lies;
        let (counts, result) = recorder.finish();
        let lost = u64::from(lies);
        assert_eq!((counts.requests, counts.failed, counts.files), (2 - lost, lost, 1));
        assert_eq!(result.is_err(), !lies, "{result:?}");
    }
}

#[test]
fn a_recording_that_ends_before_its_first_message_leaves_no_file() {
    for messages in [0, 1] {
        let disk = Shared::with_room(1 << 20);
        let mut recorder = begin(&[disk], Compression::Plain, Rotate::default());
        let discarded = Rc::clone(&recorder.files.discarded);
        (0..messages).for_each(|_| recorder.record(&get()));
        recorder.flush();
        drop(recorder);
        assert_eq!(*discarded.borrow(), 1 - messages);
    }
}

#[test]
fn a_message_that_is_not_whole_is_marked_and_one_without_its_body_is_not_written() {
    let disk = Shared::with_room(1 << 20);
    let mut recorder = begin(std::slice::from_ref(&disk), Compression::Plain, Rotate::default());
    let mut message = request(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc");
    message.completion = Completion::Incomplete;
    recorder.record(&message);
    // Its body is over the limit, so that it was not kept.
    let mut large = get();
    (large.completion, large.body_len) = (Completion::TooLarge, 1 << 40);
    recorder.record(&large);
    let mut lacking = get();
    lacking.body_len = 5;
    recorder.record(&lacking);
    recorder.record(&get());
    let (counts, _) = recorder.finish();
    assert_eq!((counts.requests, counts.failed, counts.truncated), (3, 1, 2));
    let (messages, damages) = read_all(&disk.bytes());
    assert_eq!(damages.len(), 0);
    let marked: Vec<_> = messages.iter().map(|message| message.truncated).collect();
    assert_eq!(marked, [true, true, false]);
    assert_eq!((&messages[0].raw, &messages[1].raw), (&message.raw, &large.raw));
}
