//! The audit bundle: what a replay of the run needs, as a container of its own.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::checkpoint::{Checkpoint, read_checkpoints, write_checkpoints};
use super::claim::Claim;
use super::parts::{ascending, bounded};
use crate::DecodeError;
use crate::cbor::{self, Fields, Value};
use crate::container::{self, Container, EntryRef, Kind, Writer};
use crate::policy::Policy;
use crate::transcript::{
    End, Entries, Extensions, Header, Transcript, empty_storage_root, read_entries, write_entries,
};

/// Bound entry with the checkpoints.
pub const CHECKPOINTS: &str = "checkpoints.klog";
/// Bound entry with the effective policy.
pub const POLICY: &str = "policy.effective.json";
/// Bound entry with the entries of the transcript.
pub const TRANSCRIPT: &str = "transcript.klog";

/// Bound entries that a bundle lists, besides those below `x/`.
const BOUND: [&str; 7] =
    [CHECKPOINTS, "events.jsonl", "nested.klog", POLICY, "salt.seed", "statement.kp1", TRANSCRIPT];

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

    /// Returns the container.
    #[must_use]
    pub const fn container(&self) -> &Container<'a> {
        &self.container
    }
}

/// Writes the bundle of a run.
pub(super) fn write(
    run_id: &[u8; 16],
    entries: &Entries,
    checkpoints: &[Checkpoint],
    policy: &Policy,
) -> Result<Vec<u8>, DecodeError> {
    let files = [
        (CHECKPOINTS, write_checkpoints(checkpoints)?),
        (POLICY, policy.encode()),
        (TRANSCRIPT, write_entries(entries)?),
    ];
    let bound = files.iter().map(|(name, bytes)| EntryRef::of(name, bytes).to_cbor());
    let index = Value::Map(vec![
        (0, 1.into()),
        (1, run_id.to_vec().into()),
        (15, Value::Array(bound.collect())),
    ]);
    let mut writer = Writer::new(Kind::Bundle, cbor::encode(&index));
    for (name, bytes) in files {
        writer.push(name.to_string(), bytes);
    }
    writer.finish()
}

impl Claim {
    /// Puts together the transcript of the run: the header and the end from the claim, policy and
    /// entries from the bundle; `None` where the bundle lacks one of them.
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
