//! Fuzzes `kapsule_testkit::fuzz::authoring_toml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::authoring_toml(data));
