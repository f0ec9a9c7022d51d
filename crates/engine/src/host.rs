//! What a run asks of its surroundings, and an implementation that holds everything in memory.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Errno;
use kapsule_format::Digest;
use kapsule_format::cbor::{self, Fields, Value};
use kapsule_format::key::IdentityId;

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
            Ok::<_, kapsule_format::DecodeError>(result)
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

/// One capsule of a [`MemoryHost`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryCapsule {
    /// Public metadata.
    pub metadata: CapsuleMetadata,
    /// Decrypted payload, or `None` where the host holds no key for it.
    pub payload: Option<Vec<u8>>,
}

/// A host that holds everything in memory; enough for tools, tests and small embedders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryHost {
    /// Capsules being processed, by index.
    pub capsules: Vec<MemoryCapsule>,
    /// Results that the guest submitted, by index.
    pub results: BTreeMap<u32, CapsuleResult>,
    /// Trust scores in millionths.
    pub scores: BTreeMap<IdentityId, u64>,
    /// Trust statements in the order in which a guest pages through them.
    pub edges: Vec<TrustEdge>,
    /// Fixed time of the run, in milliseconds since 1970.
    pub now_ms: u64,
}

impl MemoryHost {
    fn capsule(&self, index: u32) -> Result<&MemoryCapsule, Errno> {
        let index = usize::try_from(index).map_err(|_| Errno::NotFound)?;
        self.capsules.get(index).ok_or(Errno::NotFound)
    }

    fn payload(&self, index: u32) -> Result<&[u8], Errno> {
        self.capsule(index)?.payload.as_deref().ok_or(Errno::KeyNotHeld)
    }
}

impl Host for MemoryHost {
    fn capsule_metadata(&mut self, index: u32) -> Answer<CapsuleMetadata> {
        Ok(self.capsule(index).map(|capsule| capsule.metadata.clone()))
    }

    fn capsule_payload_len(&mut self, index: u32) -> Answer<u64> {
        Ok(self.payload(index).map(|payload| payload.len() as u64))
    }

    fn capsule_payload_read(
        &mut self,
        index: u32,
        offset: u64,
        buffer: &mut [u8],
    ) -> Answer<usize> {
        Ok(self.payload(index).map(|payload| copy_from(payload, offset, buffer)))
    }

    fn submit_capsule_result(&mut self, index: u32, result: CapsuleResult) -> Answer<()> {
        Ok(match self.capsule(index) {
            Ok(_) => {
                self.results.insert(index, result);
                Ok(())
            }
            Err(errno) => Err(errno),
        })
    }

    fn trust_score(&mut self, identity: &IdentityId) -> Answer<u64> {
        Ok(self.scores.get(identity).copied().ok_or(Errno::NotFound))
    }

    fn trust_edge(&mut self, index: u64) -> Result<Option<TrustEdge>, HostError> {
        let index = usize::try_from(index).ok();
        Ok(index.and_then(|index| self.edges.get(index)).cloned())
    }

    fn now_ms(&mut self) -> Result<u64, HostError> {
        Ok(self.now_ms)
    }

    fn reset(&mut self) -> bool {
        self.results.clear();
        true
    }
}

/// Copies what there is of `source` from `offset` on, and returns how many bytes that was.
pub(crate) fn copy_from(source: &[u8], offset: u64, buffer: &mut [u8]) -> usize {
    let rest = usize::try_from(offset).ok().and_then(|offset| source.get(offset..));
    let rest = rest.unwrap_or_default();
    let count = rest.len().min(buffer.len());
    for (slot, byte) in buffer.iter_mut().zip(rest) {
        *slot = *byte;
    }
    count
}
