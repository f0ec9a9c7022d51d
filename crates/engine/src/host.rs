//! What a run asks of its surroundings.

mod dag;
mod effects;
mod memory;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Errno;
use kapsule_format::cbor::{self, Fields, Value};
use kapsule_format::key::IdentityId;
use kapsule_format::package::PackageId;
use kapsule_format::{DecodeError, Digest};

pub use dag::{Dag, DagQuery};
pub use effects::{Act, Effects, NetRequest, NetworkKind, Proposal, StorageChanges, StorageSize};
pub use memory::{MemoryCapsule, MemoryHost, apply_changes, next_key};

use crate::HostError;

/// What a host gives for one question: a value, an error for the guest, or its own failure.
pub type Answer<T> = Result<Result<T, Errno>, HostError>;

/// The surroundings of one run.
///
/// Input, output, logs, hashing, signatures and randomness need no host; everything else that a
/// guest can see comes through here and is recorded in the transcript.
///
/// # Panics
/// A method that panics may abort the process, since it is called from inside the guest's frames.
///
/// # Determinism
/// A run is a function of what these methods return; nothing requires them to be pure.
pub trait Host {
    /// Returns the public metadata of the capsule at `index`.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is none.
    fn capsule_metadata(&mut self, index: u32) -> Answer<CapsuleMetadata>;

    /// Returns the length of the decrypted payload of the capsule at `index`, in bytes.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is none, [`Errno::KeyNotHeld`] where it stays encrypted.
    fn capsule_payload_len(&mut self, index: u32) -> Answer<u64>;

    /// Copies payload bytes from `offset` on into `buffer` and returns how many there were.
    ///
    /// # Errors
    /// As [`Host::capsule_payload_len`].
    fn capsule_payload_read(&mut self, index: u32, offset: u64, buffer: &mut [u8])
    -> Answer<usize>;

    /// Takes the result for the capsule at `index`; a second one replaces the first.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is no such capsule.
    fn submit_capsule_result(&mut self, index: u32, result: CapsuleResult) -> Answer<()>;

    /// Returns the local viewer's trust score of an identity, in millionths.
    ///
    /// # Errors
    /// [`Errno::NotFound`] if the identity is unknown.
    fn trust_score(&mut self, identity: &IdentityId) -> Answer<u64>;

    /// Returns the trust statement at `index`, or `None` past the last.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn trust_edge(&mut self, index: u64) -> Result<Option<TrustEdge>, HostError>;

    /// Returns the fixed time of the run, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn now_ms(&mut self) -> Result<u64, HostError>;

    /// Returns the value of a key in the storage of a package, as it was before the run.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn storage_get(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError>;

    /// Returns the least key of a package's storage that is greater than `key`, or `None`; an empty
    /// `key` is less than every key.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn storage_next(
        &mut self,
        package: &PackageId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, HostError>;

    /// Returns how much a package's storage held before the run.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn storage_size(&mut self, package: &PackageId) -> Result<StorageSize, HostError>;

    /// Returns the public metadata of a capsule of the DAG.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is none.
    fn dag_metadata(&mut self, id: &Digest) -> Answer<CapsuleMetadata>;

    /// Returns at most `count` children of a capsule from position `from` on, ascending by claimed
    /// time and id.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is no such capsule.
    fn dag_children(&mut self, id: &Digest, from: u64, count: usize) -> Answer<Vec<Digest>>;

    /// Returns at most `count` of the capsules that match from position `from` among them on,
    /// ascending by claimed time and id.
    ///
    /// # Errors
    /// [`HostError`] if the host cannot tell.
    fn dag_query(
        &mut self,
        query: &DagQuery,
        from: u64,
        count: usize,
    ) -> Result<Vec<Digest>, HostError>;

    /// Says whether a proposal is taken after those that were, by this run and by the completed
    /// runs beside and around it; it is carried out by nobody but [`Host::apply`].
    ///
    /// # Errors
    /// [`Errno::Refused`] if the budget or the rules of this host say no.
    fn propose(&mut self, proposal: &Proposal, taken: &[Proposal]) -> Answer<()>;

    /// Copies bytes of a file, as it was before the run, from `offset` on into `buffer` and returns
    /// how many there were.
    ///
    /// The path has the form of `spec/policy.md`, and the effective policy covers it.
    ///
    /// # Errors
    /// [`Errno::NotFound`] where there is no such file, [`Errno::Refused`] where the host does not
    /// give out what is there.
    fn file_read(&mut self, path: &str, offset: u64, buffer: &mut [u8]) -> Answer<usize>;

    /// Says whether a file can be replaced or created; the content follows in [`Host::apply`].
    ///
    /// # Errors
    /// [`Errno::NotFound`] where its directory does not exist, [`Errno::Refused`] where the host
    /// does not want it there.
    fn file_writable(&mut self, path: &str) -> Answer<()>;

    /// Sends bytes to another machine, fills `buffer` with what comes back until that side closes
    /// or the buffer is full, and returns how many bytes came.
    ///
    /// # Errors
    /// [`Errno::Refused`] for a machine that this host does not talk to, [`Errno::Unreachable`]
    /// for one that does not answer.
    fn net_request(&mut self, request: &NetRequest, buffer: &mut [u8]) -> Answer<usize>;

    /// Carries out what a run that completed with 0 changed outside of itself.
    ///
    /// [`run`](crate::run) never calls it: the caller does, once it wants the run to count.
    ///
    /// # Errors
    /// [`HostError`] if it could not be done; storage changes of one package are done whole or not
    /// at all.
    fn apply(&mut self, effects: &Effects) -> Result<(), HostError>;

    /// Forgets everything that a void run did, and tells whether that was possible.
    ///
    /// [`run_auto`](crate::run_auto) asks before its first start, and starts again on the other
    /// backend only if it was.
    fn reset(&mut self) -> bool {
        false
    }
}

/// Public metadata of a capsule, as `get_capsule_metadata` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapsuleMetadata {
    /// Capsule kind, such as `post`.
    pub kind: String,
    /// Channel id; absent in a genesis.
    pub channel: Option<Digest>,
    /// Identity id of the author.
    pub author: IdentityId,
    /// Sequence number of the author in the channel.
    pub seq: u64,
    /// Ids of the parent capsules.
    pub parents: Vec<Digest>,
    /// Flags in the clear.
    pub flags: Vec<String>,
    /// Time that the author claims, in milliseconds since 1970.
    pub claimed_ms: u64,
    /// `capsule_hash` of the package that interprets the capsule.
    pub logic: Option<Digest>,
}

impl CapsuleMetadata {
    /// Returns the KCBOR that a guest is given.
    ///
    /// # Panics
    /// If a number is above 2^53-1 or a text holds a control character, which KCBOR cannot say;
    /// a run with such a host ends with [`HostError::Hostcall`] instead.
    ///
    /// # Spec
    /// `spec/abi.md`, section "get_capsule_metadata".
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&self.to_value())
    }

    /// Decodes the KCBOR that a guest is given.
    ///
    /// # Errors
    /// [`DecodeError`] for anything but the closed map of `spec/abi.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "capsule-metadata")?;
        let metadata = Self {
            kind: fields.required(0)?,
            channel: fields.optional(1)?,
            author: IdentityId::new(fields.required(2)?),
            seq: fields.required(3)?,
            parents: fields.required(4)?,
            flags: fields.required(5)?,
            claimed_ms: fields.required(6)?,
            logic: fields.optional(7)?,
        };
        fields.finish()?;
        Ok(metadata)
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut entries = vec![(0, self.kind.as_str().into())];
        entries.extend(self.channel.map(|channel| (1, channel.into())));
        entries.extend([
            (2, bytes(self.author.as_bytes())),
            (3, self.seq.into()),
            (4, Value::array(self.parents.iter().copied())),
            (5, Value::array(self.flags.iter().map(String::as_str))),
            (6, self.claimed_ms.into()),
        ]);
        entries.extend(self.logic.map(|logic| (7, logic.into())));
        Value::Map(entries)
    }
}

/// What a guest says of a capsule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapsuleResult {
    /// Score in millionths.
    pub score: Option<u64>,
    /// Verdict, a word that the module defines.
    pub verdict: Option<String>,
    /// Labels to attach.
    pub labels: Option<Vec<String>>,
    /// New state of the module for this capsule.
    pub state: Option<Vec<u8>>,
}

impl CapsuleResult {
    /// Decodes what `submit_capsule_result` was given.
    ///
    /// # Errors
    /// [`Errno::Malformed`] for anything but the closed map of `spec/abi.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "capsule-result")?;
            let result = Self {
                score: fields.optional(0)?,
                verdict: fields.optional(1)?,
                labels: fields.optional(2)?,
                state: fields.optional(3)?,
            };
            fields.finish()?;
            Ok::<_, DecodeError>(result)
        };
        read().map_err(|_| Errno::Malformed)
    }

    /// Returns the KCBOR form, the one that [`CapsuleResult::decode`] accepts.
    ///
    /// # Panics
    /// As [`CapsuleMetadata::encode`]; never for a decoded value.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let labels = self.labels.as_ref();
        let entries = [
            self.score.map(|score| (0, score.into())),
            self.verdict.as_deref().map(|verdict| (1, verdict.into())),
            labels.map(|labels| (2, Value::array(labels.iter().map(String::as_str)))),
            self.state.as_deref().map(|state| (3, bytes(state))),
        ];
        cbor::encode(&Value::Map(entries.into_iter().flatten().collect()))
    }
}

/// One trust statement known to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustEdge {
    /// Who trusts.
    pub from: IdentityId,
    /// Who is trusted.
    pub to: IdentityId,
    /// Weight in millionths.
    pub weight_ppm: u64,
    /// Whether the statement is a block instead.
    pub blocked: bool,
    /// Claimed time of the statement, in milliseconds since 1970.
    pub time_ms: u64,
}

impl TrustEdge {
    pub(crate) fn to_value(&self) -> Value {
        Value::Array(vec![
            bytes(self.from.as_bytes()),
            bytes(self.to.as_bytes()),
            self.weight_ppm.into(),
            self.blocked.into(),
            self.time_ms.into(),
        ])
    }
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// Tells whether KCBOR can say a value that came from a host.
pub(crate) fn is_encodable(value: &Value) -> bool {
    match value {
        Value::Uint(number) => *number <= cbor::UINT_MAX,
        Value::Text(text) => text.chars().all(|c| c == '\n' || !c.is_ascii_control()),
        Value::Bytes(_) | Value::Bool(_) => true,
        Value::Array(elements) => elements.iter().all(is_encodable),
        Value::Map(entries) => entries.iter().all(|(_, entry)| is_encodable(entry)),
    }
}

/// Copies what there is of `source` from `offset` on, and returns how many bytes that was.
pub(crate) fn copy_from(source: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = rest_from(source, offset);
    let count = rest.len().min(buffer.len());
    buffer[..count].copy_from_slice(&rest[..count]);
    count
}

/// Returns what stands from an offset on, nothing behind the end.
pub(crate) fn rest_from(source: &[u8], offset: u64) -> &[u8] {
    let rest = usize::try_from(offset).ok().and_then(|offset| source.get(offset..));
    rest.unwrap_or_default()
}
