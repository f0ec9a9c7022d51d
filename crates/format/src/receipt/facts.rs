//! What a claim says, field by field in words, and where two claims differ.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::claim::Claim;
use super::exec::{Counted, ExecBody, Sized};
use crate::hash::encode_hex;
use crate::transcript::Extensions;
use crate::{Digest, cbor};

/// A field in which two claims differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the field.
    pub name: &'static str,
    /// Whether it belongs to what every honest executor of one job finds the same.
    pub is_exec: bool,
    /// What the first claim says.
    pub left: String,
    /// What the second claim says.
    pub right: String,
}

/// Returns every field in which two claims differ, in the order of the claim.
#[must_use]
pub fn differences(left: &Claim, right: &Claim) -> Vec<Difference> {
    let compare = |is_exec| {
        move |((name, left), (_, right)): ((&'static str, String), (&'static str, String))| {
            (left != right).then_some(Difference { name, is_exec, left, right })
        }
    };
    let claims = left.facts().into_iter().zip(right.facts()).filter_map(compare(false));
    let execs = left.exec.facts().into_iter().zip(right.exec.facts()).filter_map(compare(true));
    claims.chain(execs).collect()
}

impl ExecBody {
    /// Returns every field as (name, text), always the same names in one order.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let optional =
            |digest: &Option<Digest>| digest.map_or_else(none, |digest| digest.to_string());
        Vec::from([
            ("capsule_hash", self.capsule_hash.to_string()),
            ("core_hash", self.core_hash.to_string()),
            ("abi", self.abi.clone()),
            ("profile", self.profile.clone()),
            ("metering", self.metering.clone()),
            ("entry", self.entry.clone()),
            ("input", sized(&self.input)),
            ("runtime policy", self.policy_hash.to_string()),
            ("granted fuel", self.fuel.to_string()),
            ("granted memory", self.memory_bytes.to_string()),
            ("transcript", counted(&self.transcript)),
            ("checkpoints", counted(&self.checkpoints)),
            ("first state", self.first_state.to_string()),
            ("last state", self.last_state.to_string()),
            ("storage before", self.storage_before.to_string()),
            ("storage after", self.storage_after.to_string()),
            ("output", sized(&self.output)),
            ("fuel used", self.fuel_used.to_string()),
            ("outcome", self.outcome.to_string()),
            ("salt commitment", optional(&self.salt_commitment)),
            ("nested runs", list(&self.nested, ToString::to_string)),
            ("module", self.module.to_string()),
            ("effective policy", self.effective_policy.to_string()),
            ("trace spec", self.trace_spec.to_string()),
        ])
    }
}

impl Claim {
    /// Returns every field outside of the exec body as (name, text), always the same names in one
    /// order.
    #[must_use]
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let (job, context, events) = (&self.job, &self.context, &self.events);
        let optional = |digest: Option<Digest>| digest.map_or_else(none, |one| one.to_string());
        let time = |time: Option<u64>| time.map_or_else(none, |time| time.to_string());
        let policy = self.policy.as_ref();
        let bundle = self.bundle.map(|bundle| {
            let form = if bundle.encrypted { ", encrypted" } else { "" };
            format!("{} of {} bytes, coding {}{form}", bundle.sha256, bundle.size, bundle.coding)
        });
        Vec::from([
            ("issuer", self.issuer.id().to_string()),
            ("nonce", encode_hex(&job.nonce)),
            ("run", encode_hex(&job.run_id)),
            ("requester", optional(job.requester)),
            ("offer", optional(job.offer)),
            ("not after", time(job.not_after)),
            ("trace format", trace(self)),
            (
                "receipt policy",
                policy.map_or_else(none, |one| {
                    format!("{} {} {} track {:?}", one.id, one.version, one.sha256, one.track)
                }),
            ),
            (
                "anchors",
                list(&self.anchors, |one| format!("{} {}", one.kind, encode_hex(&one.value))),
            ),
            ("commitments", list(&self.commitments, ToString::to_string)),
            ("start", context.start_ms.to_string()),
            ("stop", context.stop_ms.to_string()),
            ("resources", list(&context.resources, |(name, value)| format!("{name} {value}"))),
            ("events", format!("{} head {} root {}", events.count, events.head, events.root)),
            ("parents", list(&self.parents, ToString::to_string)),
            ("bundle", bundle.unwrap_or_else(none)),
            ("promised proofs", list(&self.proof_systems, ToString::to_string)),
            (
                "bound entries",
                list(&self.entries, |one| format!("{} {} {}", one.name, one.size, one.sha256)),
            ),
            (
                "public outputs",
                list(&self.public_outputs, |one| format!("{} {}", one.name, one.sha256)),
            ),
            ("extensions", extensions(&self.extensions)),
        ])
    }
}

fn trace(claim: &Claim) -> String {
    let spec = &claim.trace_spec;
    format!(
        "{} {} {} field {} fuel step {} hostcall step {} {}",
        spec.format,
        spec.encoding,
        spec.tree,
        spec.field,
        spec.fuel_step,
        spec.hostcall_step,
        extensions(&spec.extensions)
    )
}

fn extensions(entries: &Extensions) -> String {
    list(entries, |(key, value)| format!("{key} {}", encode_hex(&cbor::encode(value))))
}

fn none() -> String {
    "none".to_string()
}

fn sized(sized: &Sized) -> String {
    format!("{} of {} bytes", sized.digest, sized.size)
}

fn counted(counted: &Counted) -> String {
    format!("{} with root {}", counted.count, counted.root)
}

fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    match items {
        [] => none(),
        items => items.iter().map(text).collect::<Vec<_>>().join(", "),
    }
}
