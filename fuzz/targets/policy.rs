//! Fuzzes `kapsule_testkit::fuzz::policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::policy(data));
