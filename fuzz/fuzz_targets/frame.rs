//! Any bytes given to [`shadowtap::decode::fuzz_frame`], which asserts what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::decode::fuzz_frame(data));
