//! Making a receipt of a run.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};

use kapsule_abi::Outcome;
use kapsule_abi::hostcall::CALL;

use super::bundle;
use super::checkpoint::{self, Checkpoint, CheckpointKind};
use super::claim::Claim;
use super::exec::{Counted, ExecBody, Sized};
use super::file::{BUNDLE, MANIFEST_SIGNATURES, PACKAGE, POLICY_PROOF, RECEIPT_POLICY};
use super::manifests::{HOST, HostManifest, TOOLCHAIN, ToolchainManifest};
use super::nested::{Nested, hashes, nested_seed};
use super::parts::{BundleRef, Context, Events, Job, PolicyRef, PublicOutput, TraceSpec};
use super::statement::trace_spec_hash;
use crate::DecodeError;
use crate::container::{BLOBS, EntryRef, Kind, Writer};
use crate::envelope::{Envelope, SignatureName};
use crate::hash::{salt_commitment, sha256};
use crate::key::{Identity, SecretKey};
use crate::package::Package;
use crate::receipt_policy::{PolicyProof, ReceiptPolicy};
use crate::transcript::{
    State, Transcript, ZERO_HEAD, input_commitment, next_head, output_commitment, root,
};

/// Name of the public output of a run that completed with 0.
pub const OUTPUT: &str = "output";

/// What a run left behind.
#[derive(Clone, Debug)]
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
    /// Runs that it started by `call`, in the order of the calls.
    pub nested: Vec<NestedEvidence<'a>>,
}

/// A run inside the run.
#[derive(Clone, Debug)]
pub struct NestedEvidence<'a> {
    /// The package that was called.
    pub package: &'a Package,
    /// What its run left behind.
    pub evidence: Evidence<'a>,
}

/// Encrypts an audit bundle.
pub type Encryptor<'a> = &'a dyn Fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

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
    /// Seed of the salts under which the claim hides values; without one everybody can test a
    /// guess of a value.
    pub salt_seed: Option<[u8; 32]>,
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
    /// The packages that it needs, with all that these need.
    pub closure: Vec<&'a Package>,
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
/// The bundle also holds the packages of the closure if the run called something.
/// It holds input and output too where they are hidden from those who have no bundle: by salts, or
/// because `encryptor` encrypts it.
/// Takes time linear in the size of what it embeds.
///
/// # Errors
/// E004 for a transcript with a record that no file holds, and for too many runs inside the run;
/// the errors of `encryptor`.
///
/// # Determinism
/// Depends on the arguments alone; the backend of the run is not among them.
pub fn issue(
    issue: &Issue<'_>,
    evidence: &Evidence<'_>,
    encryptor: Option<Encryptor<'_>>,
) -> Result<Issued, DecodeError> {
    let Evidence { transcript, input, output, .. } = *evidence;
    let extras = &issue.extras;
    let bound = bound_entries(issue);
    // A file of no bytes is known without being there.
    let blobs = [input, output].into_iter().filter(|blob| !blob.is_empty()).map(<[u8]>::to_vec);
    let blobs: Vec<Vec<u8>> = blobs.collect();
    let hidden = extras.salt_seed.is_some() || encryptor.is_some();
    let (inside, outside) = if hidden { (blobs, Vec::new()) } else { (Vec::new(), blobs) };
    let runs = nested(evidence, extras.salt_seed.as_ref());
    let exec = body(issue.package, evidence, &runs, extras.salt_seed.as_ref());
    let bundle = bundle_of(issue, evidence, &runs, inside)?;
    let (bundle, named) = match encryptor {
        Some(encryptor) => {
            let encrypted = encryptor(&bundle)?;
            let named = BundleRef { encrypted: true, ..BundleRef::of(&encrypted) };
            (encrypted, named)
        }
        None => {
            let named = BundleRef::of(&bundle);
            (bundle, named)
        }
    };
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
        exec,
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
        bundle: Some(named),
        proof_systems: extras.proof_systems.clone(),
        entries: bound.iter().map(|(name, bytes)| EntryRef::of(name, bytes)).collect(),
        // The digest of an output tells who guesses it that the guess is right.
        public_outputs: if completed && !hidden { vec![public] } else { Vec::new() },
        extensions: Vec::new(),
    };
    let mut issued = Issued { claim, entries: bound };
    issued.attach(BUNDLE.to_string(), bundle);
    if let Some(proof) = &extras.policy_proof {
        issued.attach(POLICY_PROOF.to_string(), proof.encode());
    }
    for blob in outside {
        issued.attach(format!("{BLOBS}{}", sha256(&blob)), blob);
    }
    Ok(issued)
}

/// Returns the audit bundle in the clear.
fn bundle_of(
    issue: &Issue<'_>,
    evidence: &Evidence<'_>,
    nested: &[Nested<'_>],
    mut blobs: Vec<Vec<u8>>,
) -> Result<Vec<u8>, DecodeError> {
    let (transcript, salt_seed) = (evidence.transcript, issue.extras.salt_seed);
    let calls = transcript.entries.iter().any(|entry| entry.hostcall == u64::from(CALL));
    if calls && !issue.extras.without_package {
        blobs.extend(issue.closure.iter().map(|package| package.encode()));
    }
    bundle::write(bundle::Parts {
        run_id: &issue.run_id,
        entries: &transcript.entries,
        checkpoints: &ends(evidence, salt_seed.as_ref()),
        policy: &transcript.header.policy,
        nested,
        salt_seed,
        blobs,
    })
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
fn ends(evidence: &Evidence<'_>, salt_seed: Option<&[u8; 32]>) -> Vec<Checkpoint> {
    let Transcript { entries, end, .. } = evidence.transcript;
    let leaves = entries.iter().zip(0..).map(|(entry, seq)| entry.leaf(seq, salt_seed));
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

/// Returns the exec body of a run whose checkpoints are those of start and end, with values salted
/// from this seed.
#[must_use]
pub fn exec_body(
    package: &Package,
    evidence: &Evidence<'_>,
    salt_seed: Option<&[u8; 32]>,
) -> ExecBody {
    body(package, evidence, &nested(evidence, salt_seed), salt_seed)
}

/// Returns the runs inside a run, as its bundle records them.
fn nested<'a>(evidence: &Evidence<'a>, salt_seed: Option<&[u8; 32]>) -> Vec<Nested<'a>> {
    let one = |(index, run): (usize, &NestedEvidence<'a>)| {
        let seed = salt_seed.map(|seed| nested_seed(seed, index));
        let inside = nested(&run.evidence, seed.as_ref());
        Nested {
            exec: body(run.package, &run.evidence, &inside, seed.as_ref()),
            entries: Cow::Borrowed(&run.evidence.transcript.entries),
            nested: inside,
        }
    };
    evidence.nested.iter().enumerate().map(one).collect()
}

fn body(
    package: &Package,
    evidence: &Evidence<'_>,
    nested: &[Nested<'_>],
    salt_seed: Option<&[u8; 32]>,
) -> ExecBody {
    let checkpoints = ends(evidence, salt_seed);
    let Evidence { transcript, first, last, input, output, .. } = *evidence;
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
        input: Sized { digest: input_commitment(salt_seed, input), size: count(input.len()) },
        policy_hash: package.policy_hash(),
        fuel: header.fuel,
        memory_bytes: header.memory_bytes,
        transcript: Counted {
            count: count(transcript.entries.len()),
            root: root(&transcript.entries, salt_seed),
        },
        checkpoints: Counted {
            count: count(checkpoints.len()),
            root: checkpoint::root(&checkpoints),
        },
        first_state: first.hash(),
        last_state: last.hash(),
        storage_before: first.storage_root,
        storage_after: last.storage_root,
        output: Sized { digest: output_commitment(salt_seed, output), size: end.output_bytes },
        fuel_used: end.fuel_used,
        outcome: end.outcome,
        salt_commitment: salt_seed.map(salt_commitment),
        nested: hashes(nested),
        module: exec.encrypted.as_ref().map_or(exec.hash, |encrypted| encrypted.commitment),
        effective_policy: header.policy.hash(),
        trace_spec: trace_spec_hash(&TraceSpec::ends()),
    }
}
