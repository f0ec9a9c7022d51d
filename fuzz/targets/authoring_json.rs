//! Fuzzes `kapsule_testkit::fuzz::authoring_json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::authoring_json(data));
