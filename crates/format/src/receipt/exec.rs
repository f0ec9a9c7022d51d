//! The exec body: all that is equal whenever the same job is run, on any machine and engine.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, Outcome, guard};

use super::parts::bounded;
use crate::cbor::{self, Fields, FromValue, Items, Value};
use crate::hash::{Tag, digest_id, tagged};
use crate::package::{CoreHash, PackageId};
use crate::policy::PolicyHash;
use crate::transcript::StateHash;
use crate::{DecodeError, Digest, limits};

digest_id!(
    /// Hash of an exec body, equal for every honest executor of one job.
    ExecHash
);

/// A commitment and the length of what it commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sized {
    /// Commitment.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// The number of records of a list and the Merkle root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Number of records.
    pub count: u64,
    /// Merkle root.
    pub root: Digest,
}

/// What ran, what it was given, and how it ended; every field is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecBody {
    /// `capsule_hash` of the package.
    pub capsule_hash: PackageId,
    /// `core_hash` of the package.
    pub core_hash: CoreHash,
    /// Contract with the host.
    pub abi: String,
    /// Wasm profile.
    pub profile: String,
    /// Version of the metering rules.
    pub metering: String,
    /// Function that was called.
    pub entry: String,
    /// Commitment to the input.
    pub input: Sized,
    /// Digest of the policy section of the package.
    pub policy_hash: PolicyHash,
    /// Granted fuel.
    pub fuel: u64,
    /// Granted memory in bytes.
    pub memory_bytes: u64,
    /// Hostcall transcript.
    pub transcript: Counted,
    /// Checkpoints, at least those of start and end.
    pub checkpoints: Counted,
    /// State hash before the first instruction.
    pub first_state: StateHash,
    /// State hash at the end.
    pub last_state: StateHash,
    /// Storage root before the run.
    pub storage_before: Digest,
    /// Storage root at the end, with the changes of the run.
    pub storage_after: Digest,
    /// Commitment to the output.
    pub output: Sized,
    /// Fuel used.
    pub fuel_used: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Commitment to the salt seed; absent where salts are empty.
    pub salt_commitment: Option<Digest>,
    /// Execution hashes of the runs inside the run, in the order of the calls.
    pub nested: Vec<ExecHash>,
    /// SHA-256 of the module, or the commitment of an encrypted one.
    pub module: Digest,
    /// Digest of the effective policy.
    pub effective_policy: PolicyHash,
    /// Hash of the trace spec.
    pub trace_spec: Digest,
}

impl ExecBody {
    /// Returns the execution hash.
    #[must_use]
    pub fn hash(&self) -> ExecHash {
        ExecHash::new(tagged(Tag::Exec, &[&cbor::encode(&self.to_cbor())]))
    }

    /// Tells whether two runs were given the same job and the same answers of the host.
    ///
    /// If they were and the execution hashes differ, one of the two did not happen.
    #[must_use]
    pub fn is_same_job(&self, other: &Self) -> bool {
        // Keys 0 to 10, 14 and 19 to 23: what comes of a job is set aside.
        let given = |body: &Self| Self {
            checkpoints: other.checkpoints,
            first_state: other.first_state,
            last_state: other.last_state,
            storage_after: other.storage_after,
            output: other.output,
            fuel_used: other.fuel_used,
            outcome: other.outcome,
            ..body.clone()
        };
        given(self) == given(other)
    }

    /// Returns the body as KCBOR.
    #[must_use]
    pub fn to_cbor(&self) -> Value {
        let outcome = [u64::from(self.outcome.class()), u64::from(self.outcome.detail())];
        let mut entries: Vec<(u64, Value)> = vec![
            (0, (*self.capsule_hash.digest()).into()),
            (1, (*self.core_hash.digest()).into()),
            (2, self.abi.as_str().into()),
            (3, self.profile.as_str().into()),
            (4, self.metering.as_str().into()),
            (5, self.entry.as_str().into()),
            (6, self.input.to_cbor()),
            (7, (*self.policy_hash.digest()).into()),
            (8, self.fuel.into()),
            (9, self.memory_bytes.into()),
            (10, self.transcript.to_cbor()),
            (11, self.checkpoints.to_cbor()),
            (12, (*self.first_state.digest()).into()),
            (13, (*self.last_state.digest()).into()),
            (14, self.storage_before.into()),
            (15, self.storage_after.into()),
            (16, self.output.to_cbor()),
            (17, self.fuel_used.into()),
            (18, Value::array(outcome)),
        ];
        entries.extend(self.salt_commitment.map(|digest| (19, digest.into())));
        entries.push((20, Value::array(self.nested.iter().map(|hash| *hash.digest()))));
        entries.push((21, self.module.into()));
        entries.push((22, (*self.effective_policy.digest()).into()));
        entries.push((23, self.trace_spec.into()));
        Value::Map(entries)
    }
}

impl FromValue for ExecBody {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "exec-body")?;
        let body = Self {
            capsule_hash: PackageId::new(fields.required(0)?),
            core_hash: CoreHash::new(fields.required(1)?),
            abi: fields.required(2)?,
            profile: fields.required(3)?,
            metering: fields.required(4)?,
            entry: fields.required(5)?,
            input: fields.required(6)?,
            policy_hash: PolicyHash::new(fields.required(7)?),
            fuel: fields.required(8)?,
            memory_bytes: fields.required(9)?,
            transcript: fields.required(10)?,
            checkpoints: fields.required(11)?,
            first_state: StateHash::new(fields.required(12)?),
            last_state: StateHash::new(fields.required(13)?),
            storage_before: fields.required(14)?,
            storage_after: fields.required(15)?,
            output: fields.required(16)?,
            fuel_used: fields.required(17)?,
            outcome: read_outcome(&mut fields)?,
            salt_commitment: fields.optional(19)?,
            nested: nested(&mut fields)?,
            module: fields.required(21)?,
            effective_policy: PolicyHash::new(fields.required(22)?),
            trace_spec: fields.required(23)?,
        };
        fields.finish()?;
        let count = body.checkpoints.count;
        if guard!("format.receipt.checkpoint_count", count < 2) {
            let detail = format!("exec-body has {count} checkpoints, allowed are 2 or more");
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(body)
    }
}

fn nested(fields: &mut Fields) -> Result<Vec<ExecHash>, DecodeError> {
    let hashes: Vec<Digest> = bounded(fields, 20, 0..=limits::NESTED_RUNS_MAX)?;
    Ok(hashes.into_iter().map(ExecHash::new).collect())
}

fn read_outcome(fields: &mut Fields) -> Result<Outcome, DecodeError> {
    let mut items = fields.items(18, "outcome", 2..=2)?;
    let (class, detail) = (items.required()?, items.required()?);
    items.finish()?;
    Outcome::from_parts(class, detail).ok_or_else(|| {
        let detail = format!("outcome [{class}, {detail}] is not in the table");
        DecodeError::new(ErrorCode::SchemaViolation, detail)
    })
}

impl Sized {
    fn to_cbor(self) -> Value {
        Value::Array(vec![self.digest.into(), self.size.into()])
    }
}

impl FromValue for Sized {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "sized", 2..=2)?;
        let found = Self { digest: items.required()?, size: items.required()? };
        items.finish()?;
        Ok(found)
    }
}

impl Counted {
    pub(crate) fn to_cbor(self) -> Value {
        Value::Array(vec![self.count.into(), self.root.into()])
    }
}

impl FromValue for Counted {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "counted", 2..=2)?;
        let found = Self { count: items.required()?, root: items.required()? };
        items.finish()?;
        Ok(found)
    }
}
