//! Snapshot (`.ksnap`): capsules of one channel in one file, for exchange by folder or disk.
//!
//! The index commits to the exact set of capsules by their ids, so the id of a snapshot is the same
//! whoever made it; a reader takes all of it or nothing, and then judges each capsule as if it had
//! come alone.
//!
//! # Spec
//! `spec/snapshot.md`; vectors in `spec/vectors/snapshot/`.

mod plan;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::capsule::{Capsule, CapsuleId, ChannelId};
use crate::cbor::{self, Fields, Value, ascending, bounded};
use crate::container::{Container, EntryRef, Kind, SIGNATURES, Writer};
use crate::envelope::{Envelope, SignatureName, Signatures, Statement, Subject};
use crate::hash::{digest_id, sha256};
use crate::json;
use crate::key::{PublicKey, SecretKey};
use crate::limits::{SNAPSHOT_CAPSULES_MAX, SNAPSHOT_HEADS_MAX};
use crate::log::SignedCheckpoint;
use crate::receipt::Counted;
use crate::transcript::Extensions;
use crate::{DecodeError, Digest, tree};

pub use plan::{Node, plan};

digest_id!(
    /// SHA-256 of the index, which names a snapshot whatever is attached to it.
    SnapshotId
);

/// Predicate type of the statement over a snapshot.
pub const PREDICATE: &str = "urn:kapsule:snapshot:v1";

/// Folder of the capsules.
const CAPSULES: &str = "capsules/";

/// End of the name of a capsule.
const ENDING: &str = ".kapsule";

/// Name of the checkpoint of the log of whoever passes the snapshot on.
const CHECKPOINT: &str = "log/checkpoint.txt";

/// Start of the names that an index may bind.
const BOUND: &str = "x/";

/// What the index says; all of it is covered by the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Channel of every capsule.
    pub channel: ChannelId,
    /// Capsules that no other capsule of the snapshot follows, ascending.
    pub heads: Vec<CapsuleId>,
    /// Number of capsules, and the Merkle root over their ids in ascending order.
    pub capsules: Counted,
    /// Bound entries, whose names start with `x/`; no version reads them yet.
    pub entries: Vec<EntryRef>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

impl Index {
    /// Decodes `snapshot.cbor`.
    ///
    /// # Errors
    /// E005 for another version, E002, E003 or E006 for the encoding, E008 or E009 for the schema,
    /// E004 for too many capsules, E025 for a bound name outside `x/`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "snapshot-index")?;
        fields.version(1)?;
        let channel: Digest = fields.required(1)?;
        let heads: Vec<Digest> = bounded(&mut fields, 2, 1..=SNAPSHOT_HEADS_MAX)?;
        ascending("heads of the snapshot", &heads)?;
        let capsules: Counted = fields.required(3)?;
        let entries: Vec<EntryRef> = bounded(&mut fields, 15, 0..=64)?;
        let extensions = fields.finish_ext()?;
        let count = capsules.count;
        if guard!("format.snapshot.count", count > SNAPSHOT_CAPSULES_MAX) {
            let max = SNAPSHOT_CAPSULES_MAX;
            let detail = format!("snapshot of {count} capsules exceeds the limit of {max}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        ascending("entries of the snapshot", entries.iter().map(|entry| &entry.name))?;
        let other = entries.iter().find(|entry| !entry.name.starts_with(BOUND));
        if let Some(entry) = other
            && guard!("format.snapshot.bound_name", true)
        {
            let detail = format!("a snapshot binds {}, allowed are names in {BOUND}", entry.name);
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        Ok(Self {
            channel: ChannelId::of_genesis(CapsuleId::new(channel)),
            heads: heads.into_iter().map(CapsuleId::new).collect(),
            capsules,
            entries,
            extensions,
        })
    }

    /// Encodes the index.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = vec![
            (0, 1_u64.into()),
            (1, (*self.channel.digest()).into()),
            (2, Value::array(self.heads.iter().map(|head| *head.digest()))),
            (3, self.capsules.to_cbor()),
            (15, Value::array(self.entries.iter().map(EntryRef::to_cbor))),
        ];
        map.extend(self.extensions.iter().cloned());
        cbor::encode(&Value::Map(map))
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        SnapshotId::new(sha256(&self.encode()))
    }

    /// Returns the statement that is signed where somebody vouches for a snapshot.
    #[must_use]
    pub fn signed_statement(&self) -> Vec<u8> {
        let predicate: BTreeMap<String, json::Value> = BTreeMap::from([
            ("channel".to_string(), json::Value::Text(self.channel.to_string())),
            ("count".to_string(), self.capsules.count.into()),
        ]);
        let name = Kind::Snapshot.name().to_string();
        let subjects = vec![Subject { name, sha256: *self.id().digest() }];
        Statement { subjects, predicate_type: PREDICATE.to_string(), predicate }.encode()
    }
}

/// A snapshot whose capsules are the ones that its index names; none of them was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<'a> {
    index: Index,
    container: Container<'a>,
    capsules: BTreeMap<CapsuleId, &'a [u8]>,
    checkpoint: Option<SignedCheckpoint>,
}

impl<'a> Snapshot<'a> {
    /// Takes a snapshot apart; capsules stay where they are.
    ///
    /// Takes some tens of microseconds for each capsule, whose form is checked.
    ///
    /// # Errors
    /// As [`Container::decode`] and [`Index::decode`]; E001 for another kind of container; E025 for
    /// an entry that is neither bound nor attached, E038 for the name of an envelope, E013 for a
    /// bound entry with other bytes; as [`SignedCheckpoint::decode`] for the checkpoint; E015 if
    /// number, root or heads are not those of the capsules; E510 for a capsule that is malformed,
    /// stands under another name or is of another channel.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let container = Container::decode(bytes)?;
        if guard!("format.snapshot.container_kind", container.kind() != Kind::Snapshot) {
            let detail = format!("found {}, allowed {}", container.kind(), Kind::Snapshot);
            return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
        }
        let index = Index::decode(container.index())?;
        let (mut capsules, mut checkpoint) = (BTreeMap::new(), None);
        for entry in container.entries().iter().skip(1) {
            if let Some(bound) = index.entries.iter().find(|bound| bound.name == entry.name) {
                bound.check(entry.bytes)?;
            } else if entry.name == CHECKPOINT {
                checkpoint = Some(SignedCheckpoint::decode(entry.bytes)?);
            } else if let Some(id) = named(entry.name)? {
                capsules.insert(id, entry.bytes);
            }
        }
        let snapshot = Self { index, container, capsules, checkpoint };
        snapshot.check_capsules()?;
        Ok(snapshot)
    }

    /// Checks that the capsules are the ones that the index names.
    fn check_capsules(&self) -> Result<(), DecodeError> {
        let stated = &self.index.capsules;
        let found = counted(self.capsules.keys());
        if guard!("format.snapshot.counted", found != *stated) {
            let (number, count) = (self.capsules.len(), stated.count);
            let detail = format!("{number} capsules are not the {count} that the index names");
            return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
        }
        let mut heads: BTreeSet<CapsuleId> = self.capsules.keys().copied().collect();
        for (id, bytes) in &self.capsules {
            let capsule = Capsule::decode(bytes).map_err(|error| {
                invalid(format!("capsule {id} is malformed: {}: {}", error.code, error.detail))
            })?;
            let found = capsule.id();
            if guard!("format.snapshot.capsule_name", found != *id) {
                return Err(invalid(format!("under the name {id} stands the capsule {found}")));
            }
            let (channel, own) = (self.index.channel, ChannelId::of_genesis(*id));
            if guard!("format.snapshot.channel", capsule.meta().channel.unwrap_or(own) != channel) {
                return Err(invalid(format!("capsule {id} is not of the channel {channel}")));
            }
            for parent in &capsule.meta().prev {
                heads.remove(parent);
            }
        }
        if guard!("format.snapshot.heads", !heads.iter().eq(&self.index.heads)) {
            let (found, stated) = (heads.len(), self.index.heads.len());
            let detail = format!("the {found} heads are not the {stated} that the index names");
            return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
        }
        Ok(())
    }

    /// Returns the id.
    #[must_use]
    pub fn id(&self) -> SnapshotId {
        SnapshotId::new(sha256(self.container.index()))
    }

    /// Returns the index.
    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the capsules by ascending id.
    #[must_use]
    pub const fn capsules(&self) -> &BTreeMap<CapsuleId, &'a [u8]> {
        &self.capsules
    }

    /// Returns the checkpoint of the log of whoever passed the snapshot on, if they attached it;
    /// no line of it was verified.
    #[must_use]
    pub const fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// Returns the file with this checkpoint, in place of one that was attached before; the id
    /// stays.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn with_checkpoint(&self, note: &SignedCheckpoint) -> Result<Vec<u8>, DecodeError> {
        let mut writer = Writer::new(Kind::Snapshot, self.container.index().into());
        let others = self.container.entries().iter().skip(1);
        for entry in others.filter(|entry| entry.name != CHECKPOINT) {
            writer.push(entry.name, entry.bytes);
        }
        writer.push(CHECKPOINT, note.encode().as_bytes());
        writer.finish()
    }

    /// Reads the envelopes of those who vouch for the snapshot, as far as `known` has their keys.
    #[must_use]
    pub fn signatures<'k>(&'k self, known: impl IntoIterator<Item = &'k PublicKey>) -> Signatures {
        let statement = self.index.signed_statement();
        Signatures::read(self.container.envelopes(), &statement, &[], known)
    }
}

/// Puts capsule files of one channel together, and signs with these keys; the order of the files
/// does not matter.
///
/// # Errors
/// E008 for no capsule; E004 for more than a snapshot holds; E510 for two files of one capsule;
/// else as [`Snapshot::decode`] and [`Capsule::decode`].
pub fn write<'f, 's>(
    channel: ChannelId,
    files: impl IntoIterator<Item = &'f [u8]>,
    secrets: impl IntoIterator<Item = &'s SecretKey>,
) -> Result<Vec<u8>, DecodeError> {
    let mut capsules: BTreeMap<CapsuleId, &[u8]> = BTreeMap::new();
    let mut followed: BTreeSet<CapsuleId> = BTreeSet::new();
    for file in files {
        let capsule = Capsule::decode(file)?;
        followed.extend(&capsule.meta().prev);
        let id = capsule.id();
        if guard!("format.snapshot.twice", capsules.insert(id, file).is_some()) {
            return Err(invalid(format!("two files are the capsule {id}")));
        }
    }
    let heads = capsules.keys().copied().filter(|id| !followed.contains(id)).collect();
    let index = Index {
        channel,
        heads,
        capsules: counted(capsules.keys()),
        entries: Vec::new(),
        extensions: Vec::new(),
    };
    let mut writer = Writer::new(Kind::Snapshot, index.encode());
    let statement = index.signed_statement();
    for secret in secrets {
        let name = SignatureName::of(secret.public()).entry_name();
        writer.push(name, Envelope::sign(&statement, secret).encode());
    }
    for (id, file) in capsules {
        writer.push(format!("{CAPSULES}{id}{ENDING}"), file);
    }
    let file = writer.finish()?;
    // The reader is the one place that knows the rules.
    Snapshot::decode(&file)?;
    Ok(file)
}

/// Reads the name of an attached entry: that of a capsule, or `None` for an envelope.
fn named(name: &str) -> Result<Option<CapsuleId>, DecodeError> {
    if name.starts_with(SIGNATURES) {
        let parsed = SignatureName::parse(name, SIGNATURES);
        if guard!("format.snapshot.signature_name", parsed.is_none()) {
            let detail = format!("{name:?} is not {SIGNATURES}<suite>-<keyid>.dsse.json");
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        return Ok(None);
    }
    let id = name.strip_prefix(CAPSULES).and_then(|rest| rest.strip_suffix(ENDING));
    let id = id.and_then(|id| id.parse().ok());
    if guard!("format.snapshot.unlisted", id.is_none()) {
        let detail = format!("entry {name:?} is neither bound nor attached");
        return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
    }
    Ok(id)
}

fn counted<'i>(ids: impl ExactSizeIterator<Item = &'i CapsuleId>) -> Counted {
    Counted { count: ids.len() as u64, root: tree::root(ids) }
}

fn invalid(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::SnapshotInvalid, detail)
}
