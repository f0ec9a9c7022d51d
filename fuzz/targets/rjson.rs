//! Fuzzes `kapsule_testkit::fuzz::rjson`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kapsule_testkit::fuzz::rjson(data));
