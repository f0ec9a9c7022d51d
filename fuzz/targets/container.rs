//! Fuzzes `kapsule_testkit::fuzz::container`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::container(data));
