//! Fuzzes `kapsule_testkit::fuzz::capsule`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::capsule(data));
