//! The claim: the index of a receipt, whose bytes have its id.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::exec::ExecBody;
use super::parts::{
    Anchor, BundleRef, Context, Events, Job, PolicyRef, PublicOutput, TraceSpec, ascending, bounded,
};
use super::{HOST, PACKAGE, RECEIPT_POLICY, ReceiptId, TOOLCHAIN};
use crate::cbor::{self, Fields, Value};
use crate::container::{self, EntryRef, Kind};
use crate::hash::sha256;
use crate::key::Identity;
use crate::transcript::Extensions;
use crate::{DecodeError, Digest};

/// Number of the claims about a run of a package.
const EXEC: u64 = 1;
/// Number of the claims about a run of a native command.
const RUN: u64 = 2;

/// Bound entries that a claim may list, besides those below `x/`.
const BOUND: [&str; 5] = ["events.jsonl", HOST, PACKAGE, RECEIPT_POLICY, TOOLCHAIN];

/// What the issuer says about one run of a package; all of it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who says it.
    pub issuer: Identity,
    /// What was asked for.
    pub job: Job,
    /// Form of the trace.
    pub trace_spec: TraceSpec,
    /// Receipt policy that the issuer submits to.
    pub policy: Option<PolicyRef>,
    /// What ran and how it ended.
    pub exec: ExecBody,
    /// Values that the claim is tied to, in the issuer's order.
    pub anchors: Vec<Anchor>,
    /// Commitments made elsewhere, ascending.
    pub commitments: Vec<Digest>,
    /// When the run was.
    pub context: Context,
    /// Its event stream.
    pub events: Events,
    /// Receipts that this one builds on, ascending.
    pub parents: Vec<Digest>,
    /// The audit bundle.
    pub bundle: Option<BundleRef>,
    /// Numbers of the proof systems that the issuer promises, ascending.
    pub proof_systems: Vec<u64>,
    /// Bound entries, ascending by name.
    pub entries: Vec<EntryRef>,
    /// Public outputs, ascending by name.
    pub public_outputs: Vec<PublicOutput>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

impl Claim {
    /// Decodes a claim and checks everything that has a form; a container limits its length.
    ///
    /// # Errors
    /// E002, E003, E006, E008 or E009 for the form; E005 for another
    /// version, or for a claim about a native command; E025 for a bound entry of another name;
    /// E034 or E035 for the issuer.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "claim")?;
        fields.version(1)?;
        let kind = fields.uint(1, EXEC..=RUN)?;
        if guard!("format.receipt.kind", kind != EXEC) {
            let detail = "claim is about a native command, which this version cannot read";
            return Err(DecodeError::new(ErrorCode::VersionUnsupported, detail));
        }
        let claim = Self {
            issuer: fields.required(2)?,
            job: fields.required(3)?,
            trace_spec: fields.required(4)?,
            policy: fields.optional(5)?,
            exec: fields.required(6)?,
            anchors: bounded(&mut fields, 8, 0..=16)?,
            commitments: bounded(&mut fields, 9, 0..=64)?,
            context: fields.required(10)?,
            events: fields.required(11)?,
            parents: bounded(&mut fields, 12, 0..=64)?,
            bundle: fields.optional(13)?,
            proof_systems: bounded(&mut fields, 14, 0..=8)?,
            entries: bounded(&mut fields, 15, 0..=64)?,
            public_outputs: bounded(&mut fields, 16, 0..=256)?,
            extensions: fields.finish_ext()?,
        };
        claim.check_lists()?;
        Ok(claim)
    }

    /// Encodes the claim, of which each value has exactly one form.
    ///
    /// # Panics
    /// As [`cbor::encode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&self.to_cbor())
    }

    /// Returns the id of the receipt.
    #[must_use]
    pub fn id(&self) -> ReceiptId {
        ReceiptId::new(sha256(&self.encode()))
    }

    /// Checks the facts that stand in the claim twice or bound each other.
    ///
    /// # Errors
    /// E005 for rules that this version does not know, E017 for facts that disagree.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.trace_spec.check()?;
        self.check_versions()?;
        let conflict = |detail: String| Err(DecodeError::new(ErrorCode::FactsConflict, detail));
        let (exec, context) = (&self.exec, &self.context);
        let spec = super::trace_spec_hash(&self.trace_spec);
        if guard!("format.receipt.trace_spec_hash", exec.trace_spec != spec) {
            return conflict(format!("key 23 of exec-body is not the trace spec hash {spec}"));
        }
        if guard!("format.receipt.fuel_used", exec.fuel_used > exec.fuel) {
            let detail = format!("fuel used is {}, granted are {}", exec.fuel_used, exec.fuel);
            return conflict(detail);
        }
        if guard!("format.receipt.times", context.stop_ms < context.start_ms) {
            return conflict("the run stops before it starts".into());
        }
        let none = self.events.count == 0;
        let listed = self.entries.iter().any(|entry| entry.name == "events.jsonl");
        if guard!("format.receipt.events_listed", none == listed) {
            return conflict("events.jsonl is listed exactly where there are events".into());
        }
        let document = self.entries.iter().find(|entry| entry.name == RECEIPT_POLICY);
        let named = self.policy.as_ref().map(|policy| policy.sha256);
        let agrees = document.is_none_or(|document| named == Some(document.sha256));
        if guard!("format.receipt.policy_listed", !agrees) {
            return conflict("policy.json is another file than the receipt policy of key 5".into());
        }
        let genesis = Events::none(&self.job.run_id);
        if guard!("format.receipt.events_genesis", none && self.events != genesis) {
            return conflict("head or root of no events is another than the fixed one".into());
        }
        Ok(())
    }

    fn check_versions(&self) -> Result<(), DecodeError> {
        let exec = &self.exec;
        let known = exec.abi == kapsule_abi::ABI_NAME
            && matches!(exec.profile.as_str(), "integer-1" | "float-1")
            && exec.metering == METERING;
        if guard!("format.receipt.versions", !known) {
            let detail = "ABI, profile or metering of exec-body is one that this version lacks";
            return Err(DecodeError::new(ErrorCode::VersionUnsupported, detail));
        }
        Ok(())
    }

    fn check_lists(&self) -> Result<(), DecodeError> {
        ascending("external commitments", &self.commitments)?;
        ascending("parents", &self.parents)?;
        ascending("promised proof systems", &self.proof_systems)?;
        ascending("bound entries", self.entries.iter().map(|entry| &entry.name))?;
        ascending("public outputs", self.public_outputs.iter().map(|output| &output.name))?;
        let bound = |name: &str| BOUND.contains(&name) || is_extra(name);
        if let Some(entry) = self.entries.iter().find(|entry| !bound(&entry.name))
            && guard!("format.receipt.bound_name", true)
        {
            let detail = format!("entry {:?} cannot be bound", crate::text::shown(&entry.name));
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        let named = |output: &PublicOutput| {
            container::is_name(&output.name) && output.name != Kind::Receipt.name()
        };
        if guard!("format.receipt.output_name", !self.public_outputs.iter().all(named)) {
            let detail = "name of a public output is not an entry name, or is claim.cbor";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(())
    }

    fn to_cbor(&self) -> Value {
        let mut entries: Vec<(u64, Value)> = vec![
            (0, 1.into()),
            (1, EXEC.into()),
            (2, self.issuer.to_cbor()),
            (3, self.job.to_cbor()),
            (4, self.trace_spec.to_cbor()),
        ];
        entries.extend(self.policy.as_ref().map(|policy| (5, policy.to_cbor())));
        entries.push((6, self.exec.to_cbor()));
        entries.push((8, Value::array(self.anchors.iter().map(Anchor::to_cbor))));
        entries.push((9, Value::array(self.commitments.iter().copied())));
        entries.push((10, self.context.to_cbor()));
        entries.push((11, self.events.to_cbor()));
        entries.push((12, Value::array(self.parents.iter().copied())));
        entries.extend(self.bundle.map(|bundle| (13, bundle.to_cbor())));
        entries.push((14, Value::array(self.proof_systems.iter().copied())));
        entries.push((15, Value::array(self.entries.iter().map(EntryRef::to_cbor))));
        entries.push((16, Value::array(self.public_outputs.iter().map(PublicOutput::to_cbor))));
        entries.extend(self.extensions.iter().cloned());
        Value::Map(entries)
    }
}

/// Version of the metering rules that this version of the claim speaks of.
const METERING: &str = "fuel-1 stack-1 meter-1";

/// Tells whether a name is free for bound entries that no reader looks into.
fn is_extra(name: &str) -> bool {
    name.starts_with("x/") && container::is_name(name)
}
