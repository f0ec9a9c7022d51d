//! What takes the place of the imports in a program for the host: there is no host to ask.

const REASON: &str = "a hostcall needs a Kapsule host; feature `test-host` has a test double";

pub(crate) fn input_len() -> i64 {
    panic!("{REASON}")
}

pub(crate) fn input_read(_: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn output_write(_: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn log(_: i32, _: &[u8]) {
    panic!("{REASON}")
}

pub(crate) fn get_capsule_metadata(_: i32, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn capsule_payload_len(_: i32) -> i64 {
    panic!("{REASON}")
}

pub(crate) fn capsule_payload_read(_: i32, _: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn submit_capsule_result(_: i32, _: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn get_trust_score(_: &[u8]) -> i64 {
    panic!("{REASON}")
}

pub(crate) fn trust_edges(_: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn hash(_: i32, _: &[u8], _: &mut [u8; 32]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn signature_verify(_: i32, _: &[u8], _: &[u8], _: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn now() -> i64 {
    panic!("{REASON}")
}

pub(crate) fn random(_: &mut [u8]) {
    panic!("{REASON}")
}

pub(crate) fn kv_get(_: &[u8], _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn kv_set(_: &[u8], _: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn kv_delete(_: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn kv_next(_: &[u8], _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn dag_get(_: &[u8; 32], _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn dag_children(_: &[u8; 32], _: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn dag_query(_: &[u8], _: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn propose(_: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn call(_: &[u8; 32], _: &[u8], _: &[u8], _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn fs_read(_: &[u8], _: i64, _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn fs_write(_: &[u8], _: &[u8]) -> i32 {
    panic!("{REASON}")
}

pub(crate) fn net_request(_: &[u8], _: &mut [u8]) -> i32 {
    panic!("{REASON}")
}
