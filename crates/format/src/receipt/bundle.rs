//! The audit bundle: what a replay of the run needs, as a container of its own.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Deref;

use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::checkpoint::{Checkpoint, read_checkpoints, write_checkpoints};
use super::claim::Claim;
use super::exec::ExecBody;
use super::file::Blobs;
use super::nested::{Nested, read_nested, write_nested};
use super::parts::{BundleRef, ascending, bounded};
use crate::cbor::{self, Fields, Value};
use crate::container::{self, BLOBS, Container, EntryRef, Kind, Writer};
use crate::hash::sha256;
use crate::package::{Decrypt, Package, PackageId};
use crate::policy::Policy;
use crate::transcript::{
    End, Entries, Extensions, Header, Transcript, empty_storage_root, read_entries, write_entries,
};
use crate::{DecodeError, Digest, stanza};

/// Bound entry with the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints.klog";
/// Bound entry with the effective policy.
pub const POLICY: &str = "policy.effective.json";
/// Bound entry with the runs inside the run.
pub const NESTED: &str = "nested.klog";
/// Bound entry with the salt seed of a run whose commitments are salted.
pub const SALT_SEED: &str = "salt.seed";
/// Bound entry with the entries of the transcript.
pub const TRANSCRIPT: &str = "transcript.klog";

/// Bound entries that a bundle lists, besides those below `x/`.
const BOUND: [&str; 7] =
    [CHECKPOINTS, "events.jsonl", NESTED, POLICY, SALT_SEED, "statement.kp1", TRANSCRIPT];

/// An audit bundle whose form and digests were checked.
///
/// The claim binds it by its SHA-256; nothing here is signed by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle<'a> {
    /// Names the run, as the claim does.
    pub run_id: [u8; 16],
    /// Bound entries, ascending by name.
    pub entries: Vec<EntryRef>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
    container: Container<'a>,
}

impl<'a> Bundle<'a> {
    /// Decodes a bundle.
    ///
    /// # Errors
    /// As [`Container::decode`]; E001 for another kind; E005, E006, E008 or E009 for the index;
    /// E013 for another entry than the bound one; E025 for a name.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let container = Container::decode(bytes)?;
        if guard!("format.receipt.bundle_kind", container.kind() != Kind::Bundle) {
            let detail = format!("found {}, allowed {}", container.kind(), Kind::Bundle);
            return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
        }
        let mut fields = Fields::new(cbor::decode(container.index())?, "bundle-index")?;
        fields.version(1)?;
        let run_id = fields.required(1)?;
        let entries: Vec<EntryRef> = bounded(&mut fields, 15, 1..=64)?;
        let extensions = fields.finish_ext()?;
        ascending("bound entries", entries.iter().map(|entry| &entry.name))?;
        let bundle = Self { run_id, entries, extensions, container };
        bundle.check_entries()?;
        Ok(bundle)
    }

    fn check_entries(&self) -> Result<(), DecodeError> {
        let bound = |name: &str| self.entries.iter().find(|entry| entry.name == name);
        let may_be_bound = |name: &str| BOUND.contains(&name) || name.starts_with("x/");
        let may_be_attached =
            |name: &str| name == "disclosed.cbor" || name.starts_with(container::BLOBS);
        let listed = self.entries.iter().map(|entry| (entry.name.as_str(), false));
        let present = self.container.entries().iter().skip(1);
        let present = present.filter(|entry| bound(entry.name).is_none());
        let odd = listed.chain(present.map(|entry| (entry.name, true))).find(|(name, attached)| {
            !if *attached { may_be_attached(name) } else { may_be_bound(name) }
        });
        if let Some((name, _)) = odd
            && guard!("format.receipt.bundle_name", true)
        {
            let detail = format!("entry {:?} has no place in a bundle", crate::text::shown(name));
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        for entry in &self.entries {
            if let Some(bytes) = self.container.get(&entry.name) {
                entry.check(bytes)?;
            }
        }
        Ok(())
    }

    /// Returns the entries of the transcript, if they are there.
    ///
    /// # Errors
    /// As [`read_entries`].
    pub fn transcript(&self) -> Result<Option<Entries>, DecodeError> {
        self.container.get(TRANSCRIPT).map(read_entries).transpose()
    }

    /// Returns the checkpoints, if they are there.
    ///
    /// # Errors
    /// As [`read_checkpoints`].
    pub fn checkpoints(&self) -> Result<Option<Vec<Checkpoint>>, DecodeError> {
        self.container.get(CHECKPOINTS).map(read_checkpoints).transpose()
    }

    /// Returns the effective policy, if it is there.
    ///
    /// # Errors
    /// As [`Policy::decode`].
    pub fn policy(&self) -> Result<Option<Policy>, DecodeError> {
        self.container.get(POLICY).map(Policy::decode).transpose()
    }

    /// Returns the salt seed, if it is there.
    ///
    /// # Errors
    /// E008 for another length than 32 bytes.
    pub fn salt_seed(&self) -> Result<Option<[u8; 32]>, DecodeError> {
        let seed = self.container.get(SALT_SEED);
        seed.map(|seed| {
            <[u8; 32]>::try_from(seed).map_err(|_| {
                let detail = format!("{SALT_SEED} has {} bytes, allowed 32", seed.len());
                DecodeError::new(ErrorCode::SchemaViolation, detail)
            })
        })
        .transpose()
    }

    /// Returns the runs inside the run that `exec` claims, if they are there.
    ///
    /// # Errors
    /// As [`Bundle::salt_seed`]; E004 for too many runs, entries or levels; E005 to E009 for a
    /// record; E015 for other runs than those that `exec` lists, and for entries that do not lead
    /// to their roots; E016 for another salt.
    pub fn nested(&self, exec: &ExecBody) -> Result<Option<Vec<Nested<'static>>>, DecodeError> {
        let seed = self.salt_seed()?;
        let bytes = self.container.get(NESTED);
        bytes.map(|bytes| read_nested(bytes, exec, seed.as_ref())).transpose()
    }

    /// Returns the attached files whose names are their digests.
    #[must_use]
    pub fn blobs(&self) -> Blobs<'a> {
        Blobs::of(&self.container)
    }

    /// Returns the packages among the attached files, by their hashes.
    #[must_use]
    pub fn packages(&self) -> Vec<(PackageId, &'a [u8])> {
        let read = |bytes: &'a [u8]| {
            let package = Package::decode(bytes).ok()?.into_inner();
            Some((package.capsule_hash(), bytes))
        };
        self.blobs().iter().filter_map(read).collect()
    }

    /// Returns the container.
    #[must_use]
    pub const fn container(&self) -> &Container<'a> {
        &self.container
    }
}

/// The bytes of a bundle in the clear.
#[derive(Debug)]
pub enum Plain<'a> {
    /// It was stored like that.
    Open(&'a [u8]),
    /// It was decrypted.
    Decrypted(Zeroizing<Vec<u8>>),
}

impl Deref for Plain<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Open(bytes) => bytes,
            Self::Decrypted(bytes) => bytes,
        }
    }
}

impl BundleRef {
    /// Returns the bundle in the clear.
    ///
    /// Whether it is the one that the claim names is for the caller to check before.
    ///
    /// # Errors
    /// E054 for an encrypted one that is no age file to X25519 recipients, E212 where nothing opens
    /// it.
    pub fn open<'a>(
        &self,
        bytes: &'a [u8],
        decrypt: Option<&dyn Decrypt>,
    ) -> Result<Plain<'a>, DecodeError> {
        if !guard!("format.receipt.encrypted", self.encrypted) {
            return Ok(Plain::Open(bytes));
        }
        stanza::read(bytes)?;
        let opened = decrypt.and_then(|decrypt| decrypt.decrypt(bytes, bytes.len()));
        opened.map(Plain::Decrypted).ok_or_else(|| {
            let detail = "the bundle is encrypted, and no key here opens it";
            DecodeError::new(ErrorCode::KeyNotHeld, detail)
        })
    }
}

/// What a bundle is made of.
pub(super) struct Parts<'a> {
    pub(super) run_id: &'a [u8; 16],
    pub(super) entries: &'a Entries,
    pub(super) checkpoints: &'a [Checkpoint],
    pub(super) policy: &'a Policy,
    /// Runs inside the run.
    pub(super) nested: &'a [Nested<'a>],
    pub(super) salt_seed: Option<[u8; 32]>,
    /// Files by their digests.
    pub(super) blobs: Vec<Vec<u8>>,
}

/// Writes the bundle of a run.
pub(super) fn write(parts: Parts<'_>) -> Result<Vec<u8>, DecodeError> {
    let nested = match parts.nested {
        [] => None,
        nested => Some(write_nested(nested)?),
    };
    let files = [
        (CHECKPOINTS, Some(write_checkpoints(parts.checkpoints)?)),
        (NESTED, nested),
        (POLICY, Some(parts.policy.encode())),
        (SALT_SEED, parts.salt_seed.map(Vec::from)),
        (TRANSCRIPT, Some(write_entries(parts.entries)?)),
    ];
    let files: Vec<(&str, Vec<u8>)> =
        files.into_iter().filter_map(|(name, bytes)| Some((name, bytes?))).collect();
    let bound = files.iter().map(|(name, bytes)| EntryRef::of(name, bytes).to_cbor());
    let index = Value::Map(vec![
        (0, 1.into()),
        (1, parts.run_id.to_vec().into()),
        (15, Value::Array(bound.collect())),
    ]);
    let mut writer = Writer::new(Kind::Bundle, cbor::encode(&index));
    for (name, bytes) in files {
        writer.push(name.to_string(), bytes);
    }
    let mut blobs: Vec<(Digest, Vec<u8>)> =
        parts.blobs.into_iter().map(|bytes| (sha256(&bytes), bytes)).collect();
    blobs.sort();
    blobs.dedup();
    for (digest, bytes) in blobs {
        writer.push(format!("{BLOBS}{digest}"), bytes);
    }
    writer.finish()
}

impl Claim {
    /// Puts together the transcript of the run: the header and the end from the claim, policy and
    /// entries from the bundle; `None` where the bundle lacks one of them.
    ///
    /// The end commits to the output as the claim does, with the salt of the bundle if it has one.
    ///
    /// Whether the bundle is the claim's own is for the caller to check.
    ///
    /// # Errors
    /// As [`Policy::decode`] and [`read_entries`].
    pub fn transcript(&self, bundle: &Bundle<'_>) -> Result<Option<Transcript>, DecodeError> {
        let (Some(policy), Some(entries)) = (bundle.policy()?, bundle.transcript()?) else {
            return Ok(None);
        };
        let exec = &self.exec;
        let header = Header {
            capsule_hash: exec.capsule_hash,
            core_hash: exec.core_hash,
            abi: exec.abi.clone().into(),
            profile: exec.profile.clone().into(),
            metering: exec.metering.clone().into(),
            entry: exec.entry.clone(),
            fuel: exec.fuel,
            memory_bytes: exec.memory_bytes,
            policy,
            seed: self.job.nonce,
            extensions: Vec::new(),
        };
        let stored = exec.storage_after != empty_storage_root();
        let end = End {
            outcome: exec.outcome,
            fuel_used: exec.fuel_used,
            state_hash: exec.last_state,
            output: exec.output.digest,
            output_bytes: exec.output.size,
            storage_root: stored.then_some(exec.storage_after),
            extensions: Vec::new(),
        };
        Ok(Some(Transcript { header, entries, end }))
    }
}
