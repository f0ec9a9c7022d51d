//! Fuzzes `kapsule_testkit::fuzz::module_trust`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::module_trust(data));
