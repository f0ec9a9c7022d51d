//! Fuzzes `kapsule_testkit::fuzz::kcbor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::kcbor(data));
