//! Any bytes given to [`shadowtap::record::gor::fuzz_gor`], which asserts what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::record::gor::fuzz_gor(data));
