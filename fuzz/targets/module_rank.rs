//! Fuzzes `kapsule_testkit::fuzz::module_rank`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::module_rank(data));
