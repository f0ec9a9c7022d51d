//! Fuzzes `kapsule_testkit::fuzz::authoring_yaml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::authoring_yaml(data));
