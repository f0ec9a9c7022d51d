//! Fuzzes `kapsule_testkit::fuzz::mod_decode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::mod_decode(data));
