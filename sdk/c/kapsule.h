/* Kapsule modules in C: the imports of `kapsule_v1`, and the exports that a module needs.
 *
 * A module is one translation unit with KAPSULE_MODULE once and KAPSULE_ENTRY for each entry:
 *
 *   #include "kapsule.h"
 *   KAPSULE_MODULE
 *   KAPSULE_ENTRY(run) { return 0; }
 *
 * An entry returns 0 for success; any other value is the module's own error code, from 16 by
 * convention. What each call means is in spec/abi.md.
 */
#ifndef KAPSULE_H
#define KAPSULE_H

#include <stddef.h>
#include <stdint.h>

#define KAPSULE_IMPORT(name) \
  __attribute__((import_module("kapsule_v1"), import_name(#name))) extern
#define KAPSULE_EXPORT(name) __attribute__((export_name(#name)))

/* Says which ABI the module was written for; stands once in a module. */
#define KAPSULE_MODULE \
  KAPSULE_EXPORT(kapsule_abi_version) int32_t kapsule_abi_version(void) { \
    return KAPSULE_ABI_VERSION; \
  }

/* Begins an entry; its name stands in the manifest. */
#define KAPSULE_ENTRY(name) KAPSULE_EXPORT(name) int32_t kapsule_entry_##name(void)

// -- made from the hostcall table --
#define KAPSULE_ABI_VERSION 1
#define KAPSULE_BUFFER_BYTES_MAX 1048576u

enum {
  KAPSULE_NOT_FOUND = -1,
  KAPSULE_INVALID_ARGUMENT = -2,
  KAPSULE_UNSUPPORTED = -3,
  KAPSULE_KEY_NOT_HELD = -4,
  KAPSULE_MALFORMED = -5,
  KAPSULE_REFUSED = -6,
  KAPSULE_UNREACHABLE = -7,
};

/* Hostcall 1: always linked; 16 fuel and 1/8 for each byte; errors: none. */
KAPSULE_IMPORT(input_len) int64_t kapsule_input_len(void);

/* Hostcall 2: always linked; 16 fuel and 1/8 for each byte; errors: none. */
KAPSULE_IMPORT(input_read) int32_t kapsule_input_read(int64_t offset, void *ptr, uint32_t len);

/* Hostcall 3: always linked; 16 fuel and 1/8 for each byte; errors: none. */
KAPSULE_IMPORT(output_write) int32_t kapsule_output_write(const void *ptr, uint32_t len);

/* Hostcall 4: always linked; 16 fuel and 1/8 for each byte; errors: none. */
KAPSULE_IMPORT(log) void kapsule_log(int32_t level, const void *ptr, uint32_t len);

/* Hostcall 5: grant capsule.metadata; 64 fuel and 1/8 for each byte; errors: not found. */
KAPSULE_IMPORT(get_capsule_metadata) int32_t kapsule_get_capsule_metadata(int32_t index, void *ptr, uint32_t len);

/* Hostcall 6: grant capsule.payload; 16 fuel and 1/8 for each byte; errors: not found, key not held. */
KAPSULE_IMPORT(capsule_payload_len) int64_t kapsule_capsule_payload_len(int32_t index);

/* Hostcall 7: grant capsule.payload; 16 fuel and 1/8 for each byte; errors: not found, key not held. */
KAPSULE_IMPORT(capsule_payload_read) int32_t kapsule_capsule_payload_read(int32_t index, int64_t offset, void *ptr, uint32_t len);

/* Hostcall 8: grant capsule.result; 64 fuel and 1/8 for each byte; errors: not found, malformed. */
KAPSULE_IMPORT(submit_capsule_result) int32_t kapsule_submit_capsule_result(int32_t index, const void *ptr, uint32_t len);

/* Hostcall 9: grant trust.read; 64 fuel and 1/8 for each byte; errors: not found, invalid argument. */
KAPSULE_IMPORT(get_trust_score) int64_t kapsule_get_trust_score(const void *key_ptr, uint32_t key_len);

/* Hostcall 10: grant trust.graph; 64 fuel and 1/8 for each byte; errors: invalid argument. */
KAPSULE_IMPORT(trust_edges) int32_t kapsule_trust_edges(int64_t cursor, void *ptr, uint32_t len);

/* Hostcall 11: always linked; 64 fuel and 16/8 for each byte; errors: invalid argument. */
KAPSULE_IMPORT(hash) int32_t kapsule_hash(int32_t alg, const void *ptr, uint32_t len, void *out);

/* Hostcall 12: always linked; 50000 fuel and 16/8 for each byte; errors: unsupported. */
KAPSULE_IMPORT(signature_verify) int32_t kapsule_signature_verify(int32_t suite, const void *key_ptr, uint32_t key_len, const void *msg_ptr, uint32_t msg_len, const void *sig_ptr, uint32_t sig_len);

/* Hostcall 13: grant time; 16 fuel and 1/8 for each byte; errors: none. */
KAPSULE_IMPORT(now) int64_t kapsule_now(void);

/* Hostcall 14: grant random; 16 fuel and 16/8 for each byte; errors: none. */
KAPSULE_IMPORT(random) void kapsule_random(void *ptr, uint32_t len);

/* Hostcall 15: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
KAPSULE_IMPORT(kv_get) int32_t kapsule_kv_get(const void *key_ptr, uint32_t key_len, void *ptr, uint32_t len);

/* Hostcall 16: grant storage; 256 fuel and 8/8 for each byte; errors: invalid argument. */
KAPSULE_IMPORT(kv_set) int32_t kapsule_kv_set(const void *key_ptr, uint32_t key_len, const void *val_ptr, uint32_t val_len);

/* Hostcall 17: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
KAPSULE_IMPORT(kv_delete) int32_t kapsule_kv_delete(const void *key_ptr, uint32_t key_len);

/* Hostcall 18: grant storage; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
KAPSULE_IMPORT(kv_next) int32_t kapsule_kv_next(const void *key_ptr, uint32_t key_len, void *ptr, uint32_t len);

/* Hostcall 19: grant dag.read; 128 fuel and 1/8 for each byte; errors: not found. */
KAPSULE_IMPORT(dag_get) int32_t kapsule_dag_get(const void *id_ptr, void *ptr, uint32_t len);

/* Hostcall 20: grant dag.read; 128 fuel and 1/8 for each byte; errors: not found, invalid argument. */
KAPSULE_IMPORT(dag_children) int32_t kapsule_dag_children(const void *id_ptr, int64_t cursor, void *ptr, uint32_t len);

/* Hostcall 21: grant dag.read; 1000 fuel and 1/8 for each byte; errors: invalid argument, malformed. */
KAPSULE_IMPORT(dag_query) int32_t kapsule_dag_query(const void *ptr, uint32_t len, int64_t cursor, void *out, uint32_t out_len);

/* Hostcall 22: grant agent.propose; 256 fuel and 1/8 for each byte; errors: malformed, refused. */
KAPSULE_IMPORT(propose) int32_t kapsule_propose(const void *ptr, uint32_t len);

/* Hostcall 23: grant compose; 10000 fuel and 1/8 for each byte; errors: not found, invalid argument, refused. */
KAPSULE_IMPORT(call) int32_t kapsule_call(const void *pkg_ptr, const void *entry_ptr, uint32_t entry_len, const void *in_ptr, uint32_t in_len, void *out_ptr, uint32_t out_len);

/* Hostcall 24: grant fs; 1000 fuel and 1/8 for each byte; errors: not found, invalid argument, refused. */
KAPSULE_IMPORT(fs_read) int32_t kapsule_fs_read(const void *path_ptr, uint32_t path_len, int64_t offset, void *ptr, uint32_t len);

/* Hostcall 25: grant fs; 1000 fuel and 8/8 for each byte; errors: not found, invalid argument, refused. */
KAPSULE_IMPORT(fs_write) int32_t kapsule_fs_write(const void *path_ptr, uint32_t path_len, const void *ptr, uint32_t len);

/* Hostcall 26: grant net.clearnet or net.mesh; 10000 fuel and 1/8 for each byte; errors: malformed, refused, unreachable. */
KAPSULE_IMPORT(net_request) int32_t kapsule_net_request(const void *ptr, uint32_t len, void *out, uint32_t out_len);
// -- end of what is made from the table --

#endif
