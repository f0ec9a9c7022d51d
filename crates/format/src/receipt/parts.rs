//! The smaller parts of a claim.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::statement::schema_reference;
use crate::cbor::{Fields, FromValue, Items, Value};
pub(super) use crate::cbor::{ascending, bounded};
use crate::hash::{Tag, sha256, tagged};
use crate::text::is_ident;
use crate::transcript::Extensions;
use crate::{DecodeError, Digest};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Chosen by who asked, or at random; the seed of the hostcall `random`.
    pub nonce: [u8; 32],
    /// Names the run among those of the issuer.
    pub run_id: [u8; 16],
    /// Identity of who asked.
    pub requester: Option<Digest>,
    /// Digest of the offer that was accepted.
    pub offer: Option<Digest>,
    /// Last millisecond at which the run may have ended.
    pub not_after: Option<u64>,
}

/// Form of the trace that the claim speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSpec {
    /// Format of the checkpoints.
    pub format: String,
    /// How they are written.
    pub encoding: String,
    /// Tree over them.
    pub tree: String,
    /// Reference of the format.
    pub schema: Digest,
    /// Field of a proof system.
    pub field: String,
    /// Fuel between checkpoints; 0 is no rule.
    pub fuel_step: u64,
    /// Hostcalls between checkpoints; 0 is no rule.
    pub hostcall_step: u64,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// Receipt policy that the issuer submits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    /// Id of the policy.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// Track, which may be empty.
    pub track: String,
}

/// A value that the claim is tied to, such as a block hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// What it is.
    pub kind: String,
    /// Its bytes.
    pub value: Vec<u8>,
}

/// When the run was and what it took; not equal on another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Claimed start in milliseconds since 1970.
    pub start_ms: u64,
    /// Claimed end in milliseconds since 1970.
    pub stop_ms: u64,
    /// Named measures, ascending by name.
    pub resources: Vec<(String, u64)>,
}

/// The event stream of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// Number of events.
    pub count: u64,
    /// Hash of the last one.
    pub head: Digest,
    /// Merkle root over the lines.
    pub root: Digest,
}

/// The audit bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleRef {
    /// SHA-256 of the stored bundle.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Merkle root over its 64 KiB chunks.
    pub chunk_root: Digest,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Erasure code; 0 is none.
    pub coding: u64,
}

/// A named result, whose digest becomes a subject of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOutput {
    /// Name.
    pub name: String,
    /// SHA-256.
    pub sha256: Digest,
}

impl TraceSpec {
    /// Returns the form for checkpoints of an exec claim, taken at start and end alone.
    #[must_use]
    pub fn ends() -> Self {
        Self {
            format: CHECKPOINTS.into(),
            encoding: ENCODING.into(),
            tree: TREE.into(),
            schema: schema_reference(CHECKPOINTS),
            field: FIELDS[0].into(),
            fuel_step: 0,
            hostcall_step: 0,
            extensions: Vec::new(),
        }
    }

    /// Checks that every name is one of an exec claim of this version.
    ///
    /// # Errors
    /// E005 for another one.
    pub fn check(&self) -> Result<(), DecodeError> {
        let known = self.format == CHECKPOINTS
            && self.encoding == ENCODING
            && self.tree == TREE
            && self.schema == schema_reference(CHECKPOINTS)
            && FIELDS.contains(&self.field.as_str());
        if guard!("format.receipt.trace_spec", !known) {
            let detail = "trace-spec names another format, encoding, tree, schema or field";
            return Err(DecodeError::new(ErrorCode::VersionUnsupported, detail));
        }
        Ok(())
    }

    /// Returns the spec as KCBOR.
    #[must_use]
    pub fn to_cbor(&self) -> Value {
        let mut entries: Vec<(u64, Value)> = vec![
            (0, 1.into()),
            (1, self.format.as_str().into()),
            (2, self.encoding.as_str().into()),
            (3, self.tree.as_str().into()),
            (4, self.schema.into()),
            (5, self.field.as_str().into()),
            (6, self.fuel_step.into()),
            (7, self.hostcall_step.into()),
        ];
        entries.extend(self.extensions.iter().cloned());
        Value::Map(entries)
    }
}

/// Format of the checkpoints of an exec claim.
const CHECKPOINTS: &str = "kapsule/checkpoints/1";
/// How checkpoints are written.
const ENCODING: &str = "klog/1";
/// Tree over checkpoints.
const TREE: &str = "rfc6962-sha256";
/// Fields of proof systems.
const FIELDS: [&str; 2] = ["none", "koalabear"];

impl FromValue for TraceSpec {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "trace-spec")?;
        fields.version(1)?;
        Ok(Self {
            format: fields.required(1)?,
            encoding: fields.required(2)?,
            tree: fields.required(3)?,
            schema: fields.required(4)?,
            field: fields.required(5)?,
            fuel_step: fields.required(6)?,
            hostcall_step: fields.required(7)?,
            extensions: fields.finish_ext()?,
        })
    }
}

impl Job {
    pub(super) fn to_cbor(&self) -> Value {
        let mut entries: Vec<(u64, Value)> =
            vec![(0, self.nonce.to_vec().into()), (1, self.run_id.to_vec().into())];
        entries.extend(self.requester.map(|digest| (2, digest.into())));
        entries.extend(self.offer.map(|digest| (3, digest.into())));
        entries.extend(self.not_after.map(|time| (4, time.into())));
        Value::Map(entries)
    }
}

impl FromValue for Job {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "job")?;
        let job = Self {
            nonce: fields.required(0)?,
            run_id: fields.required(1)?,
            requester: fields.optional(2)?,
            offer: fields.optional(3)?,
            not_after: fields.optional(4)?,
        };
        fields.finish()?;
        Ok(job)
    }
}

impl PolicyRef {
    pub(super) fn to_cbor(&self) -> Value {
        let Self { id, version, sha256, track } = self;
        Value::Array(vec![
            id.as_str().into(),
            version.as_str().into(),
            (*sha256).into(),
            track.as_str().into(),
        ])
    }
}

impl FromValue for PolicyRef {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "policyref", 4..=4)?;
        let found = Self {
            id: items.required()?,
            version: items.required()?,
            sha256: items.required()?,
            track: items.required()?,
        };
        items.finish()?;
        Ok(found)
    }
}

impl Anchor {
    pub(super) fn to_cbor(&self) -> Value {
        Value::Array(vec![self.kind.as_str().into(), self.value.clone().into()])
    }
}

impl FromValue for Anchor {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "anchor", 2..=2)?;
        let found = Self { kind: items.required()?, value: items.required()? };
        items.finish()?;
        if guard!("format.receipt.anchor_kind", !is_ident(&found.kind)) {
            let detail = "kind of an anchor is not an ident";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(found)
    }
}

impl Context {
    pub(super) fn to_cbor(&self) -> Value {
        let named = |(name, value): &(String, u64)| {
            Value::Array(vec![name.as_str().into(), (*value).into()])
        };
        Value::Map(vec![
            (0, self.start_ms.into()),
            (1, self.stop_ms.into()),
            (2, Value::array(self.resources.iter().map(named))),
        ])
    }
}

/// A name and a number.
struct Named(String, u64);

impl FromValue for Named {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "named", 2..=2)?;
        let found = Self(items.required()?, items.required()?);
        items.finish()?;
        Ok(found)
    }
}

impl FromValue for Context {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "context")?;
        let (start_ms, stop_ms) = (fields.required(0)?, fields.required(1)?);
        let resources: Vec<Named> = bounded(&mut fields, 2, 0..=64)?;
        fields.finish()?;
        if guard!("format.receipt.resource_name", resources.iter().any(|one| !is_ident(&one.0))) {
            let detail = "name of a resource is not an ident";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        ascending("resources", resources.iter().map(|one| &one.0))?;
        let resources = resources.into_iter().map(|one| (one.0, one.1)).collect();
        Ok(Self { start_ms, stop_ms, resources })
    }
}

impl Events {
    /// Returns what a claim says of a run without events.
    #[must_use]
    pub fn none(run_id: &[u8; 16]) -> Self {
        let head = tagged(Tag::EventGenesis, &[run_id]);
        Self { count: 0, head, root: crate::tree::root_of_hashes(&[]) }
    }

    pub(super) fn to_cbor(self) -> Value {
        Value::Map(vec![(0, self.count.into()), (1, self.head.into()), (2, self.root.into())])
    }
}

impl FromValue for Events {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "events")?;
        let found = Self {
            count: fields.required(0)?,
            head: fields.required(1)?,
            root: fields.required(2)?,
        };
        fields.finish()?;
        Ok(found)
    }
}

impl BundleRef {
    /// Names a bundle that is stored in the clear.
    #[must_use]
    pub fn of(bundle: &[u8]) -> Self {
        Self {
            sha256: sha256(bundle),
            size: bundle.len() as u64,
            chunk_root: crate::tree::chunk_root(bundle),
            encrypted: false,
            coding: 0,
        }
    }

    pub(super) fn to_cbor(self) -> Value {
        Value::Map(vec![
            (0, self.sha256.into()),
            (1, self.size.into()),
            (2, self.chunk_root.into()),
            (3, self.encrypted.into()),
            (4, self.coding.into()),
        ])
    }
}

impl FromValue for BundleRef {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "bundleref")?;
        let found = Self {
            sha256: fields.required(0)?,
            size: fields.required(1)?,
            chunk_root: fields.required(2)?,
            encrypted: fields.required(3)?,
            coding: fields.required(4)?,
        };
        fields.finish()?;
        Ok(found)
    }
}

impl PublicOutput {
    pub(super) fn to_cbor(&self) -> Value {
        Value::Array(vec![self.name.as_str().into(), self.sha256.into()])
    }
}

impl FromValue for PublicOutput {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "public-output", 2..=2)?;
        let found = Self { name: items.required()?, sha256: items.required()? };
        items.finish()?;
        Ok(found)
    }
}
