//! See `fuzz::permissions`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::permissions(data));
