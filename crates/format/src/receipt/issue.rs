//! Making a receipt of a run.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use kapsule_abi::Outcome;

use super::bundle;
use super::checkpoint::{self, Checkpoint, CheckpointKind};
use super::claim::Claim;
use super::exec::{Counted, ExecBody, Sized};
use super::file::{BUNDLE, MANIFEST_SIGNATURES, PACKAGE, POLICY_PROOF, RECEIPT_POLICY};
use super::manifests::{HOST, HostManifest, TOOLCHAIN, ToolchainManifest};
use super::parts::{BundleRef, Context, Events, Job, PolicyRef, PublicOutput, TraceSpec};
use super::statement::trace_spec_hash;
use crate::DecodeError;
use crate::container::{BLOBS, EntryRef, Kind, Writer};
use crate::envelope::{Envelope, SignatureName};
use crate::hash::sha256;
use crate::key::{Identity, SecretKey};
use crate::package::Package;
use crate::receipt_policy::{PolicyProof, ReceiptPolicy};
use crate::transcript::{State, Transcript, ZERO_HEAD, input_commitment, next_head, root};

/// Name of the public output of a run that completed with 0.
pub const OUTPUT: &str = "output";

/// What a run left behind.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Its transcript; the seed of the header is the nonce of the job.
    pub transcript: &'a Transcript,
    /// State before the first instruction.
    pub first: &'a State,
    /// State at the end.
    pub last: &'a State,
    /// Input.
    pub input: &'a [u8],
    /// Output.
    pub output: &'a [u8],
}

/// What a receipt has besides the run.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Whether the package is left out, for a verifier who has it.
    pub without_package: bool,
    /// Receipt policy that the issuer submits to, with the name of a track.
    pub policy: Option<(ReceiptPolicy, String)>,
    /// Proof that a registry includes the policy, as its keeper wrote it.
    pub policy_proof: Option<PolicyProof>,
    /// The machine.
    pub host: Option<HostManifest>,
    /// The tools.
    pub toolchain: Option<ToolchainManifest>,
    /// Numbers of the proof systems that the issuer promises, ascending.
    pub proof_systems: Vec<u64>,
}

/// Who issues a receipt, for which run, and when.
#[derive(Clone, Debug)]
pub struct Issue<'a> {
    /// Who signs.
    pub issuer: Identity,
    /// Names the run.
    pub run_id: [u8; 16],
    /// Claimed start in milliseconds since 1970.
    pub start_ms: u64,
    /// Claimed end.
    pub stop_ms: u64,
    /// The package that ran.
    pub package: &'a Package,
    /// What the receipt has besides.
    pub extras: Extras,
}

/// A receipt before it is written.
#[derive(Clone, Debug)]
pub struct Issued {
    claim: Claim,
    entries: Vec<(String, Vec<u8>)>,
}

/// Makes the receipt of a run, with its package, audit bundle, input and output.
///
/// Takes time linear in the size of what it embeds.
///
/// # Errors
/// E004 for a transcript with a record that no file holds.
///
/// # Determinism
/// Depends on the arguments alone; the backend of the run is not among them.
pub fn issue(issue: &Issue<'_>, evidence: &Evidence<'_>) -> Result<Issued, DecodeError> {
    let checkpoints = ends(evidence);
    let Evidence { transcript, input, output, .. } = *evidence;
    let extras = &issue.extras;
    let bound = bound_entries(issue);
    let bundle =
        bundle::write(&issue.run_id, &transcript.entries, &checkpoints, &transcript.header.policy)?;
    let completed = transcript.end.outcome == Outcome::Completed(0);
    let public = PublicOutput { name: OUTPUT.to_string(), sha256: sha256(output) };
    let claim = Claim {
        issuer: issue.issuer.clone(),
        job: Job {
            nonce: transcript.header.seed,
            run_id: issue.run_id,
            requester: None,
            offer: None,
            not_after: None,
        },
        exec: exec_body(issue.package, evidence),
        trace_spec: TraceSpec::ends(),
        policy: extras.policy.as_ref().map(|(policy, track)| PolicyRef {
            id: policy.id.clone(),
            version: policy.version.clone(),
            sha256: policy.sha256(),
            track: track.clone(),
        }),
        anchors: Vec::new(),
        commitments: Vec::new(),
        context: Context {
            start_ms: issue.start_ms,
            stop_ms: issue.stop_ms,
            resources: Vec::new(),
        },
        events: Events::none(&issue.run_id),
        parents: Vec::new(),
        bundle: Some(BundleRef::of(&bundle)),
        proof_systems: extras.proof_systems.clone(),
        entries: bound.iter().map(|(name, bytes)| EntryRef::of(name, bytes)).collect(),
        public_outputs: if completed { vec![public] } else { Vec::new() },
        extensions: Vec::new(),
    };
    let mut issued = Issued { claim, entries: bound };
    issued.attach(BUNDLE.to_string(), bundle);
    if let Some(proof) = &extras.policy_proof {
        issued.attach(POLICY_PROOF.to_string(), proof.encode());
    }
    // A file of no bytes is known without being there.
    for blob in [input, output].into_iter().filter(|blob| !blob.is_empty()) {
        issued.attach(format!("{BLOBS}{}", sha256(blob)), blob.to_vec());
    }
    Ok(issued)
}

/// Returns the entries that the claim binds, ascending by name.
fn bound_entries(issue: &Issue<'_>) -> Vec<(String, Vec<u8>)> {
    let extras = &issue.extras;
    let package = (!extras.without_package).then(|| issue.package.encode());
    let entries = [
        (HOST, extras.host.as_ref().map(HostManifest::encode)),
        (PACKAGE, package),
        (RECEIPT_POLICY, extras.policy.as_ref().map(|(policy, _)| policy.encode())),
        (TOOLCHAIN, extras.toolchain.as_ref().map(ToolchainManifest::encode)),
    ];
    entries.into_iter().filter_map(|(name, bytes)| Some((name.to_string(), bytes?))).collect()
}

impl Issued {
    /// Returns the claim.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Vouches for the manifests of the run with these keys.
    pub fn vouch<'s>(&mut self, secrets: impl IntoIterator<Item = &'s SecretKey>) {
        for (name, bytes) in vouch(&self.claim, secrets) {
            self.attach(name, bytes);
        }
    }

    fn attach(&mut self, name: String, bytes: Vec<u8>) {
        // Input and output may be the same bytes.
        if self.entries.iter().all(|(other, _)| *other != name) {
            self.entries.push((name, bytes));
        }
    }

    /// Signs the claim with these keys and returns the file.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn sign<'s>(
        self,
        secrets: impl IntoIterator<Item = &'s SecretKey>,
    ) -> Result<Vec<u8>, DecodeError> {
        let statement = self.claim.signed_statement();
        let mut writer = Writer::new(Kind::Receipt, self.claim.encode());
        for secret in secrets {
            let name = SignatureName::of(secret.public());
            writer.push(name.entry_name(), Envelope::sign(&statement, secret).encode());
        }
        for (name, bytes) in self.entries {
            writer.push(name, bytes);
        }
        writer.finish()
    }
}

/// Returns the entries by which the holders of these keys vouch for the manifests of a claim.
pub fn vouch<'s>(
    claim: &Claim,
    secrets: impl IntoIterator<Item = &'s SecretKey>,
) -> Vec<(String, Vec<u8>)> {
    let statement = claim.manifests_statement();
    let sign = |secret: &SecretKey| {
        let name = SignatureName::of(secret.public());
        (name.below(MANIFEST_SIGNATURES), Envelope::sign(&statement, secret).encode())
    };
    secrets.into_iter().map(sign).collect()
}

/// Returns the checkpoints of start and end.
fn ends(evidence: &Evidence<'_>) -> Vec<Checkpoint> {
    let Transcript { entries, end, .. } = evidence.transcript;
    let leaves = entries.iter().zip(0..).map(|(entry, seq)| entry.leaf(seq, None));
    let head = leaves.fold(ZERO_HEAD, |head, leaf| next_head(&head, &leaf));
    let start = Checkpoint {
        kind: CheckpointKind::Start,
        fuel: 0,
        hostcalls: 0,
        state: *evidence.first,
        head: ZERO_HEAD,
    };
    let end = Checkpoint {
        kind: CheckpointKind::End,
        fuel: end.fuel_used,
        hostcalls: entries.len() as u64,
        state: *evidence.last,
        head,
    };
    vec![start, end]
}

/// Returns the exec body of a run whose checkpoints are those of start and end.
#[must_use]
pub fn exec_body(package: &Package, evidence: &Evidence<'_>) -> ExecBody {
    let checkpoints = ends(evidence);
    let Evidence { transcript, first, last, input, .. } = *evidence;
    let (header, end) = (&transcript.header, &transcript.end);
    let exec = &package.manifest().exec;
    let count = |length: usize| length as u64;
    ExecBody {
        capsule_hash: header.capsule_hash,
        core_hash: header.core_hash,
        abi: header.abi.to_string(),
        profile: header.profile.to_string(),
        metering: header.metering.to_string(),
        entry: header.entry.clone(),
        input: Sized { digest: input_commitment(None, input), size: count(input.len()) },
        policy_hash: package.policy_hash(),
        fuel: header.fuel,
        memory_bytes: header.memory_bytes,
        transcript: Counted {
            count: count(transcript.entries.len()),
            root: root(&transcript.entries, None),
        },
        checkpoints: Counted {
            count: count(checkpoints.len()),
            root: checkpoint::root(&checkpoints),
        },
        first_state: first.hash(),
        last_state: last.hash(),
        storage_before: first.storage_root,
        storage_after: last.storage_root,
        output: Sized { digest: end.output, size: end.output_bytes },
        fuel_used: end.fuel_used,
        outcome: end.outcome,
        salt_commitment: None,
        nested: Vec::new(),
        module: exec.encrypted.as_ref().map_or(exec.hash, |encrypted| encrypted.commitment),
        effective_policy: header.policy.hash(),
        trace_spec: trace_spec_hash(&TraceSpec::ends()),
    }
}
