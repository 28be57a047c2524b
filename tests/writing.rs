//! Recordings under trouble: rotated, compressed, on a disk that fills, in a directory that goes, killed at any moment.
//!
//! What the ledger says is compared with what is in the files, message by message.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use shadowtap::record::{Item, Reader, RecordedMessage};

use crate::support::PATIENCE;
use crate::support::shadowtap::Run;

/// The messages of a file, and how many damages it has.
#[track_caller]
fn read(bytes: &[u8]) -> (Vec<RecordedMessage>, usize) {
    let mut reader = Reader::new(bytes).expect("memory does not fail");
    let (mut messages, mut damages) = (Vec::new(), 0);
    while let Some(item) = reader.read_item().expect("memory does not fail") {
        match item {
            Item::Message(message) => messages.push(message),
            Item::Damage(_) => damages += 1,
        }
    }
    (messages, damages)
}

/// The files of a directory by their names, with what is in them.
#[track_caller]
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let paths =
        fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("an entry").path());
    let named = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        // One may get its name between the listing and the reading.
        Some((name, fs::read(path).ok()?))
    };
    paths.filter(|path| path.is_file()).filter_map(named).collect()
}

/// The targets of these requests.
fn targets(messages: &[RecordedMessage]) -> BTreeSet<String> {
    let target = |message: &RecordedMessage| {
        let line = message.raw.split(|b| *b == b'\r').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line).into_owned();
        text.split(' ').nth(1).map(str::to_owned)
    };
    let requests = messages.iter().filter(|m| !m.raw.starts_with(b"HTTP/"));
    requests.filter_map(target).collect()
}

#[test]
fn flags_of_a_recording_that_cannot_be_meant_are_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let record: &[&str] = &["record", "-i", "lo", "-p", "80", "-o"];
    let mirror: &[&str] = &["mirror", "-i", "lo", "-p", "80", "--to", "http://127.0.0.1:9"];
    let cases: [(&[&str], &[&str], &str); 10] = [
        (record, &["a.pcap"], ".warc.gz"),
        (record, &["a.warc.xz"], ".warc.gz"),
        (record, &["100%.warc"], "%Y%m%dT%H%M%S"),
        (record, &["a.warc", "--rotate", "0"], "256MiB"),
        (record, &["a.warc", "--rotate", "1MiB,2MiB"], "one of each"),
        (record, &["a.warc", "--keep", "3"], "--rotate"),
        (record, &["a.warc", "--rotate", "1h", "--keep", "some"], "10GiB"),
        (record, &["a.warc", "--rotate", "1h", "--overwrite"], "--overwrite"),
        (mirror, &["--rotate", "1h"], "--record"),
        (mirror, &["--record", "a.har"], ".warc.gz"),
    ];
    for (command, flags, want) in cases {
        let mut args: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        for flag in flags {
            match flag.starts_with("a.") || flag.starts_with("100") {
                true => args.push(dir.path().join(flag).to_str().expect("UTF-8").to_owned()),
                false => args.push((*flag).to_owned()),
            }
        }
        let finished = Run::new(&args).finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(want), "{args:?}: {}", finished.stderr);
    }
    assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()).keys());
}

/// Needs root: captures live.
mod privileged {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use rustix::process::Signal;

    use super::*;
    use crate::support::ledger::Ledger;
    use crate::support::load::{Load, Random};
    use crate::support::process::Finished;
    use crate::support::shadowtap::Shadowtap;
    use crate::support::stage::{Stage, capturing, report, setting};
    use crate::support::tmpfs::Tmpfs;
    use crate::support::{alone, wait_until};

    fn record(stage: &Stage, file: &Path) -> Run {
        let port = stage.v1.port().to_string();
        let run = Run::new(["record", "-i", stage.interface, "-p", &port, "--json", "-o"]);
        run.args([file]).place(&stage.here)
    }

    /// What the recorder says when it can write again.
    const GOES_ON: &str = "recording goes on; ";

    /// So many small exchanges under this prefix.
    fn load(stage: &Stage, prefix: &str, count: usize) -> Load {
        Load { count, rate: 2000, max_body: 2000, prefix: prefix.into(), ..stage.load() }
    }

    /// Panics unless the files hold what the ledger says they hold, and nothing is unaccounted for.
    #[track_caller]
    fn assert_true(ledger: &Ledger, dir: &Path) -> (u64, u64) {
        ledger.assert_balanced();
        assert!(ledger.is_lossless(), "{:#}", ledger.0);
        let (mut requests, mut responses) = (0, 0);
        for (name, bytes) in files(dir).iter().filter(|(name, _)| name.contains("warc")) {
            let (messages, damages) = read(bytes);
            assert_eq!(damages, 0, "{name}");
            requests += messages.iter().filter(|m| !m.raw.starts_with(b"HTTP/")).count() as u64;
            responses += messages.iter().filter(|m| m.raw.starts_with(b"HTTP/")).count() as u64;
        }
        assert_eq!(ledger.count("/recording/in_transit"), 0);
        let failed = ledger.count("/recording/failed");
        assert_eq!(ledger.count("/recording/requests"), requests, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/responses"), responses, "{:#}", ledger.0);
        assert_eq!(ledger.count("/recording/offered"), requests + responses + failed);
        (requests + responses, failed)
    }

    /// Sends load until the recorder says this.
    #[track_caller]
    fn load_until(stage: &Stage, recorder: &Shadowtap, text: &str, sent: &mut u64) {
        wait_until(text, PATIENCE, || {
            if recorder.process.stderr_so_far().contains(text) {
                return true;
            }
            load(stage, &format!("/{sent}"), 200).run().expect_no_errors();
            *sent += 200;
            false
        });
    }

    #[track_caller]
    fn ended(recorder: Shadowtap, sent: u64) -> (Finished, Ledger) {
        let finished = recorder.terminate(PATIENCE).expect_code(0);
        let ledger = finished.ledger();
        // The capture saw all of it whatever the disk did.
        assert_eq!(ledger.count("/requests/captured"), sent, "{:#}", ledger.0);
        assert_eq!(ledger.total("/requests/refused"), 0, "{:#}", ledger.0);
        (finished, ledger)
    }

    #[track_caller]
    fn a_full_disk_pauses(name: &str, flags: &[&str]) {
        let stage = Stage::loopback();
        let disk = Tmpfs::new(1024);
        let ballast = disk.outside().join("ballast");
        fs::write(&ballast, vec![1; 700 << 10]).expect("room");
        let run = record(&stage, &disk.inside.join(name)).args(flags.iter().copied());
        let recorder = capturing(run.mounts_of(disk.seen_by()).start());
        let mut sent = 0;
        load_until(&stage, &recorder, "recording paused", &mut sent);
        fs::remove_file(&ballast).expect("ballast");
        load_until(&stage, &recorder, GOES_ON, &mut sent);
        let (finished, ledger) = ended(recorder, sent);
        assert!(finished.stderr.contains("when there is room"), "{}", finished.stderr);
        let (written, failed) = assert_true(&ledger, &disk.outside());
        assert!(written > 0 && failed > 0, "{:#}", ledger.0);
        report(&format!(
            "{name} {flags:?} on a full disk: {written} written, {failed} counted as failed"
        ));
    }

    #[test]
    fn a_full_disk_pauses_a_plain_recording_and_every_loss_is_counted() {
        let _alone = alone();
        a_full_disk_pauses("a.warc", &[]);
    }

    #[test]
    fn a_full_disk_pauses_a_gzip_recording_and_every_loss_is_counted() {
        let _alone = alone();
        a_full_disk_pauses("a.warc.gz", &["--rotate", "50KiB"]);
    }

    #[test]
    fn a_full_disk_pauses_a_zstd_recording_and_every_loss_is_counted() {
        let _alone = alone();
        a_full_disk_pauses("a.warc.zst", &["--rotate", "50KiB"]);
    }

    #[test]
    fn a_directory_that_may_not_be_written_any_more_pauses_rotation() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc.gz");
        let recorder = capturing(record(&stage, &file).args(["--rotate", "50KiB"]).start());
        let mut sent = 0;
        let may = |mode| {
            fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("own");
        };
        may(0o500);
        load_until(&stage, &recorder, "recording paused", &mut sent);
        may(0o700);
        load_until(&stage, &recorder, GOES_ON, &mut sent);
        let (finished, ledger) = ended(recorder, sent);
        assert!(finished.stderr.contains("this user may write"), "{}", finished.stderr);
        let (written, failed) = assert_true(&ledger, dir.path());
        assert!(written > 0 && failed > 0, "{:#}", ledger.0);
    }

    #[test]
    fn a_directory_that_is_removed_and_comes_back_costs_what_the_ledger_says() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).expect("own");
        let recorder = capturing(record(&stage, &inner.join("a.warc")).start());
        let mut sent = 200;
        load(&stage, "/first", 200).run().expect_no_errors();
        let partial = inner.join("a.warc.partial");
        let has_some = || fs::read(&partial).is_ok_and(|bytes| !read(&bytes).0.is_empty());
        wait_until("something is written", PATIENCE, has_some);
        fs::remove_dir_all(&inner).expect("own");
        load_until(&stage, &recorder, "recording paused", &mut sent);
        fs::create_dir(&inner).expect("own");
        load_until(&stage, &recorder, GOES_ON, &mut sent);
        let (finished, ledger) = ended(recorder, sent);
        assert!(finished.stderr.contains("was removed while"), "{}", finished.stderr);
        let (written, failed) = assert_true(&ledger, &inner);
        assert!(written > 0 && failed >= 400, "{:#}", ledger.0);
    }

    #[test]
    fn where_only_a_right_lets_it_write_the_file_has_its_name_from_the_start() {
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::chown(dir.path(), Some(65_532), Some(65_532)).expect("root");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("root");
        let file = dir.path().join("a.warc");
        let refused =
            record(&stage, &file).args(["--rotate", "1h"]).finish(PATIENCE).expect_code(2);
        assert!(refused.stderr.contains("--rotate"), "{}", refused.stderr);
        let recorder = capturing(record(&stage, &file).start());
        assert!(file.exists());
        load(&stage, "", 20).run().expect_no_errors();
        let (_, ledger) = ended(recorder, 20);
        assert_eq!(files(dir.path()).len(), 1);
        assert_eq!(assert_true(&ledger, dir.path()), (40, 0));
    }

    #[test]
    fn files_of_a_rotation_are_read_as_one_and_the_oldest_are_deleted() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("%Y%m%dT%H%M%S.warc.zst");
        let flags = ["--rotate", "20KiB,1h", "--keep", "4"];
        let recorder = capturing(record(&stage, &file).args(flags).start());
        load(&stage, "", 1000).run().expect_no_errors();
        let (finished, ledger) = ended(recorder, 1000);
        ledger.assert_balanced();
        let left = files(dir.path());
        assert_eq!(left.len(), 4, "{:?}", left.keys());
        let deleted = ledger.count("/recording/deleted_files");
        assert_eq!(ledger.count("/recording/files"), 4 + deleted);
        let said = finished.stderr.matches("the oldest file").count() as u64;
        assert!(deleted > 4 && said == deleted, "{deleted}: {}", finished.stderr);
        let found: u64 = left.values().map(|bytes| read(bytes).0.len() as u64).sum();
        assert_eq!(found + ledger.count("/recording/deleted"), 2000);
        let names: Vec<_> = left.keys().map(|name| dir.path().join(name)).collect();
        let run = Run::new(["inspect", "--json", "--responses"]).args(&names);
        let listed = run.finish(PATIENCE).expect_code(0).text();
        assert_eq!(listed.lines().count() as u64, found);
        for path in names {
            let mode = fs::metadata(path).expect("it").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
    }

    #[test]
    fn mirror_records_beside_sending_and_trouble_of_one_is_not_the_others() {
        let _alone = alone();
        let stage = Stage::loopback();
        let disk = Tmpfs::new(256);
        let file = disk.inside.join("a.warc");
        let name = file.to_str().expect("UTF-8").to_owned();
        let run = stage.mirror().args(["--methods", "all", "--record", &name]);
        let mirror = capturing(run.mounts_of(disk.seen_by()).start());
        let mut sent = 0;
        load_until(&stage, &mirror, "recording paused", &mut sent);
        load(&stage, "/behind", 200).run().expect_no_errors();
        sent += 200;
        stage.v2.wait_for(usize::try_from(sent).expect("small"), PATIENCE);
        // The disk is full to the end: the recording says so, and every copy was sent.
        let finished = mirror.terminate(PATIENCE).expect_code(2);
        let ledger = finished.ledger();
        assert_eq!(ledger.count("/targets/0/answered/2xx"), sent, "{:#}", ledger.0);
        let (written, failed) = assert_true(&ledger, &disk.outside());
        assert_eq!(written + failed, 2 * sent);
        assert!(written > 0 && failed > 0, "{:#}", ledger.0);
    }

    #[test]
    fn mirror_records_what_is_held_back_and_a_v2_that_hangs_costs_the_recording_nothing() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("a.warc.gz");
        // Nobody accepts there: the backlog takes some connections, no answer ever comes.
        let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = format!("http://{}", deaf.local_addr().expect("bound"));
        let run = stage.mirror_to(&to).args(["--queue", "50", "--drain", "0s", "--record"]);
        let mirror = capturing(run.args([&file]).start());
        let sent = load(&stage, "", 1000).run().expect_no_errors();
        let finished = mirror.terminate(PATIENCE).expect_code(0);
        let ledger = finished.ledger();
        assert!(ledger.count("/requests/refused/shed_queue_full") > 0, "{:#}", ledger.0);
        let shed = ["requests_shed", "responses_shed"];
        let shed: u64 = shed.map(|name| ledger.count(&format!("/recording/{name}"))).iter().sum();
        let (written, failed) = assert_true(&ledger, dir.path());
        assert_eq!((written + shed, failed), (2000, 0), "{:#}", ledger.0);
        if shed == 0 {
            let all = sent.requests.iter().map(|request| request.target.clone());
            let (messages, _) = read(&fs::read(&file).expect("it has its name"));
            assert_eq!(targets(&messages), all.collect());
        }
    }

    /// What v1 had answered by when, while a recording ran.
    type Answered = Vec<(Instant, Vec<String>)>;

    /// One run until its death. Gives what was answered, what the files were shortly before, and when it died.
    #[track_caller]
    fn killed(
        stage: &Stage,
        dir: &Path,
        life: Duration,
        n: usize,
    ) -> (Answered, BTreeMap<String, Vec<u8>>, Instant) {
        let output = dir.join("%Y%m%dT%H%M.warc.gz");
        let recorder = capturing(record(stage, &output).args(["--rotate", "64KiB"]).start());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut answered = Answered::new();
                while !is_over.load(Ordering::Acquire) {
                    let prefix = format!("/{n}-{}", answered.len());
                    let sent = load(stage, &prefix, 100).run().expect_no_errors();
                    let targets = sent.requests.into_iter().map(|request| request.target);
                    answered.push((Instant::now(), targets.collect()));
                }
                answered
            });
            // The moment of death is what is varied: nothing is waited for.
            std::thread::sleep(life);
            let before = files(dir);
            let died = Instant::now();
            recorder.process.signal(Signal::KILL);
            let finished = recorder.finish(PATIENCE);
            is_over.store(true, Ordering::Release);
            assert_eq!(finished.code(), None, "it was killed: {}", finished.stderr);
            (client.join().expect("the client does not panic"), before, died)
        })
    }

    /// What the start line promises, and as much again for a machine that does other things as well.
    const IN_THE_FILE: Duration = Duration::from_secs(2);

    #[test]
    fn show_kills_lose_nothing_that_was_flushed() {
        let _alone = alone();
        let stage = Stage::loopback();
        let dir = tempfile::tempdir().expect("a directory");
        let kills = setting("SHADOWTAP_KILLS", 4);
        let mut random = Random(setting("SHADOWTAP_SEED", 1) as u64);
        let mut old: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut messages_checked, mut aged_checked, mut cut, mut made) = (0, 0, 0, 0);
        for n in 0..kills {
            // Every fourth lives long enough for what is old enough to be promised.
            let least = if n % 4 == 3 { 2500 } else { 0 };
            let life = Duration::from_millis(least + random.below(2000));
            let (answered, before, died) = killed(&stage, dir.path(), life, n);
            let mut after = files(dir.path());
            for (name, bytes) in &old {
                assert!(
                    after.remove(name).as_ref() == Some(bytes),
                    "{name} of an earlier run changed"
                );
            }
            let mut found = BTreeSet::new();
            for (name, bytes) in &after {
                let (messages, damages) = read(bytes);
                let most = usize::from(name.ends_with(".partial"));
                assert!(damages <= most, "kill {n}: {name} has {damages} damages");
                cut += damages;
                found.extend(targets(&messages));
            }
            // Whatever was in a file then is there now, under the same name or its final one.
            for (name, bytes) in before.iter().filter(|(name, _)| !old.contains_key(*name)) {
                let now = after.get(name).or_else(|| after.get(name.trim_end_matches(".partial")));
                let is_there = now.is_some_and(|now| now.starts_with(bytes));
                assert!(is_there, "kill {n}: {name} does not begin with what was in it");
                messages_checked += read(bytes).0.len();
            }
            for (at, targets) in answered.iter().filter(|(at, _)| *at + IN_THE_FILE < died) {
                let missing: Vec<_> = targets.iter().filter(|t| !found.contains(*t)).collect();
                let age = died.saturating_duration_since(*at);
                assert!(missing.is_empty(), "kill {n}: {missing:?}, answered {age:?} before");
                aged_checked += targets.len();
            }
            made += after.len();
            // Kept for the next rounds by their bytes; the last hundred are enough.
            old.extend(after);
            while old.len() > 100 {
                let (name, _) = old.pop_first().expect("some");
                fs::remove_file(dir.path().join(name)).expect("own");
            }
        }
        assert!(kills < 4 || (messages_checked > 0 && aged_checked > 0), "it showed nothing");
        report(&format!(
            "{kills} kills: {made} files, none overwritten or unreadable, {cut} with a cut record at the end; \
             {messages_checked} messages seen in files before are there, {aged_checked} requests older than \
             {IN_THE_FILE:?} are there"
        ));
    }
}
