//! The captures in `fixtures/`, what they must yield, and their frames put on a live wire.
//!
//! Guarantees: what a fixture must yield was written from the servers' and clients' own knowledge, see
//! `fixtures/README.md`; here it is only read and compared.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::netns::Place;
use super::request::Request;

/// A file in `fixtures/`, by its name.
pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file)
}

/// Every capture there is, by the name without its ending, in alphabetical order.
#[track_caller]
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(path("")).expect("the fixtures directory");
    let files = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> =
        files.filter_map(|file| file.strip_suffix(".pcap").map(str::to_owned)).collect();
    names.sort();
    names
}

/// What a capture must yield: one object for each request.
#[track_caller]
pub fn expected(name: &str) -> Vec<Value> {
    json_lines(&std::fs::read(path(&format!("{name}.expected.jsonl"))).expect("the expectation"))
}

/// The requests of a capture that are whole, as v2 must receive them.
#[track_caller]
pub fn requests(name: &str) -> Vec<Request> {
    let whole = expected(name).into_iter().filter(|entry| entry["complete"] == true);
    whole.map(|entry| request(&entry)).collect()
}

/// An object of `inspect --json`, or of an expectation, as a request.
#[track_caller]
pub fn request(entry: &Value) -> Request {
    let text = |key: &str| entry[key].as_str().unwrap_or_else(|| panic!("no {key} in {entry}"));
    let hash = text("body_sha256");
    let byte = |i: usize| hash.get(2 * i..2 * i + 2).and_then(|h| u8::from_str_radix(h, 16).ok());
    let body_sha256 = std::array::from_fn(|i| byte(i).expect("64 hexadecimal digits"));
    Request { method: text("method").into(), target: text("target").into(), body_sha256 }
}

/// The objects of a file or an output with one JSON object on each line.
#[track_caller]
pub fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let values: Result<_, _> = serde_json::Deserializer::from_slice(bytes).into_iter().collect();
    values.unwrap_or_else(|err| panic!("not JSON ({err}): {}", String::from_utf8_lossy(bytes)))
}

/// Panics unless the requests among `got` (objects of `inspect --json`) are those expected: as many,
/// within each connection in this order, every key of the expectation met.
///
/// `status` is the response's and is not compared here.
#[track_caller]
pub fn assert_yields(expected: &[Value], got: &[Value]) {
    let by_client = |entries: &[Value]| {
        let mut requests: Vec<_> =
            entries.iter().filter(|entry| entry["kind"] == "request").cloned().collect();
        requests.sort_by_key(|entry| entry["client"].as_str().unwrap_or_default().to_owned());
        requests
    };
    let (expected, got) = (by_client(expected), by_client(got));
    let lines = |all: &[Value]| {
        let line = |e: &Value| format!("  {} {} {}\n", e["client"], e["method"], e["target"]);
        all.iter().map(line).collect::<String>()
    };
    assert!(
        expected.len() == got.len(),
        "expected {} requests:\n{}got {}:\n{}",
        expected.len(),
        lines(&expected),
        got.len(),
        lines(&got)
    );
    for (want, have) in expected.iter().zip(&got) {
        let keys = want.as_object().expect("an object");
        for (key, value) in keys.iter().filter(|(key, _)| *key != "status") {
            assert_eq!(&have[key], value, "{key} differs: expected {want}\ngot {have}");
        }
    }
}

/// Sends every frame of a capture on an interface, as it is in the file. Whoever captures at the
/// link's other end sees them as live traffic. Returns how many were sent.
///
/// Meant for `span0` of [`super::netns::Pod::add_span`], whose MTU every frame fits. Not for
/// `any-cooked*`, which have no Ethernet header.
#[track_caller]
pub fn inject(name: &str, place: &Place, interface: &str) -> usize {
    super::require_root();
    let mut file = pcap::Capture::from_file(path(&format!("{name}.pcap"))).expect("a capture");
    place.run(|| {
        let wire = pcap::Capture::from_device(interface).and_then(|device| device.open());
        let mut wire = wire.expect("root may open an interface");
        let mut sent = 0;
        while let Ok(packet) = file.next_packet() {
            wire.sendpacket(packet.data).expect("a frame that fits");
            sent += 1;
        }
        sent
    })
}
