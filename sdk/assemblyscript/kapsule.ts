// Kapsule modules in AssemblyScript: the imports of `kapsule_v1`, and what a module needs besides.
//
// Compile with `--use abort=kapsule/abort` and export `kapsule_abi_version` from the entry file:
//
//   export { kapsule_abi_version } from "./kapsule";
//   export function run(): i32 { return 0; }
//
// An entry returns 0 for success; any other value is the module's own error code, from 16 by
// convention. What each call means is in spec/abi.md.

/** Says which ABI the module was written for. */
export function kapsule_abi_version(): i32 {
  return 1;
}

/** Stands in for the `abort` of the environment: logs the message and traps. */
export function abort(message: string | null, _file: string | null, _line: u32, _column: u32): void {
  if (message) {
    const bytes = String.UTF8.encode(message);
    log(0, changetype<usize>(bytes), bytes.byteLength);
  }
  unreachable();
}

// -- made from the hostcall table --
export const ABI_VERSION: i32 = 1;
export const BUFFER_BYTES_MAX: u32 = 1048576;

export const NOT_FOUND: i32 = -1;
export const INVALID_ARGUMENT: i32 = -2;
export const UNSUPPORTED: i32 = -3;
export const KEY_NOT_HELD: i32 = -4;
export const MALFORMED: i32 = -5;
export const REFUSED: i32 = -6;
export const UNREACHABLE: i32 = -7;

/** Hostcall 1: always linked; 16 fuel and 1/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "input_len")
export declare function input_len(): i64;

/** Hostcall 2: always linked; 16 fuel and 1/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "input_read")
export declare function input_read(offset: i64, ptr: usize, len: u32): i32;

/** Hostcall 3: always linked; 16 fuel and 1/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "output_write")
export declare function output_write(ptr: usize, len: u32): i32;

/** Hostcall 4: always linked; 16 fuel and 1/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "log")
export declare function log(level: i32, ptr: usize, len: u32): void;

/** Hostcall 5: grant capsule.metadata; 64 fuel and 1/8 for each byte; errors: not found. */
// @ts-ignore: decorator
@external("kapsule_v1", "get_capsule_metadata")
export declare function get_capsule_metadata(index: i32, ptr: usize, len: u32): i32;

/** Hostcall 6: grant capsule.payload; 16 fuel and 1/8 for each byte; errors: not found, key not held. */
// @ts-ignore: decorator
@external("kapsule_v1", "capsule_payload_len")
export declare function capsule_payload_len(index: i32): i64;

/** Hostcall 7: grant capsule.payload; 16 fuel and 1/8 for each byte; errors: not found, key not held. */
// @ts-ignore: decorator
@external("kapsule_v1", "capsule_payload_read")
export declare function capsule_payload_read(index: i32, offset: i64, ptr: usize, len: u32): i32;

/** Hostcall 8: grant capsule.result; 64 fuel and 1/8 for each byte; errors: not found, malformed. */
// @ts-ignore: decorator
@external("kapsule_v1", "submit_capsule_result")
export declare function submit_capsule_result(index: i32, ptr: usize, len: u32): i32;

/** Hostcall 9: grant trust.read; 64 fuel and 1/8 for each byte; errors: not found, invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "get_trust_score")
export declare function get_trust_score(key_ptr: usize, key_len: u32): i64;

/** Hostcall 10: grant trust.graph; 64 fuel and 1/8 for each byte; errors: invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "trust_edges")
export declare function trust_edges(cursor: i64, ptr: usize, len: u32): i32;

/** Hostcall 11: always linked; 64 fuel and 16/8 for each byte; errors: invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "hash")
export declare function hash(alg: i32, ptr: usize, len: u32, out: usize): i32;

/** Hostcall 12: always linked; 50000 fuel and 16/8 for each byte; errors: unsupported. */
// @ts-ignore: decorator
@external("kapsule_v1", "signature_verify")
export declare function signature_verify(suite: i32, key_ptr: usize, key_len: u32, msg_ptr: usize, msg_len: u32, sig_ptr: usize, sig_len: u32): i32;

/** Hostcall 13: grant time; 16 fuel and 1/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "now")
export declare function now(): i64;

/** Hostcall 14: grant random; 16 fuel and 16/8 for each byte; errors: none. */
// @ts-ignore: decorator
@external("kapsule_v1", "random")
export declare function random(ptr: usize, len: u32): void;

/** Hostcall 15: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "kv_get")
export declare function kv_get(key_ptr: usize, key_len: u32, ptr: usize, len: u32): i32;

/** Hostcall 16: grant storage; 256 fuel and 8/8 for each byte; errors: invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "kv_set")
export declare function kv_set(key_ptr: usize, key_len: u32, val_ptr: usize, val_len: u32): i32;

/** Hostcall 17: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "kv_delete")
export declare function kv_delete(key_ptr: usize, key_len: u32): i32;

/** Hostcall 18: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "kv_next")
export declare function kv_next(key_ptr: usize, key_len: u32, ptr: usize, len: u32): i32;

/** Hostcall 19: grant dag.read; 128 fuel and 1/8 for each byte; errors: not found. */
// @ts-ignore: decorator
@external("kapsule_v1", "dag_get")
export declare function dag_get(id_ptr: usize, ptr: usize, len: u32): i32;

/** Hostcall 20: grant dag.read; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
// @ts-ignore: decorator
@external("kapsule_v1", "dag_children")
export declare function dag_children(id_ptr: usize, cursor: i64, ptr: usize, len: u32): i32;

/** Hostcall 21: grant dag.read; 1000 fuel and 1/8 for each byte; errors: invalid argument, malformed. */
// @ts-ignore: decorator
@external("kapsule_v1", "dag_query")
export declare function dag_query(ptr: usize, len: u32, cursor: i64, out: usize, out_len: u32): i32;

/** Hostcall 22: grant agent.propose; 256 fuel and 1/8 for each byte; errors: malformed, refused. */
// @ts-ignore: decorator
@external("kapsule_v1", "propose")
export declare function propose(ptr: usize, len: u32): i32;

/** Hostcall 23: grant compose; 10000 fuel and 1/8 for each byte; errors: not found, invalid argument, refused. */
// @ts-ignore: decorator
@external("kapsule_v1", "call")
export declare function call(pkg_ptr: usize, entry_ptr: usize, entry_len: u32, in_ptr: usize, in_len: u32, out_ptr: usize, out_len: u32): i32;

/** Hostcall 24: grant fs; 1000 fuel and 1/8 for each byte; errors: not found, invalid argument, refused. */
// @ts-ignore: decorator
@external("kapsule_v1", "fs_read")
export declare function fs_read(path_ptr: usize, path_len: u32, offset: i64, ptr: usize, len: u32): i32;

/** Hostcall 25: grant fs; 1000 fuel and 8/8 for each byte; errors: not found, invalid argument, refused. */
// @ts-ignore: decorator
@external("kapsule_v1", "fs_write")
export declare function fs_write(path_ptr: usize, path_len: u32, ptr: usize, len: u32): i32;

/** Hostcall 26: grant net.clearnet or net.mesh; 10000 fuel and 1/8 for each byte; errors: malformed, refused, unreachable. */
// @ts-ignore: decorator
@external("kapsule_v1", "net_request")
export declare function net_request(ptr: usize, len: u32, out: usize, out_len: u32): i32;
// -- end of what is made from the table --
