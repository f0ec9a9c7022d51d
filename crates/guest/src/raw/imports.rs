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
        pub(super) fn kv_get(key_ptr: *const u8, key_len: i32, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn kv_set(
            key_ptr: *const u8,
            key_len: i32,
            val_ptr: *const u8,
            val_len: i32,
        ) -> i32;
        pub(super) fn kv_delete(key_ptr: *const u8, key_len: i32) -> i32;
        pub(super) fn kv_next(key_ptr: *const u8, key_len: i32, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn dag_get(id_ptr: *const u8, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn dag_children(id_ptr: *const u8, cursor: i64, ptr: *mut u8, len: i32) -> i32;
        pub(super) fn dag_query(
            ptr: *const u8,
            len: i32,
            cursor: i64,
            out: *mut u8,
            out_len: i32,
        ) -> i32;
        pub(super) fn propose(ptr: *const u8, len: i32) -> i32;
        pub(super) fn call(
            pkg_ptr: *const u8,
            entry_ptr: *const u8,
            entry_len: i32,
            in_ptr: *const u8,
            in_len: i32,
            out_ptr: *mut u8,
            out_len: i32,
        ) -> i32;
        pub(super) fn fs_read(
            path_ptr: *const u8,
            path_len: i32,
            offset: i64,
            ptr: *mut u8,
            len: i32,
        ) -> i32;
        pub(super) fn fs_write(path_ptr: *const u8, path_len: i32, ptr: *const u8, len: i32)
        -> i32;
        pub(super) fn net_request(ptr: *const u8, len: i32, out: *mut u8, out_len: i32) -> i32;
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

pub(crate) fn kv_get(key: &[u8], buffer: &mut [u8]) -> i32 {
    let (key_len, len) = (length(key), length(buffer));
    // SAFETY: the host reads and writes at most as many bytes as the two slices have.
    unsafe { v1::kv_get(key.as_ptr(), key_len, buffer.as_mut_ptr(), len) }
}

pub(crate) fn kv_set(key: &[u8], value: &[u8]) -> i32 {
    let (key_len, val_len) = (length(key), length(value));
    // SAFETY: the host reads as many bytes as each of the two slices has.
    unsafe { v1::kv_set(key.as_ptr(), key_len, value.as_ptr(), val_len) }
}

pub(crate) fn kv_delete(key: &[u8]) -> i32 {
    let key_len = length(key);
    // SAFETY: the host reads `key_len` bytes, the length of the slice.
    unsafe { v1::kv_delete(key.as_ptr(), key_len) }
}

pub(crate) fn kv_next(key: &[u8], buffer: &mut [u8]) -> i32 {
    let (key_len, len) = (length(key), length(buffer));
    // SAFETY: the host reads and writes at most as many bytes as the two slices have.
    unsafe { v1::kv_next(key.as_ptr(), key_len, buffer.as_mut_ptr(), len) }
}

pub(crate) fn dag_get(id: &[u8; 32], buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host reads 32 bytes, the length of `id`, and writes at most `len` bytes.
    unsafe { v1::dag_get(id.as_ptr(), buffer.as_mut_ptr(), len) }
}

pub(crate) fn dag_children(id: &[u8; 32], cursor: i64, buffer: &mut [u8]) -> i32 {
    let len = length(buffer);
    // SAFETY: the host reads 32 bytes, the length of `id`, and writes at most `len` bytes.
    unsafe { v1::dag_children(id.as_ptr(), cursor, buffer.as_mut_ptr(), len) }
}

pub(crate) fn dag_query(query: &[u8], cursor: i64, buffer: &mut [u8]) -> i32 {
    let (query_len, len) = (length(query), length(buffer));
    // SAFETY: the host reads and writes at most as many bytes as the two slices have.
    unsafe { v1::dag_query(query.as_ptr(), query_len, cursor, buffer.as_mut_ptr(), len) }
}

pub(crate) fn propose(proposal: &[u8]) -> i32 {
    let len = length(proposal);
    // SAFETY: the host reads `len` bytes, the length of the slice.
    unsafe { v1::propose(proposal.as_ptr(), len) }
}

pub(crate) fn call(package: &[u8; 32], entry: &[u8], input: &[u8], output: &mut [u8]) -> i32 {
    let (entry_len, in_len, out_len) = (length(entry), length(input), length(output));
    let (package, entry, input) = (package.as_ptr(), entry.as_ptr(), input.as_ptr());
    // SAFETY: the host reads 32 bytes of `package` and as many bytes as `entry` and `input` have,
    // and writes at most `out_len` bytes, the length of `output`.
    unsafe { v1::call(package, entry, entry_len, input, in_len, output.as_mut_ptr(), out_len) }
}

pub(crate) fn fs_read(path: &[u8], offset: i64, buffer: &mut [u8]) -> i32 {
    let (path_len, len) = (length(path), length(buffer));
    // SAFETY: the host reads and writes at most as many bytes as the two slices have.
    unsafe { v1::fs_read(path.as_ptr(), path_len, offset, buffer.as_mut_ptr(), len) }
}

pub(crate) fn fs_write(path: &[u8], bytes: &[u8]) -> i32 {
    let (path_len, len) = (length(path), length(bytes));
    // SAFETY: the host reads as many bytes as each of the two slices has.
    unsafe { v1::fs_write(path.as_ptr(), path_len, bytes.as_ptr(), len) }
}

pub(crate) fn net_request(request: &[u8], buffer: &mut [u8]) -> i32 {
    let (request_len, len) = (length(request), length(buffer));
    // SAFETY: the host reads and writes at most as many bytes as the two slices have.
    unsafe { v1::net_request(request.as_ptr(), request_len, buffer.as_mut_ptr(), len) }
}
