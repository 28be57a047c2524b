//! Tests of files on a real disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;

use super::system::rename_over_own;
use super::*;
use crate::record::names::partial;
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
        assert!((1..=2).contains(&left) && names.contains(&"a-000007.warc".into()), "{names:?}");
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
    let mut recorder = Recorder::create(&each(dir.path().join("a.warc")), &info()).expect("create");
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
