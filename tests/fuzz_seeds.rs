//! The seeds that fuzzing found are replayed through the same bodies, on a stable compiler.
//!
//! In: `fuzz/seeds/TARGET.tar.gz`. Each body asserts what must hold for any input.

use std::path::Path;
use std::process::Command;

/// Runs a body over the seeds of its target.
#[track_caller]
fn replay(target: &str, body: fn(&[u8])) {
    let archive = format!("{}/fuzz/seeds/{target}.tar.gz", env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut tar = Command::new("tar");
    tar.args(["-xzf", &archive, "-C"]).arg(folder.path());
    assert!(tar.status().expect("tar").success(), "{archive}");
    let seeds = seeds_in(folder.path());
    assert!(seeds.len() >= 50, "{archive} holds {} seeds", seeds.len());
    for seed in &seeds {
        body(seed);
    }
}

fn seeds_in(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("entry"));
    entries.map(|entry| std::fs::read(entry.path()).expect("a seed")).collect()
}

#[test]
fn frame() {
    replay("frame", shadowtap::decode::fuzz_frame);
}

#[test]
fn segments() {
    replay("segments", shadowtap::reassemble::fuzz_segments);
}

#[test]
fn request_stream() {
    replay("request_stream", shadowtap::http::fuzz_request_stream);
}

#[test]
fn response_stream() {
    replay("response_stream", shadowtap::http::fuzz_response_stream);
}

#[test]
fn capture_file() {
    replay("capture_file", shadowtap::capture::file::fuzz_capture_file);
}

#[test]
fn gor() {
    replay("gor", shadowtap::record::gor::fuzz_gor);
}
