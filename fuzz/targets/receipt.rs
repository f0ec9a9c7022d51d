//! Fuzzes `kapsule_testkit::fuzz::receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::receipt(data));
