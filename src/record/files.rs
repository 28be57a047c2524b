//! The files of a recording: made, finished, and deleted when there are too many.
//!
//! In: names, and what to do about files that are there. Out: open files, of which the writer knows nothing but
//! that they are written at their end. Guaranteed: a file is made anew (O_EXCL, mode 0600) under its
//! name and `.partial`, and gets its own name, whole and on the disk, in one step that replaces nothing; a name
//! that is taken gets a number. Only files that this run finished, and that are still those, are ever
//! deleted, the oldest first. A finished file that cannot be cut to its last whole record or cannot get its name
//! waits, marked as it is, and is tried again.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::names::{Names, partial};
use super::trouble::RecordError;

/// Names tried for one file at most.
const TRIES: u32 = 1_000_000;
/// Finished files that wait for their names at most; each holds a descriptor.
const MAX_WAITING: usize = 64;

/// What a recording is written to: a file, or in tests something that fails on purpose.
pub trait Store: Write {
    /// Makes the file end at this length, and the next write begin there.
    fn cut_back(&mut self, len: u64) -> io::Result<()>;
    /// Returns when what was written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Whether somebody removed it, so that what is written goes nowhere.
    fn is_removed(&self) -> bool;
}

impl Store for File {
    fn cut_back(&mut self, len: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(len))?;
        self.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn is_removed(&self) -> bool {
        self.metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 0)
    }
}

/// Where a recording's files come from.
pub trait Files {
    /// A file.
    type Store: Store;
    /// Makes the next file. Gives the name that it will have.
    fn begin(&mut self) -> Result<(Self::Store, PathBuf), RecordError>;
    /// Gives the file its name, once it ends with what it holds and is on the disk. An error is that the disk does
    /// not have it.
    fn finish(&mut self, file: Self::Store, holds: Holds) -> Result<Ended, RecordError>;
    /// Tries again with the files that wait.
    fn retry(&mut self) -> Retried;
    /// Whether any waits.
    fn has_waiting(&self) -> bool;
    /// Why the first of those that wait has not its name. It is given up.
    fn give_up(&mut self) -> Option<RecordError>;
    /// Removes a file that holds nothing.
    fn discard(&mut self, file: Self::Store);
    /// Files and messages deleted so far because there were too many.
    fn deleted(&self) -> (u64, u64);
}

/// What is in a finished file.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Holds {
    /// Bytes, up to the end of its last whole record.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
    /// Responses.
    pub responses: u64,
}

impl Holds {
    /// Requests and responses.
    pub fn messages(&self) -> u64 {
        self.requests + self.responses
    }
}

/// What became of a file that the disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has its name.
    Named,
    /// It cannot have it now, and waits for [`Files::retry`]. Why is said.
    Waits,
}

/// What became of files that waited for their names.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Retried {
    /// So many have theirs now.
    pub named: u64,
    /// The disk turned out not to have these.
    pub lost: Vec<Holds>,
}

/// What to do when the file is there already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// Refuse to start.
    Refuse,
    /// Lose what is in it.
    Overwrite,
}

/// How much of what was finished is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// So many files.
    Files(u64),
    /// So many bytes.
    Bytes(u64),
}

/// The files of a run in a directory.
#[derive(Debug)]
pub struct Series {
    names: Names,
    existing: Existing,
    keep: Option<Keep>,
    /// Whether a file can be renamed later: not where only a right lets us write that is given up.
    can_rename: bool,
    making: Option<Making>,
    /// Finished files without their name, the oldest first.
    waiting: VecDeque<Waiting>,
    finished: VecDeque<Finished>,
    deleted: (u64, u64),
}

/// The file in the making.
#[derive(Debug)]
struct Making {
    /// Where it is now.
    at: PathBuf,
    /// Where it will be.
    path: PathBuf,
    begun: jiff::Timestamp,
}

/// A file that is finished but for its name or its end.
#[derive(Debug)]
struct Waiting {
    making: Making,
    file: File,
    id: (u64, u64),
    holds: Holds,
    is_synced: bool,
    /// What went wrong the last time.
    why: Option<RecordError>,
}

/// A finished file.
#[derive(Debug)]
struct Finished {
    path: PathBuf,
    begun: jiff::Timestamp,
    id: (u64, u64),
    holds: Holds,
}

impl Series {
    /// Files of these names.
    pub fn new(names: Names, existing: Existing) -> Self {
        let can_rename = may_write(names.dir());
        Self {
            names,
            existing,
            keep: None,
            can_rename,
            making: None,
            waiting: VecDeque::new(),
            finished: VecDeque::new(),
            deleted: (0, 0),
        }
    }

    /// Whether more files can be made once every right is given up.
    pub fn can_go_on(&self) -> bool {
        self.can_rename
    }

    /// Deletes the oldest beyond so many.
    pub fn keep(mut self, keep: Option<Keep>) -> Self {
        self.keep = keep;
        self
    }

    /// Makes a file of the first name that is free.
    fn make(&mut self) -> Result<(File, Making), RecordError> {
        let begun = jiff::Timestamp::now();
        let mut number = self.names.next_number(begun);
        let last = number.saturating_add(TRIES);
        loop {
            let path = self.names.name(begun, number);
            let at = if self.can_rename { partial(&path) } else { path.clone() };
            let fail = |cause| RecordError::Create { path: at.clone(), cause };
            let taken = match fs::symlink_metadata(&path) {
                Ok(_) => Some(path.clone()),
                Err(error) if error.kind() == ErrorKind::NotFound => match create_new(&at) {
                    Ok(file) => {
                        self.names.took(begun, number);
                        return Ok((file, Making { at, path, begun }));
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Some(at.clone()),
                    Err(error) => return Err(fail(error)),
                },
                Err(error) => return Err(fail(error)),
            };
            if let Some(taken) = taken.filter(|_| self.names.is_one() || number == last) {
                return Err(RecordError::Exists(taken));
            }
            number = number.saturating_add(1);
        }
    }

    /// Makes the one file, whatever is there.
    fn make_over(&mut self) -> Result<(File, Making), RecordError> {
        let begun = jiff::Timestamp::now();
        let name = self.names.name(begun, 1);
        // Somebody else's link may lead to a file that is not to be lost.
        let user = rustix::process::geteuid().as_raw();
        if fs::symlink_metadata(&name).is_ok_and(|meta| meta.is_symlink() && meta.uid() != user) {
            let cause = io::Error::new(ErrorKind::PermissionDenied, "it is a link of another user");
            return Err(RecordError::Create { path: name, cause });
        }
        // Not the link is replaced but what it leads to.
        let path = fs::canonicalize(&name).unwrap_or(name);
        let can_rename = self.can_rename && path.parent().is_none_or(may_write);
        if fs::metadata(&path).is_ok_and(|meta| !meta.is_file()) {
            return open_in_place(path, begun);
        }
        if !can_rename {
            let made = open_in_place(path, begun)?;
            let emptied = made.0.set_len(0);
            let own = emptied.and_then(|()| made.0.set_permissions(Permissions::from_mode(0o600)));
            own.map_err(|cause| RecordError::Create { path: made.1.path.clone(), cause })?;
            return Ok(made);
        }
        let at = partial(&path);
        let fail = |cause| RecordError::Create { path: at.clone(), cause };
        match fs::remove_file(&at) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        let file = create_new(&at).map_err(fail)?;
        Ok((file, Making { at, path, begun }))
    }

    /// Makes a finished file end behind its last whole record, waits until it is on the disk, and gives it its name.
    fn settle(&mut self, waiting: &mut Waiting) -> Result<PathBuf, RecordError> {
        let Waiting { making, file, holds, is_synced, .. } = waiting;
        let write_error = |cause| RecordError::Write { path: making.at.clone(), cause };
        let mut cut = Ok(());
        if file.metadata().map_err(write_error)?.len() != holds.bytes {
            cut = file.cut_back(holds.bytes);
            *is_synced &= cut.is_err();
        }
        if !*is_synced {
            file.sync().map_err(write_error)?;
            *is_synced = true;
        }
        cut.map_err(|cause| RecordError::Torn { path: making.at.clone(), cause })?;
        let path = self.name(making)?;
        // The name too shall outlive a power cut; where a directory cannot be synced, nobody can help it.
        let _ = File::open(self.names.dir()).and_then(|dir| dir.sync_all());
        Ok(path)
    }

    /// Gives the file its name, or one with a number where somebody has taken it meanwhile.
    fn name(&mut self, making: &Making) -> Result<PathBuf, RecordError> {
        let Making { at, path, begun } = making;
        if at == path {
            return Ok(path.clone());
        }
        let fail = |cause| RecordError::Name { at: at.clone(), path: path.clone(), cause };
        if self.existing == Existing::Overwrite && self.names.is_one() {
            fs::rename(at, path).map_err(fail)?;
            return Ok(path.clone());
        }
        let mut name = path.clone();
        let first = self.names.next_number(*begun).max(2);
        for number in first..=first.saturating_add(TRIES) {
            match rename_new(at, &name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {
                    name = self.names.name(*begun, number);
                    self.names.took(*begun, number);
                }
                Err(error) => return Err(fail(error.into())),
            }
        }
        Err(fail(ErrorKind::AlreadyExists.into()))
    }

    /// A file has its name: one more that may be deleted.
    fn named(&mut self, waiting: Waiting, path: PathBuf) {
        let Waiting { making: Making { begun, .. }, id, holds, .. } = waiting;
        // One that waited may be older than others that have theirs.
        let place = self.finished.partition_point(|other| other.begun <= begun);
        self.finished.insert(place, Finished { path, begun, id, holds });
        self.prune();
    }

    /// Lets a file wait for the next try.
    fn wait(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
        if self.waiting.len() > MAX_WAITING
            && let Some(oldest) = self.waiting.pop_front()
        {
            let name = oldest.making.at.display();
            tracing::error!("{name} stays as it is: more than {MAX_WAITING} files wait for names");
        }
    }

    /// Deletes the oldest beyond what is kept. One that cannot be deleted is tried again with the next.
    fn prune(&mut self) {
        while let Some(oldest) = self.finished.front().filter(|_| self.is_too_much()) {
            let name = oldest.path.display();
            if is_ours(&oldest.path, oldest.id) {
                if let Err(error) = fs::remove_file(&oldest.path) {
                    tracing::warn!("cannot delete {name}, which --keep is done with: {error}");
                    return;
                }
                let messages = oldest.holds.messages();
                self.deleted = (self.deleted.0 + 1, self.deleted.1 + messages);
                tracing::info!(
                    "deleted {name}, the oldest file, with {messages} messages (--keep)"
                );
            }
            // Otherwise somebody took it away: it is no longer this run's.
            self.finished.pop_front();
        }
    }

    fn is_too_much(&self) -> bool {
        match self.keep {
            None => false,
            Some(Keep::Files(most)) => self.finished.len() as u64 > most,
            Some(Keep::Bytes(most)) => {
                self.finished.iter().map(|file| file.holds.bytes).sum::<u64>() > most
            }
        }
    }
}

impl Files for Series {
    type Store = File;

    fn begin(&mut self) -> Result<(File, PathBuf), RecordError> {
        let (file, making) = match self.existing {
            Existing::Overwrite if self.names.is_one() => self.make_over()?,
            _ => self.make()?,
        };
        let path = making.path.clone();
        self.making = Some(making);
        Ok((file, path))
    }

    fn finish(&mut self, file: File, holds: Holds) -> Result<Ended, RecordError> {
        let Some(making) = self.making.take() else { return Ok(Ended::Named) };
        let meta = file.metadata();
        let meta = meta.map_err(|cause| RecordError::Write { path: making.at.clone(), cause })?;
        if !meta.is_file() {
            return Ok(Ended::Named);
        }
        let id = (meta.dev(), meta.ino());
        let mut waiting = Waiting { making, file, id, holds, is_synced: false, why: None };
        match self.settle(&mut waiting) {
            Ok(path) => {
                self.named(waiting, path);
                Ok(Ended::Named)
            }
            Err(error @ RecordError::Write { .. }) => Err(error),
            Err(error) => {
                tracing::error!("{error}; it is tried again each second");
                waiting.why = Some(error);
                self.wait(waiting);
                Ok(Ended::Waits)
            }
        }
    }

    fn retry(&mut self) -> Retried {
        let mut retried = Retried::default();
        for mut waiting in std::mem::take(&mut self.waiting) {
            let at = waiting.making.at.clone();
            if !is_ours(&at, waiting.id) {
                tracing::warn!("{} was taken away; its name is no longer tried", at.display());
                continue;
            }
            match self.settle(&mut waiting) {
                Ok(path) => {
                    retried.named += 1;
                    tracing::info!("{} has its name now: {}", at.display(), path.display());
                    self.named(waiting, path);
                }
                Err(error @ RecordError::Write { .. }) => {
                    tracing::error!("{error}");
                    retried.lost.push(waiting.holds);
                }
                Err(error) => {
                    waiting.why = Some(error);
                    self.wait(waiting);
                }
            }
        }
        retried
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn give_up(&mut self) -> Option<RecordError> {
        std::mem::take(&mut self.waiting).into_iter().find_map(|waiting| waiting.why)
    }

    fn discard(&mut self, file: File) {
        let Some(making) = self.making.take() else { return };
        let ours = file.metadata().ok().filter(fs::Metadata::is_file);
        if ours.is_some_and(|meta| is_ours(&making.at, (meta.dev(), meta.ino()))) {
            // Left behind, it is an empty file.
            let _ = fs::remove_file(&making.at);
        }
    }

    fn deleted(&self) -> (u64, u64) {
        self.deleted
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A device or a pipe is written as it is: it can be neither replaced nor cut back.
fn open_in_place(path: PathBuf, begun: jiff::Timestamp) -> Result<(File, Making), RecordError> {
    let fail = |cause| RecordError::Create { path: path.clone(), cause };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(fail)?;
    Ok((file, Making { at: path.clone(), path, begun }))
}

/// Whether this user may make and rename files there by its own standing, as its mode says: the rights of root
/// over other people's directories are given up when the capture is open.
fn may_write(dir: &Path) -> bool {
    let Ok(meta) = fs::metadata(dir) else { return true };
    let user = rustix::process::geteuid().as_raw();
    let in_group = || {
        let others = rustix::process::getgroups().unwrap_or_default();
        rustix::process::getegid().as_raw() == meta.gid()
            || others.iter().any(|group| group.as_raw() == meta.gid())
    };
    let shift = if user == meta.uid() {
        6
    } else if in_group() {
        3
    } else {
        0
    };
    let write_and_search = 0o3;
    (meta.mode() >> shift) & write_and_search == write_and_search
}

/// Whether this is the name of the file with this number on this device.
fn is_ours(path: &Path, id: (u64, u64)) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| (meta.dev(), meta.ino()) == id)
}

/// Renames, and fails where the new name exists.
fn rename_new(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can (NFS); a link replaces nothing either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        result => return result,
    }
    match rustix::fs::link(from, to) {
        Ok(()) => {}
        // Nor can every one link (FAT, some of FUSE).
        Err(Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::INVAL | Errno::MLINK) => {
            return rename_over_own(from, to);
        }
        Err(error) => return Err(error),
    }
    if let Err(error) = rustix::fs::unlink(from) {
        tracing::warn!("{} is now {} too: {error}", from.display(), to.display());
    }
    Ok(())
}

/// Renames where the system can neither refuse to replace nor link: takes the name with an empty file, which nobody
/// else can have made, and replaces that. Between the two steps the name stands for an empty file.
fn rename_over_own(from: &Path, to: &Path) -> Result<(), Errno> {
    let failed = |error: io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    drop(create_new(to).map_err(failed)?);
    fs::rename(from, to).map_err(|error| {
        let _ = fs::remove_file(to);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::{info, read_all, request};
    use crate::record::{Plan, Recorder, Rotate};

    /// A recording of so many requests.
    #[track_caller]
    fn recorded(plan: &Plan, requests: usize) -> crate::model::ledger::RecordCounts {
        let mut recorder = Recorder::create(plan, &info()).expect("create");
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        (0..requests).for_each(|_| recorder.record(&message));
        let (counts, result) = recorder.finish();
        result.expect("finish");
        counts
    }

    #[track_caller]
    fn listed(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    /// A file for each message.
    fn each(path: PathBuf) -> Plan {
        Plan { rotate: Rotate { bytes: Some(1), age: None }, ..Plan::one(&path) }
    }

    #[test]
    fn an_existing_file_is_refused_and_overwritten_only_when_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        fs::write(&path, "mine").expect("write");
        let mut plan = Plan::one(&path);
        let refused = Recorder::create(&plan, &info()).expect_err("exists");
        assert!(matches!(refused, RecordError::Exists(_)), "{refused}");
        assert!(refused.to_string().contains("exists already"), "{refused}");
        assert_eq!(listed(dir.path()), ["a.warc"]);
        assert_eq!(fs::read(&path).expect("read"), b"mine");

        plan.existing = Existing::Overwrite;
        let counts = recorded(&plan, 0);
        let meta = fs::metadata(&path).expect("meta");
        assert_eq!((meta.permissions().mode() & 0o777, meta.len()), (0o600, counts.bytes));
        assert!(fs::read(&path).expect("read").starts_with(b"WARC/1.1\r\n"));
        assert_eq!(listed(dir.path()), ["a.warc"]);
    }

    #[test]
    fn overwriting_goes_where_a_link_leads_and_never_replaces_a_device() {
        let dir = tempfile::tempdir().expect("tempdir");
        let [file, link] = ["file", "link"].map(|name| dir.path().join(name));
        fs::write(&file, "old").expect("write");
        std::os::unix::fs::symlink(&file, &link).expect("link");
        let plan = |path: &Path| Plan { existing: Existing::Overwrite, ..Plan::one(path) };
        recorded(&plan(&link), 1);
        assert!(fs::symlink_metadata(&link).expect("it").is_symlink());
        assert_eq!(read_all(&fs::read(&file).expect("read")).0.len(), 1);
        let counts = recorded(&plan(Path::new("/dev/null")), 1);
        assert_eq!(counts.requests, 1);
        assert!(!fs::metadata("/dev/null").expect("it").is_file());
    }

    #[test]
    fn a_file_in_the_making_is_marked_private_and_never_taken_over() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        let recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        assert_eq!(listed(dir.path()), ["a.warc.partial"]);
        let meta = fs::metadata(partial(&path)).expect("meta");
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
        let second = Recorder::create(&Plan::one(&path), &info()).expect_err("in the making");
        assert!(second.to_string().contains("a.warc.partial exists"), "{second}");
        // A start that fails: nothing is in the way of the next one.
        drop(recorder);
        assert_eq!(listed(dir.path()), Vec::<String>::new());
        let mut recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        recorder.record(&request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        recorder.flush();
        drop(recorder);
        assert_eq!(listed(dir.path()), ["a.warc.partial"], "it has a message");
    }

    #[test]
    fn a_name_that_is_taken_meanwhile_gets_a_number() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc.gz");
        let recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        fs::write(&path, "somebody's").expect("write");
        fs::write(dir.path().join("a_002.warc.gz"), "somebody's").expect("write");
        recorder.finish().1.expect("finish");
        assert_eq!(listed(dir.path()), ["a.warc.gz", "a_002.warc.gz", "a_003.warc.gz"]);
        assert_eq!(fs::read(&path).expect("read"), b"somebody's");
    }

    #[test]
    fn several_files_are_numbered_past_what_is_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["a-000001.warc", "a-000003.warc.partial"] {
            fs::write(dir.path().join(name), "somebody's").expect("write");
        }
        let counts = recorded(&each(dir.path().join("a.warc")), 3);
        assert_eq!((counts.files, counts.requests), (3, 3));
        let numbers = ["1.warc", "2.warc", "3.warc.partial", "4.warc", "5.warc"];
        assert_eq!(listed(dir.path()), numbers.map(|number| format!("a-00000{number}")));
        for name in ["a-000001.warc", "a-000003.warc.partial"] {
            assert_eq!(fs::read(dir.path().join(name)).expect("read"), b"somebody's");
        }
        // All of one second: numbers tell them apart, whatever the clock does.
        let dir = tempfile::tempdir().expect("tempdir");
        recorded(&each(dir.path().join("%Y.warc.zst")), 3);
        let names = listed(dir.path());
        assert_eq!(names.len(), 3);
        assert!(names[1].ends_with("_002.warc.zst") && names[2].ends_with("_003.warc.zst"));
    }

    #[test]
    fn the_oldest_files_of_this_run_are_deleted_and_no_others() {
        for keep in [Keep::Files(2), Keep::Bytes(2000)] {
            let dir = tempfile::tempdir().expect("tempdir");
            let other = dir.path().join("a-000000.warc");
            fs::write(&other, "somebody's").expect("write");
            let plan = Plan { keep: Some(keep), ..each(dir.path().join("a.warc")) };
            let counts = recorded(&plan, 7);
            assert_eq!((counts.files, counts.requests), (7, 7));
            let names = listed(dir.path());
            let left = names.len() as u64 - 1;
            assert_eq!((counts.deleted_files, counts.deleted), (7 - left, 7 - left), "{names:?}");
            assert!(
                (1..=2).contains(&left) && names.contains(&"a-000007.warc".into()),
                "{names:?}"
            );
            assert!(other.exists());
        }
    }

    #[test]
    fn a_file_that_somebody_replaced_is_not_deleted() {
        let dir = tempfile::tempdir().expect("tempdir");
        let plan = Plan { keep: Some(Keep::Files(1)), ..each(dir.path().join("a.warc")) };
        let mut recorder = Recorder::create(&plan, &info()).expect("create");
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        (0..2).for_each(|_| recorder.record(&message));
        let first = dir.path().join("a-000001.warc");
        // Made before the old one goes: it cannot have the same number.
        fs::write(dir.path().join("new"), "somebody's").expect("write");
        fs::rename(dir.path().join("new"), &first).expect("rename");
        recorder.record(&message);
        let (counts, _) = recorder.finish();
        assert_eq!((counts.files, counts.deleted_files), (3, 1));
        assert_eq!(fs::read(&first).expect("read"), b"somebody's");
    }

    #[test]
    fn the_name_of_a_deleted_file_is_not_used_again() {
        for name in ["%Y.warc", "a.warc"] {
            let dir = tempfile::tempdir().expect("tempdir");
            let plan = Plan { keep: Some(Keep::Files(2)), ..each(dir.path().join(name)) };
            recorded(&plan, 5);
            let names = listed(dir.path());
            let numbers: Vec<_> = names.iter().map(|name| &name[name.len() - 8..]).collect();
            assert_eq!(numbers, ["004.warc".to_owned(), "005.warc".to_owned()], "{names:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_renamed_gets_its_name_with_the_next_try() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut recorder =
            Recorder::create(&each(dir.path().join("a.warc")), &info()).expect("create");
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        recorder.record(&message);
        recorder.flush();
        // A name that is too long for any file system: the system refuses it whoever asks.
        let making = recorder.files_mut().making.as_mut().expect("one is made");
        let name = std::mem::replace(&mut making.path, dir.path().join("x".repeat(300)));
        recorder.record(&message);
        recorder.flush();
        assert_eq!(listed(dir.path()), ["a-000001.warc.partial", "a-000002.warc.partial"]);
        assert_eq!((recorder.counts().files, recorder.due_at().is_some()), (0, true));
        recorder.files_mut().waiting[0].making.path = name;
        let (counts, result) = recorder.finish();
        result.expect("both have their names");
        assert_eq!((counts.files, counts.requests), (2, 2));
        assert_eq!(listed(dir.path()), ["a-000001.warc", "a-000002.warc"]);
    }

    #[test]
    fn a_file_that_never_gets_its_name_is_said_at_the_end() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        let mut recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        recorder.record(&request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        let making = recorder.files_mut().making.as_mut().expect("one is made");
        making.path = dir.path().join("x".repeat(300));
        let (counts, result) = recorder.finish();
        let error = result.expect_err("no such name").to_string();
        assert!(error.contains("cannot be renamed") && error.contains("a.warc.partial"), "{error}");
        assert_eq!((counts.files, counts.requests, counts.failed), (0, 1, 0));
    }

    #[test]
    fn a_file_waits_for_its_name_in_the_order_of_its_making() {
        let dir = tempfile::tempdir().expect("tempdir");
        let plan = Plan { keep: Some(Keep::Files(1)), ..each(dir.path().join("a.warc")) };
        let mut recorder = Recorder::create(&plan, &info()).expect("create");
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        recorder.record(&message);
        let making = recorder.files_mut().making.as_mut().expect("one is made");
        let name = std::mem::replace(&mut making.path, dir.path().join("x".repeat(300)));
        (0..2).for_each(|_| recorder.record(&message));
        // The second has its name; the first, which gets it later, is the older one all the same.
        recorder.files_mut().waiting[0].making.path = name;
        let (counts, result) = recorder.finish();
        result.expect("all have their names");
        assert_eq!((counts.files, counts.deleted_files), (3, 2));
        assert_eq!(listed(dir.path()), ["a-000003.warc"]);
    }

    #[test]
    fn renaming_over_a_file_of_our_own_replaces_nothing_else() {
        let dir = tempfile::tempdir().expect("tempdir");
        let [from, to, missing] = ["from", "to", "missing"].map(|name| dir.path().join(name));
        fs::write(&from, "ours").expect("write");
        fs::write(&to, "somebody's").expect("write");
        assert_eq!(rename_over_own(&from, &to), Err(Errno::EXIST));
        assert_eq!(fs::read(&to).expect("read"), b"somebody's");
        fs::remove_file(&to).expect("remove");
        assert_eq!(rename_over_own(&missing, &to), Err(Errno::NOENT));
        assert_eq!(listed(dir.path()), ["from"], "the name is free again");
        assert_eq!(rename_over_own(&from, &to), Ok(()));
        assert_eq!(fs::read(&to).expect("read"), b"ours");
        assert_eq!(listed(dir.path()), ["to"]);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let path = Path::new("/nonexistent/a.warc");
        let error = Recorder::create(&Plan::one(path), &info()).expect_err("no directory");
        assert!(error.to_string().contains("/nonexistent/a.warc"), "{error}");
        assert!(error.to_string().contains("is the directory there?"), "{error}");
    }

    #[test]
    fn a_removed_file_is_noticed_and_the_next_one_takes_its_name() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.warc");
        let mut recorder = Recorder::create(&Plan::one(&path), &info()).expect("create");
        let message = request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        recorder.record(&message);
        recorder.flush();
        fs::remove_file(partial(&path)).expect("remove");
        recorder.record(&message);
        let (counts, result) = recorder.finish();
        result.expect("finish");
        assert_eq!((counts.requests, counts.failed), (1, 1));
        assert_eq!(read_all(&fs::read(&path).expect("read")).0.len(), 1);
    }
}
