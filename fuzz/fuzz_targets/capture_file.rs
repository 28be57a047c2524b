//! Any bytes given to [`shadowtap::capture::file::fuzz_capture_file`], which asserts what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::capture::file::fuzz_capture_file(data));
