//! Any bytes given to [`shadowtap::http::fuzz_request_stream`], which asserts what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| shadowtap::http::fuzz_request_stream(data));
