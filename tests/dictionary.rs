//! Recordings packed with a zstd dictionary: each file holds it, zstd itself unpacks them, and they are read like others.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bytes::Bytes;
use shadowtap::http::{Config, Provenance, Role, parse_whole};
use shadowtap::model::zstd::DICTIONARY_FRAME;
use shadowtap::model::{Anomalies, Endpoint, Message, Timestamp};
use shadowtap::record::{Dictionary, Item, Plan, Reader, Recorder, Rotate, WarcInfo};
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::shadowtap::Run;

/// A request as a shop's clients send them.
fn request(n: u64) -> Message {
    let raw = format!(
        "GET /shop/orders/{n}?page={} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: client/{}\r\n\
         Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nX-Request-Id: {:016x}\r\n\r\n",
        n % 7,
        n % 3,
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    );
    let end = Endpoint::new([127, 0, 0, 1].into(), 80);
    let from = Provenance {
        conn: n,
        index: 0,
        client: end,
        server: end,
        first_byte: Timestamp::from_nanos(1_700_000_000_000_000_000 + n),
        last_byte: Timestamp::from_nanos(1_700_000_000_000_000_000 + n),
        request: None,
        anomalies: Anomalies::default(),
        is_whole: true,
    };
    parse_whole(Bytes::from(raw), Role::Client, from, &Config::default()).expect("a request")
}

/// Records so many requests.
#[track_caller]
fn record(plan: &Plan, run: &str, requests: std::ops::Range<u64>) {
    let info = WarcInfo { run: run.into(), ..WarcInfo::default() };
    let mut recorder = Recorder::create(plan, &info).expect("create");
    requests.for_each(|n| recorder.record(&request(n)));
    recorder.finish().1.expect("finish");
}

#[track_caller]
fn zstd(args: &[&str], file: &Path) -> Output {
    let output = Command::new("zstd").args(args).arg(file).output();
    output.expect("zstd is installed (scripts/setup.sh test)")
}

/// A directory with a plain recording, and a dictionary made of it.
struct Trained {
    dir: TempDir,
    plain: PathBuf,
    file: PathBuf,
    dictionary: Dictionary,
}

impl Trained {
    #[track_caller]
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let [plain, file] = ["a.warc", "a.dict"].map(|name| dir.path().join(name));
        record(&Plan::one(&plain), "plain", 0..500);
        let to = file.to_str().expect("UTF-8");
        let trained = zstd(&["-q", "--train", "-B700", "--maxdict=4096", "-o", to], &plain);
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
        let bytes = std::fs::read(&file).expect("zstd wrote it");
        let dictionary = Dictionary::new(&bytes).expect("zstd made it");
        Self { dir, plain, file, dictionary }
    }

    fn plan(&self, name: &str) -> Plan {
        let dictionary = Some(self.dictionary.clone());
        Plan { dictionary, ..Plan::one(&self.dir.path().join(name)) }
    }
}

/// The requests of a file and its damages.
fn read(bytes: &[u8]) -> (Vec<Bytes>, usize) {
    let mut reader = Reader::new(bytes).expect("memory");
    let (mut messages, mut damages) = (Vec::new(), 0);
    while let Some(item) = reader.read_item().expect("memory") {
        match item {
            Item::Message(message) => messages.push(message.raw),
            Item::Damage(_) => damages += 1,
        }
    }
    (messages, damages)
}

#[test]
fn zstd_unpacks_what_was_packed_with_its_dictionary_and_it_is_smaller() {
    let trained = Trained::new();
    let [packed, without] = ["b.warc.zst", "c.warc.zst"].map(|name| trained.dir.path().join(name));
    record(&trained.plan("b.warc.zst"), "packed", 1000..1300);
    record(&Plan::one(&without), "packed", 1000..1300);
    let dictionary = trained.file.to_str().expect("UTF-8");
    let unpacked = zstd(&["-q", "-d", "-c", "-D", dictionary], &packed);
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    let plain = zstd(&["-q", "-d", "-c"], &without).stdout;
    // The files' own names are in their first records.
    let text = String::from_utf8_lossy(&unpacked.stdout).replace("b.warc.zst", "c.warc.zst");
    assert!(plain.len() > 100_000 && text.as_bytes() == plain);
    assert!(!zstd(&["-q", "-d", "-c"], &packed).status.success(), "it needs the dictionary");
    let size = |path: &Path| std::fs::metadata(path).expect("it").len();
    assert!(size(&packed) * 4 < size(&without) * 3, "{} {}", size(&packed), size(&without));
}

#[test]
fn a_packed_recording_is_read_by_itself_whole_cut_and_put_together() {
    let trained = Trained::new();
    record(&trained.plan("b.warc.zst"), "one", 0..30);
    let path = trained.dir.path().join("b.warc.zst");
    let packed = std::fs::read(&path).expect("it");
    assert!(packed.starts_with(&DICTIONARY_FRAME));
    let want: Vec<_> = (0..30).map(|n| request(n).raw).collect();
    assert_eq!(read(&packed), (want.clone(), 0));
    let listed = Run::new(["inspect", "--json"]).args([&path]).finish(PATIENCE).expect_code(0);
    assert_eq!(listed.text().lines().count(), 30);

    // As other tools store it: not packed itself.
    let (frame, records) = packed.split_at(trained.dictionary.frame().len());
    let raw = trained.dictionary.bytes();
    let len = u32::try_from(raw.len()).expect("short").to_le_bytes();
    let other = [&DICTIONARY_FRAME[..], &len, raw, records].concat();
    assert_eq!(read(&other), (want.clone(), 0));
    // Without it nothing can be read, which is said.
    assert_eq!(read(records), (Vec::new(), 1));
    let broken = [&frame[..frame.len() / 2], records].concat();
    assert_eq!(read(&broken).0, Vec::<Bytes>::new());

    for cut in (0..packed.len()).step_by(97) {
        let (messages, damages) = read(&packed[..cut]);
        assert!(want.starts_with(&messages) && damages <= 1, "cut at {cut}");
    }
    // Behind each other, each with a dictionary or none of its own.
    record(&Plan::one(&trained.dir.path().join("d.warc.zst")), "two", 30..40);
    let plain = std::fs::read(trained.dir.path().join("d.warc.zst")).expect("it");
    let (messages, damages) = read(&[&packed[..], &plain, &packed].concat());
    assert_eq!((messages.len(), damages), (70, 0));
}

#[test]
fn each_file_of_a_rotation_holds_the_dictionary() {
    let trained = Trained::new();
    let most = trained.dictionary.frame().len() as u64 + 2000;
    let plan =
        Plan { rotate: Rotate { bytes: Some(most), age: None }, ..trained.plan("r.warc.zst") };
    record(&plan, "run", 0..60);
    let mut found = Vec::new();
    for number in 1.. {
        let path = trained.dir.path().join(format!("r-{number:06}.warc.zst"));
        let Ok(file) = std::fs::read(path) else { break };
        assert!(file.starts_with(trained.dictionary.frame()));
        assert!(file.len() as u64 <= most);
        let (messages, damages) = read(&file);
        assert_eq!(damages, 0);
        found.push(messages);
    }
    assert!(found.len() > 2, "{} files", found.len());
    assert_eq!(found.concat(), (0..60).map(|n| request(n).raw).collect::<Vec<_>>());
}

#[test]
fn what_is_no_dictionary_and_what_is_not_packed_are_refused() {
    let trained = Trained::new();
    let path = |name: &str| trained.dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let cases = [
        ("x.warc.zst", path("a.warc"), "zstd --train"),
        ("x.warc.zst", path("missing"), "missing"),
        ("x.warc.gz", path("a.dict"), ".warc.zst"),
        ("x.warc", path("a.dict"), ".warc.zst"),
    ];
    for (output, dictionary, want) in cases {
        let run = Run::new(["record", "-i", "lo", "-p", "80", "-o", &path(output)]);
        let run = run.args(["--zstd-dictionary", &dictionary]);
        let finished = run.finish(PATIENCE).expect_code(2);
        assert!(finished.stderr.contains(want), "{output} {dictionary}: {}", finished.stderr);
        assert!(finished.stderr.contains("--zstd-dictionary"), "{}", finished.stderr);
    }
    let run = Run::new(["mirror", "-i", "lo", "-p", "80", "--to", "http://127.0.0.1:9"]);
    let finished = run.args(["--zstd-dictionary", &path("a.dict")]).finish(PATIENCE);
    assert!(finished.expect_code(2).stderr.contains("--record"));
    assert!(trained.plain.exists());
}

mod privileged {
    use super::*;

    #[test]
    fn a_recording_says_which_dictionary_it_was_packed_with() {
        let trained = Trained::new();
        let (file, dictionary) = (trained.dir.path().join("x.warc.zst"), &trained.file);
        let recording = Run::new(["record", "-i", "lo", "-p", "9", "--duration", "100ms", "-o"])
            .args([&file])
            .args(["--zstd-dictionary"])
            .args([dictionary]);
        recording.finish(PATIENCE).expect_code(0);
        let unpacked = zstd(&["-q", "-d", "-c", "-D", dictionary.to_str().expect("UTF-8")], &file);
        let text = String::from_utf8_lossy(&unpacked.stdout).into_owned();
        let option = format!("option: zstd-dictionary={}\r\n", dictionary.display());
        assert!(text.contains(&option), "{text}");
    }
}
