//! The imports of namespace `kapsule_v1`.
//!
//! Every wrapper passes pointer and length of a slice that it holds for the whole call, so the
//! host reads or writes only memory that the caller lent.
#![expect(unsafe_code, reason = "a foreign function that takes a pointer cannot be called safely")]

use kapsule_abi::BUFFER_BYTES_MAX;

mod v1 {
    #[link(wasm_import_module = "kapsule_v1")]
    unsafe extern "C" {
        pub(super) safe fn input_len() -> i64;
        pub(super) fn input_read(offset: i64, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn output_write(ptr: *const u8, len: i32) -> i32;
        pub(super) fn log(level: i32, ptr: *const u8, len: i32);
        pub(super) fn get_capsule_metadata(index: i32, ptr: *mut u8, len: i32) -> i32;
        pub(super) safe fn capsule_payload_len(index: i32) -> i64;
        pub(super) fn capsule_payload_read(index: i32, offset: i64, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn submit_capsule_result(index: i32, ptr: *const u8, len: i32) -> i32;
        pub(super) fn get_trust_score(key_ptr: *const u8, key_len: i32) -> i64;
        pub(super) fn trust_edges(cursor: i64, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn hash(alg: i32, ptr: *const u8, len: i32, out: *mut u8) -> i32;
        pub(super) fn signature_verify(
            suite: i32,
            key_ptr: *const u8,
            key_len: i32,
            msg_ptr: *const u8,
            msg_len: i32,
            sig_ptr: *const u8,
            sig_len: i32,
        ) -> i32;
        pub(super) safe fn now() -> i64;
        pub(super) fn random(ptr: *mut u8, len: i32);
    }
}

/// Returns the length of a buffer as the ABI passes it.
fn length(buffer: &[u8]) -> i32 {
    debug_assert!(buffer.len() <= BUFFER_BYTES_MAX as usize, "callers split longer buffers");
    buffer.len() as i32
}

pub(crate) fn input_len() -> i64 {
    v1::input_len()
}

pub(crate) fn input_read(offset: i64, buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host writes at most `len` bytes, the length of the slice.
    unsafe { v1::input_read(offset, buffer.as_mut_ptr(), len) }
}

pub(crate) fn output_write(bytes: &[u8]) -> i32 {
    let len = length(bytes);
    // SAFETY: the host reads `len` bytes, the length of the slice.
    unsafe { v1::output_write(bytes.as_ptr(), len) }
}

pub(crate) fn log(level: i32, bytes: &[u8]) {
    let len = length(bytes);
    // SAFETY: the host reads `len` bytes, the length of the slice.
    unsafe { v1::log(level, bytes.as_ptr(), len) }
}

pub(crate) fn get_capsule_metadata(index: i32, buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host writes at most `len` bytes, the length of the slice.
    unsafe { v1::get_capsule_metadata(index, buffer.as_mut_ptr(), len) }
}

pub(crate) fn capsule_payload_len(index: i32) -> i64 {
    v1::capsule_payload_len(index)
}

pub(crate) fn capsule_payload_read(index: i32, offset: i64, buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host writes at most `len` bytes, the length of the slice.
    unsafe { v1::capsule_payload_read(index, offset, buffer.as_mut_ptr(), len) }
}

pub(crate) fn submit_capsule_result(index: i32, bytes: &[u8]) -> i32 {
    let len = length(bytes);
    // SAFETY: the host reads `len` bytes, the length of the slice.
    unsafe { v1::submit_capsule_result(index, bytes.as_ptr(), len) }
}

pub(crate) fn get_trust_score(key: &[u8]) -> i64 {
    let len = length(key);
    // SAFETY: the host reads `len` bytes, the length of the slice.
    unsafe { v1::get_trust_score(key.as_ptr(), len) }
}

pub(crate) fn trust_edges(cursor: i64, buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host writes at most `len` bytes, the length of the slice.
    unsafe { v1::trust_edges(cursor, buffer.as_mut_ptr(), len) }
}

pub(crate) fn hash(alg: i32, bytes: &[u8], out: &mut [u8; 32]) -> i32 {
    let len = length(bytes);
    // SAFETY: the host reads `len` bytes, the length of the slice, and writes 32, that of `out`.
    unsafe { v1::hash(alg, bytes.as_ptr(), len, out.as_mut_ptr()) }
}

pub(crate) fn signature_verify(suite: i32, key: &[u8], message: &[u8], signature: &[u8]) -> i32 {
    let (key_len, msg_len, sig_len) = (length(key), length(message), length(signature));
    let (key, message, signature) = (key.as_ptr(), message.as_ptr(), signature.as_ptr());
    // SAFETY: the host reads as many bytes as each of the three slices has.
    unsafe { v1::signature_verify(suite, key, key_len, message, msg_len, signature, sig_len) }
}

pub(crate) fn now() -> i64 {
    v1::now()
}

pub(crate) fn random(buffer: &mut [u8]) {
    let len = length(buffer);
    // SAFETY: the host writes `len` bytes, the length of the slice.
    unsafe { v1::random(buffer.as_mut_ptr(), len) }
}
