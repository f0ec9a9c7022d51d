//! Transcript of a run: the hostcalls in order with their answers, enough to replay it.
//!
//! # Spec
//! `spec/transcript.md`; vectors in `spec/vectors/transcript/`.

mod commit;
mod entries;
mod file;
mod state;

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::Outcome;

pub use commit::{ZERO_HEAD, input_commitment, next_head, output_commitment, root};
pub use entries::{Draft, Entries, Entry, Iter};
pub(crate) use file::{push_entry, write_entry};
pub use file::{read_entries, write_entries};
pub use state::{State, empty_storage_root, globals_hash, memory_root};

use crate::Digest;
use crate::cbor::Value;
use crate::hash::digest_id;
use crate::package::{CoreHash, PackageId};
use crate::policy::Policy;

/// Format name of a transcript file.
pub const FORMAT: &str = "kapsule/transcript/1";

/// Greatest number of entries (`spec/limits.md`).
pub const ENTRIES_MAX: usize = crate::limits::TRANSCRIPT_ENTRIES_MAX as usize;

/// Greatest length of one request or response in bytes.
///
/// A record also holds the integer arguments, results and written lengths, each 8 bytes; no
/// hostcall has more than 16 of them.
pub const EXCHANGE_BYTES_MAX: usize = (1 << 20) + 128;

/// Greatest number of keys of a run header, so that the format name stands at offset 7.
pub const HEADER_KEYS_MAX: usize = 23;

digest_id!(
    /// Hash of memory size, memory, globals and storage at one moment of a run.
    StateHash
);

/// Entries of a map with keys 64 to 65535: preserved and shown, never given meaning.
pub type Extensions = Vec<(u64, Value)>;

/// A whole transcript file.
///
/// Nothing in it is authenticated by itself; a receipt binds its root and its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// What was run, and with what.
    pub header: Header,
    /// One entry for each hostcall, in order; the position is the sequence number.
    pub entries: Entries,
    /// How the run ended.
    pub end: End,
}

/// What was run, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `capsule_hash` of the package.
    pub capsule_hash: PackageId,
    /// `core_hash` of the package.
    pub core_hash: CoreHash,
    /// Contract with the host, such as `kapsule_v1`.
    pub abi: Cow<'static, str>,
    /// Wasm profile, such as `integer-1`.
    pub profile: Cow<'static, str>,
    /// Version of the metering rules, such as `fuel-1 stack-1 meter-1`.
    pub metering: Cow<'static, str>,
    /// Function that was called.
    pub entry: String,
    /// Granted fuel.
    pub fuel: u64,
    /// Granted memory in bytes.
    pub memory_bytes: u64,
    /// Effective policy of the run.
    pub policy: Policy,
    /// Seed of the hostcall `random`; zero bytes where the job had no nonce.
    pub seed: [u8; 32],
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Outcome.
    pub outcome: Outcome,
    /// Fuel used, at most the granted fuel.
    pub fuel_used: u64,
    /// State hash at the end.
    pub state_hash: StateHash,
    /// Commitment to the output.
    pub output: Digest,
    /// Bytes of the output.
    pub output_bytes: u64,
    /// Storage root at the end, with the changes of the run; absent if the storage is empty.
    ///
    /// The host states it: a replay has no storage, and only the state hash covers it.
    pub storage_root: Option<Digest>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}
