//! Fuzzes `kapsule_testkit::fuzz::module_blocklist`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::module_blocklist(data));
