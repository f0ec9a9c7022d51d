//! Limits of every format, with their names.
//!
//! A reader may use a lower limit than the hard one, never a higher one.
//!
//! # Spec
//! `spec/limits.md`.

use crate::closure::ClosureLimits;

/// Greatest number of open arrays, maps or objects.
pub const DEPTH_MAX: u32 = 16;

/// Greatest length of one text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 16;

/// Greatest length of one record of a KLOG file, in bytes.
pub const RECORD_BYTES_MAX: usize = 1 << 24;

/// Greatest length of an RJSON file without a limit of its own, in bytes.
pub const JSON_FILE_BYTES_MAX: usize = 1 << 24;

/// Greatest length of an envelope file, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 1 << 16;

/// Greatest number of envelopes read of one container.
pub const ENVELOPES_MAX: usize = 16;

/// Greatest number of entries of a container that is read.
pub const CONTAINER_ENTRIES_MAX: usize = 4_096;

/// Greatest length of an entry name in a container, in bytes.
pub const CONTAINER_NAME_BYTES_MAX: usize = 99;

/// Greatest length of an entry of a container that is read, in bytes.
pub const ENTRY_BYTES_MAX: usize = 1 << 30;

/// Greatest length of the index of a container, in bytes.
pub const INDEX_BYTES_MAX: usize = 1 << 20;

/// Greatest length of a container that is read, in bytes.
pub const CONTAINER_BYTES_MAX: u64 = 1 << 32;

/// Greatest length of the metadata of a capsule, in bytes.
pub const CAPSULE_META_BYTES_MAX: usize = 1 << 16;

/// Greatest length of a capsule that is read, in bytes.
pub const CAPSULE_BYTES_MAX: u64 = 1 << 26;

/// Greatest plaintext of a capsule's payload that is read, in bytes.
pub const CAPSULE_PLAINTEXT_BYTES_MAX: usize = 1 << 24;

/// Greatest number of capsules that one follows.
pub const CAPSULE_PARENTS_MAX: u64 = 16;

/// Greatest number of flags of a capsule.
pub const CAPSULE_FLAGS_MAX: u64 = 16;

/// Greatest number of bound entries of a capsule.
pub const CAPSULE_ENTRIES_MAX: u64 = 8;

/// Greatest number of capsules of a snapshot that is read: what a container holds beside its index
/// and envelopes, in round figures.
pub const SNAPSHOT_CAPSULES_MAX: u64 = 4_000;

/// Greatest number of heads of a snapshot.
pub const SNAPSHOT_HEADS_MAX: u64 = 1_024;

/// Greatest number of writers, and of revoked identities, in a keyring.
pub const KEYRING_IDS_MAX: u64 = 256;

/// Greatest number of owners in a keyring.
pub const KEYRING_OWNERS_MAX: u64 = 16;

/// Greatest number of runs that a receipt lists inside its run.
pub const NESTED_RUNS_MAX: u64 = 256;

/// Greatest number of runs that may be inside each other, the outermost not counted.
pub const NESTING_MAX: u64 = 32;

/// Greatest number of runs inside a run, on all levels, that an audit bundle records.
///
/// Chosen: as many as checkpoints.
pub const RECORDED_RUNS_MAX: u64 = 65_536;

/// Greatest number of chunks of an audit bundle that a challenge asks for.
pub const SAMPLES_MAX: u64 = 1_024;

/// Greatest length of the answer to a challenge, in bytes.
pub const RESPONSE_BYTES_MAX: u64 = 1 << 27;

/// Greatest number of checkpoints of one run that are read.
pub const CHECKPOINTS_MAX: u64 = 65_536;

/// Greatest length of a package file, in bytes.
pub const PACKAGE_BYTES_MAX: u64 = (1 << 30) + (1 << 25);

/// Greatest length of a manifest, in bytes.
pub const MANIFEST_BYTES_MAX: usize = 1 << 16;

/// Greatest length of a runtime policy, in bytes.
pub const POLICY_BYTES_MAX: usize = 1 << 16;

/// Greatest length of a payload, in bytes.
pub const PAYLOAD_BYTES_MAX: u64 = 1 << 30;

/// Greatest length of a proof section, in bytes.
pub const PROOF_SECTION_BYTES_MAX: usize = 1 << 24;

/// Greatest number of items in a proof section.
pub const PROOF_ITEMS_MAX: usize = 8;

/// Greatest number of entries in a dependency map.
pub const DEPENDENCIES_MAX: usize = 1_024;

/// Greatest number of entries in a signature trailer.
pub const TRAILER_ENTRIES_MAX: usize = 16;

/// Greatest number of recipient stanzas of an encrypted payload, grease left out.
pub const STANZAS_MAX: usize = 64;

/// Greatest number of hostcall names in a policy.
pub const HOSTCALL_NAMES_MAX: usize = 64;

/// Greatest number of paths in one list of a policy.
pub const PATHS_MAX: usize = 64;

/// Greatest length of a guest path, in bytes.
pub const PATH_BYTES_MAX: usize = 255;

/// Greatest number of royalties in a manifest.
pub const ROYALTIES_MAX: usize = 16;

/// Greatest number of splits in a manifest.
pub const SPLITS_MAX: usize = 6;

/// Greatest length of an authoring file, in bytes.
pub const AUTHORING_BYTES_MAX: usize = 1 << 18;

/// Greatest fuel of one run.
pub const FUEL_MAX: u64 = (1 << 53) - 1;

/// Greatest linear memory of one run, in bytes.
pub const MEMORY_BYTES_MAX: u64 = 1 << 26;

/// Greatest length of a module, in bytes.
pub const MODULE_BYTES_MAX: u64 = 1 << 26;

/// Greatest number of hostcalls of one run.
pub const CALLS_MAX: u64 = (1 << 32) - 1;

/// Greatest output of one run, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 1 << 30;

/// Greatest number of keys in the storage of one package.
pub const STORAGE_KEYS_MAX: u64 = 65_536;
/// Greatest length of a storage key, in bytes.
pub const STORAGE_KEY_BYTES_MAX: usize = 256;
/// Greatest length of a storage value, in bytes.
pub const STORAGE_VALUE_BYTES_MAX: usize = 1 << 20;
/// Greatest storage of one package, in bytes.
pub const STORAGE_BYTES_MAX: u64 = 1 << 32;

/// Greatest log of one run, in bytes.
pub const LOG_BYTES_MAX: u64 = 1 << 24;

/// Greatest number of transcript entries of one run.
pub const TRANSCRIPT_ENTRIES_MAX: u64 = 1 << 24;

/// Greatest number of keys of one identity.
pub const IDENTITY_KEYS_MAX: usize = 4;

/// Greatest number of keys in a trust file.
pub const TRUST_KEYS_MAX: usize = 4_096;

/// Greatest number of companions of a trust file: four keys of sixteen identities.
pub const TRUST_COMPANIONS_MAX: usize = 64;

/// Greatest number of items in each list of a record of what is known.
///
/// Chosen: as many as an access list has.
pub const KNOWN_ITEMS_MAX: usize = 65_536;

/// Greatest number of policies in a registry.
pub const REGISTRY_POLICIES_MAX: usize = 65_536;

/// Greatest number of entries in an access list.
pub const ACL_ENTRIES_MAX: usize = 65_536;

/// Greatest length of an entry of the audit log, in bytes.
pub const LOG_ENTRY_BYTES_MAX: usize = 16_384;
/// Greatest length of a signed note, in bytes.
pub const NOTE_BYTES_MAX: usize = 1 << 16;
/// Greatest number of lines of a signed note.
pub const NOTE_LINES_MAX: usize = 32;
/// Greatest length of a log proof, in bytes.
pub const LOG_PROOF_BYTES_MAX: usize = 131_072;

/// One line of the table of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub name: &'static str,
    /// Value that no setting may exceed.
    pub hard: u64,
    /// Value without a setting.
    pub default: u64,
    /// Unit, such as `bytes`.
    pub unit: &'static str,
}

const fn limit(name: &'static str, hard: u64, default: u64, unit: &'static str) -> Limit {
    Limit { name, hard, default, unit }
}

/// A limit whose default is the hard value.
const fn fixed(name: &'static str, hard: u64, unit: &'static str) -> Limit {
    limit(name, hard, hard, unit)
}

const CLOSURE_HARD: ClosureLimits = ClosureLimits::HARD;
const CLOSURE_DEFAULT: ClosureLimits = ClosureLimits::DEFAULT;

/// Every limit, in the order of `spec/limits.md`.
pub const TABLE: &[Limit] = &[
    limit("package file", PACKAGE_BYTES_MAX, 1 << 26, "bytes"),
    fixed("manifest", MANIFEST_BYTES_MAX as u64, "bytes"),
    fixed("runtime policy", POLICY_BYTES_MAX as u64, "bytes"),
    limit("payload", PAYLOAD_BYTES_MAX, 1 << 26, "bytes"),
    fixed("proof section", PROOF_SECTION_BYTES_MAX as u64, "bytes"),
    fixed("proof items", PROOF_ITEMS_MAX as u64, "items"),
    fixed("one proof in a package", 1 << 24, "bytes"),
    limit("one proof in a receipt", 1 << 32, 1 << 29, "bytes"),
    fixed("dependencies", DEPENDENCIES_MAX as u64, "entries"),
    limit("dependency depth", CLOSURE_HARD.depth as u64, CLOSURE_DEFAULT.depth as u64, "levels"),
    limit(
        "dependency closure",
        CLOSURE_HARD.count as u64,
        CLOSURE_DEFAULT.count as u64,
        "packages",
    ),
    limit("dependency closure size", CLOSURE_HARD.bytes, CLOSURE_DEFAULT.bytes, "bytes"),
    fixed("trailer entries", TRAILER_ENTRIES_MAX as u64, "entries"),
    fixed("envelopes of one container", ENVELOPES_MAX as u64, "files"),
    fixed("envelope file", ENVELOPE_BYTES_MAX as u64, "bytes"),
    fixed("hostcall names", HOSTCALL_NAMES_MAX as u64, "names"),
    fixed("path entries", PATHS_MAX as u64, "paths per list"),
    fixed("path", PATH_BYTES_MAX as u64, "bytes"),
    fixed("royalties", ROYALTIES_MAX as u64, "entries"),
    fixed("splits", SPLITS_MAX as u64, "entries"),
    fixed("authoring file", AUTHORING_BYTES_MAX as u64, "bytes"),
    limit("fuel", FUEL_MAX, 1_000_000_000, "fuel"),
    fixed("guest memory", MEMORY_BYTES_MAX, "bytes"),
    limit("module", MODULE_BYTES_MAX, 1 << 22, "bytes"),
    limit("hostcalls", CALLS_MAX, 100_000, "calls"),
    limit("output", OUTPUT_BYTES_MAX, 1 << 20, "bytes"),
    limit("storage", STORAGE_BYTES_MAX, 0, "bytes"),
    limit("log", LOG_BYTES_MAX, 1 << 16, "bytes"),
    fixed("storage keys", STORAGE_KEYS_MAX, "keys"),
    fixed("storage key", STORAGE_KEY_BYTES_MAX as u64, "bytes"),
    fixed("storage value", STORAGE_VALUE_BYTES_MAX as u64, "bytes"),
    fixed("hostcall request or response", kapsule_abi::BUFFER_BYTES_MAX as u64, "bytes"),
    limit("transcript entries", TRANSCRIPT_ENTRIES_MAX, 1 << 20, "entries"),
    limit("checkpoints", 1 << 20, CHECKPOINTS_MAX, "checkpoints"),
    fixed("recorded runs inside a run", RECORDED_RUNS_MAX, "runs"),
    limit("container file", 1 << 36, CONTAINER_BYTES_MAX, "bytes"),
    limit("container entries", 65_535, CONTAINER_ENTRIES_MAX as u64, "entries"),
    fixed("container name", CONTAINER_NAME_BYTES_MAX as u64, "bytes"),
    limit("container entry", (1 << 33) - 1, ENTRY_BYTES_MAX as u64, "bytes"),
    fixed("container index", INDEX_BYTES_MAX as u64, "bytes"),
    fixed("capsule metadata", CAPSULE_META_BYTES_MAX as u64, "bytes"),
    limit("capsule file", 1 << 30, CAPSULE_BYTES_MAX, "bytes"),
    limit("capsule payload plaintext", 1 << 30, CAPSULE_PLAINTEXT_BYTES_MAX as u64, "bytes"),
    fixed("capsule parents", CAPSULE_PARENTS_MAX, "entries"),
    fixed("capsule flags", CAPSULE_FLAGS_MAX, "entries"),
    fixed("stanzas", STANZAS_MAX as u64, "entries"),
    fixed("keyring writers or revoked", KEYRING_IDS_MAX, "entries"),
    fixed("owners", KEYRING_OWNERS_MAX, "entries"),
    fixed("KCBOR or RJSON depth", DEPTH_MAX as u64, "levels"),
    fixed("text", TEXT_BYTES_MAX as u64, "bytes"),
    fixed("other RJSON file", JSON_FILE_BYTES_MAX as u64, "bytes"),
    fixed("arguments", 4_096, "entries"),
    fixed("environment", 1_024, "entries"),
    limit("tree files", 1 << 20, 1 << 17, "files"),
    fixed("tree depth", 64, "levels"),
    fixed("directory", 65_536, "entries"),
    fixed("event line", 16_384, "bytes"),
    limit("events", 1 << 24, 1 << 20, "lines"),
    limit("samples", 1_024, 256, "chunks"),
    limit("sample response", 1 << 27, 1 << 25, "bytes"),
    limit("retries", 10, 2, "tries"),
    limit("provider time-out", 60_000, 5_000, "ms"),
    limit("grant life", 31, 1, "days"),
    fixed("log entry", LOG_ENTRY_BYTES_MAX as u64, "bytes"),
    fixed("note", NOTE_BYTES_MAX as u64, "bytes"),
    fixed("note lines", NOTE_LINES_MAX as u64, "lines"),
    fixed("log proof", LOG_PROOF_BYTES_MAX as u64, "bytes"),
    fixed("registry policies", REGISTRY_POLICIES_MAX as u64, "entries"),
    fixed("access list", ACL_ENTRIES_MAX as u64, "entries"),
    fixed("trust keys", TRUST_KEYS_MAX as u64, "keys"),
    fixed("trust companions", TRUST_COMPANIONS_MAX as u64, "files"),
    fixed("known items", KNOWN_ITEMS_MAX as u64, "entries per list"),
    limit("snapshot capsules", 60_000, SNAPSHOT_CAPSULES_MAX, "capsules"),
    fixed("snapshot heads", SNAPSHOT_HEADS_MAX, "heads"),
];

// A setting starts at a value that is allowed.
const _: () = {
    let mut index = 0;
    while index < TABLE.len() {
        assert!(TABLE[index].default <= TABLE[index].hard, "a default is within its limit");
        index += 1;
    }
};
