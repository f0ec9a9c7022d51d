//! Fuzzes `kapsule_testkit::fuzz::proof`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::proof(data));
