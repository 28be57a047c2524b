//! Any bytes given to [`shadowtap::reassemble::fuzz_segments`], which asserts what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::reassemble::fuzz_segments(data));
