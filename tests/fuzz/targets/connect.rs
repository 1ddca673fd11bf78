//! See `fuzz::connect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::connect(data));
