//! What a claim states: the hash that proofs absorb, and the statement that signatures cover.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::Outcome;

use super::claim::Claim;
use super::parts::{Anchor, TraceSpec};
use crate::cbor::{self, Value};
use crate::container::Kind;
use crate::envelope::{self, Subject};
use crate::hash::{Tag, digest_id, encode_hex, tagged};
use crate::{Digest, json};

/// Type of the predicate that the issuer of a receipt signs.
pub const PREDICATE: &str = "urn:kapsule:receipt:v1";

digest_id!(
    /// Hash of the statement that a claim gives; a proof absorbs it first.
    StatementHash
);

/// Returns the hash of a trace spec.
#[must_use]
pub fn trace_spec_hash(spec: &TraceSpec) -> Digest {
    tagged(Tag::TraceSpec, &[&cbor::encode(&spec.to_cbor())])
}

/// Returns the reference of version 1 of a trace format.
pub(super) fn schema_reference(format: &str) -> Digest {
    tagged(Tag::Schema, &[format.as_bytes(), &1_u64.to_be_bytes()])
}

/// What a claim states, without times, events, parents and bundle: a proof of it can be made
/// before or after signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Hash of the trace spec.
    pub trace_spec: Digest,
    /// SHA-256 of the receipt policy, or zero bytes.
    pub policy: Digest,
    /// Root over the checkpoints.
    pub trace_root: Digest,
    /// Values by name, ascending.
    pub public_inputs: Vec<(&'static str, Vec<u8>)>,
    /// As in the claim.
    pub anchors: Vec<Anchor>,
    /// As in the claim.
    pub commitments: Vec<Digest>,
}

impl Statement {
    /// Returns the hash.
    #[must_use]
    pub fn hash(&self) -> StatementHash {
        StatementHash::new(tagged(Tag::Statement, &[&cbor::encode(&self.to_cbor())]))
    }

    fn to_cbor(&self) -> Value {
        let input = |(name, value): &(&str, Vec<u8>)| {
            Value::Array(vec![(*name).into(), value.clone().into()])
        };
        Value::Map(vec![
            (0, 1.into()),
            (1, self.trace_spec.into()),
            (2, self.policy.into()),
            (3, self.trace_root.into()),
            (4, Value::array(self.public_inputs.iter().map(input))),
            (5, Value::array(self.anchors.iter().map(Anchor::to_cbor))),
            (6, Value::array(self.commitments.iter().copied())),
        ])
    }
}

/// Returns the name of the class of an outcome.
#[must_use]
pub const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed(_) => "completed",
        Outcome::Trapped(_) => "trapped",
        Outcome::LimitReached(_) => "limit",
        Outcome::Denied(_) => "denied",
    }
}

impl Claim {
    /// Returns what the claim states.
    #[must_use]
    pub fn statement(&self) -> Statement {
        let exec = &self.exec;
        let outcome = exec.outcome;
        let outcome = [&[outcome.class()][..], &u64::from(outcome.detail()).to_be_bytes()].concat();
        let bytes = |digest: &[u8; 32]| digest.to_vec();
        Statement {
            trace_spec: trace_spec_hash(&self.trace_spec),
            policy: self.policy.as_ref().map_or(Digest::new([0; 32]), |policy| policy.sha256),
            trace_root: exec.checkpoints.root,
            public_inputs: vec![
                ("capsule_hash", bytes(exec.capsule_hash.as_bytes())),
                ("core_hash", bytes(exec.core_hash.as_bytes())),
                ("exec_hash", bytes(exec.hash().as_bytes())),
                ("fuel_used", exec.fuel_used.to_be_bytes().to_vec()),
                ("input_commitment", bytes(exec.input.digest.as_bytes())),
                ("issuer", bytes(self.issuer.id().as_bytes())),
                ("nonce", bytes(&self.job.nonce)),
                ("outcome", outcome),
                ("output_commitment", bytes(exec.output.digest.as_bytes())),
                ("runtime_policy_hash", bytes(exec.policy_hash.as_bytes())),
            ],
            anchors: self.anchors.clone(),
            commitments: self.commitments.clone(),
        }
    }

    /// Returns the bytes that every key of the issuer signs: an in-toto statement whose subjects
    /// are the claim and its public outputs.
    #[must_use]
    pub fn signed_statement(&self) -> Vec<u8> {
        let exec = &self.exec;
        let outcome = outcome_name(exec.outcome);
        let mut predicate: BTreeMap<String, json::Value> = BTreeMap::new();
        let mut put = |name: &str, value: String| {
            predicate.insert(name.to_string(), json::Value::Text(value));
        };
        put("capsule_hash", exec.capsule_hash.to_string());
        put("exec_hash", exec.hash().to_string());
        put("issuer", self.issuer.id().to_string());
        put("kind", "exec".to_string());
        put("nonce", encode_hex(&self.job.nonce));
        put("outcome", outcome.to_string());
        if let Some(policy) = &self.policy {
            put("policy_sha256", policy.sha256.to_string());
        }
        put("run_id", encode_hex(&self.job.run_id));
        put("statement_hash", self.statement().hash().to_string());
        put("trace_spec_hash", trace_spec_hash(&self.trace_spec).to_string());
        let claim = Subject { name: Kind::Receipt.name().to_string(), sha256: *self.id().digest() };
        let outputs = self.public_outputs.iter();
        let outputs =
            outputs.map(|output| Subject { name: output.name.clone(), sha256: output.sha256 });
        envelope::Statement {
            subjects: [claim].into_iter().chain(outputs).collect(),
            predicate_type: PREDICATE.to_string(),
            predicate,
        }
        .encode()
    }
}
