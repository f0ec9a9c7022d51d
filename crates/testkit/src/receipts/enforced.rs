//! A receipt under a policy, with all that its verifier has: what decides about levels.
//!
//! Its audit bundle is elsewhere, a challenger attests that it can be had, and a log tells of it.

use kapsule_engine::Backend;
use kapsule_format::Digest;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::log::{
    Chain, Entry, EntryKind, LogName, LogProof, SignedCheckpoint, VerifierKey,
};
use kapsule_format::receipt::da::{Attestation, Challenge};
use kapsule_format::receipt::{Claim, Evidence, Extras, Issue, Receipt, issue};
use kapsule_format::receipt_policy::{
    Acl, AclEntry, DaRule, LogRule, ReceiptPolicy, Registered, Registry, Rules, Status,
};
use kapsule_format::tree::{self, CHUNK_BYTES};
use kapsule_format::trust::{self, Role, Trust, TrustedKey};
use kapsule_format::verify::{
    self, CheckName, CheckResult, Level, Options, ReceiptOptions, Report,
};

use super::{NONCE, STORIES, package, rewrite, run};

/// Name of the log.
const ORIGIN: &str = "example.org/log";
/// A second after the end of the run.
const NOW_MS: u64 = 1_767_225_601_004;

/// Checks that have to pass besides those of the level.
const DEMANDED: [CheckName; 4] =
    [CheckName::Log, CheckName::Entries, CheckName::Blobs, CheckName::Availability];

/// A receipt under a policy, and everything that its verifier has.
#[derive(Debug)]
pub struct Enforced {
    /// The receipt as its issuer made it, with its bundle.
    pub issued: Vec<u8>,
    /// The receipt without its bundle and with what others attached.
    pub bytes: Vec<u8>,
    /// The bundle.
    pub bundle: Vec<u8>,
    /// A challenge over it.
    pub challenge: Challenge,
    trust: Trust,
    asked: ReceiptOptions,
}

fn key(first: u8) -> SecretKey {
    let seed: Vec<u8> = (first..=first + 31).collect();
    let seed = seed.try_into().expect("there are 32 of them");
    SecretKey::from_seed(Suite::Ed25519, &seed).expect("every seed is a key")
}

fn identity(key: &SecretKey) -> Identity {
    Identity::try_from(key.public().clone()).expect("the suite stands alone")
}

fn policy() -> ReceiptPolicy {
    let da = DaRule { delta_ppm: 0, epsilon_bits: 1, k_max: 9, retries: 1, timeout_ms: 9 };
    let rules = Rules {
        allow_network: Some(false),
        da: Some(da),
        kinds: Some(vec!["exec".into()]),
        log: Some(LogRule { cosigners: 0, origins: vec![ORIGIN.into()] }),
        max_fuel: Some(100_000),
        outcomes: Some(vec!["completed".into()]),
        require_public_outputs: Some(vec!["output".into()]),
        signers_min: Some(1),
        ..Rules::default()
    };
    ReceiptPolicy { id: "nightly".into(), version: "1".into(), rules, tracks: Vec::new() }
}

fn trusted(key: &SecretKey, role: Role) -> TrustedKey {
    TrustedKey::new(identity(key), "k", vec![role])
}

/// Issues the receipt of a run under the policy, with its bundle.
fn issued(backend: Backend, run_id: u8) -> Vec<u8> {
    let (package, signer) = (package(), key(1));
    let ran = run(&STORIES[0], &package, backend);
    let transcript = ran.transcript.as_ref().expect("evidence was asked for");
    let states = ran.states.as_ref().expect("states were asked for");
    let (first, last, output) = (&states.first, &states.last, ran.output.as_slice());
    let evidence =
        Evidence { transcript, first, last, input: STORIES[0].input, output, nested: Vec::new() };
    let extras = Extras { policy: Some((policy(), String::new())), ..Extras::default() };
    let of_run = Issue {
        issuer: identity(&signer),
        run_id: [run_id; 16],
        start_ms: 1_767_225_600_000,
        stop_ms: 1_767_225_600_004,
        package: &package,
        closure: Vec::new(),
        extras,
    };
    let made = issue(&of_run, &evidence, None).expect("the records are short");
    made.sign([&signer]).expect("the names are those of a receipt")
}

fn log_proof(claim: &Claim) -> Vec<u8> {
    let mut chain = Chain::new(LogName::new(ORIGIN).expect("the name has its form"));
    let mut entry = Entry::new(EntryKind::ReceiptIssued, 2);
    entry.subjects = vec![("receipt".into(), *claim.id().digest())];
    let entry = chain.link(entry).expect("the entry is short");
    chain.push(&entry).expect("the entry is the next one");
    let note = SignedCheckpoint::sign(chain.checkpoint(), &key(97)).expect("the key signs notes");
    LogProof { entry, index: 0, path: Vec::new(), note }.encode().into_bytes()
}

impl Enforced {
    /// Makes the receipt of the run with this number.
    ///
    /// # Panics
    /// If a part does not fit: the parts are fixed.
    #[must_use]
    pub fn new(backend: Backend, run_id: u8) -> Self {
        let issued = issued(backend, run_id);
        let receipt = Receipt::decode(&issued).expect("it was just made");
        let (claim, bundle) = (receipt.claim().clone(), receipt.bundle().expect("it is there"));
        let challenger = key(161);
        let challenge = Challenge {
            receipt_id: claim.id(),
            chunk_root: tree::chunk_root(bundle),
            chunk_count: bundle.len().div_ceil(CHUNK_BYTES) as u64,
            seed: [1; 32],
            k: 1,
            issued_at: 5,
            answer_by: 9,
            issuer: identity(&challenger).id(),
        };
        let attestation = Attestation {
            receipt_id: claim.id(),
            chunk_root: challenge.chunk_root,
            challenge_id: challenge.id(),
            k: challenge.k,
            answered_at: 7,
            missing: Vec::new(),
            response: Digest::new([4; 32]),
            issuer: challenge.issuer,
        };
        let mut changes = vec![("audit.bundle".to_owned(), None)];
        changes.push(("log/00.tlog-proof".to_owned(), Some(log_proof(&claim))));
        let attested = attestation.sign(0, [&challenger]);
        changes.extend(attested.into_iter().map(|(name, bytes)| (name, Some(bytes))));
        let changes: Vec<(&str, Option<Vec<u8>>)> =
            changes.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
        let bytes = rewrite(&issued, claim.encode(), &changes, "");
        let (trust, asked) = verifier();
        Self { bundle: bundle.to_vec(), issued: issued.clone(), bytes, challenge, trust, asked }
    }

    /// Verifies a receipt as the verifier of this one does.
    #[must_use]
    pub fn examine(&self, bytes: &[u8]) -> Report {
        let options = Options {
            required: Level::PolicyEnforced,
            require: DEMANDED.to_vec(),
            ..Options::default()
        };
        verify::receipt(bytes, Some(&self.trust), Some(NOW_MS), &options, &self.asked)
    }

    /// Tells whether a receipt is not policy-enforced, or lacks what this one has.
    #[must_use]
    pub fn refuses(&self, bytes: &[u8]) -> bool {
        let report = self.examine(bytes);
        let lacks = |name: &CheckName| report.result(*name) != Some(CheckResult::Pass);
        !report.is_accepted() || DEMANDED.iter().any(lacks)
    }
}

/// Returns the trust file of the verifier and what it asks.
fn verifier() -> (Trust, ReceiptOptions) {
    let (issuer, policy) = (key(1), policy());
    let registry =
        Registry { id: "example".into(), serial: 1, policies: vec![Registered::active(&policy)] };
    let mut keys = vec![trusted(&issuer, Role::Issuer), trusted(&key(161), Role::Challenger)];
    keys.sort_by_key(|entry| entry.identity.id());
    let pin = trust::Registry {
        id: registry.id.clone(),
        root: registry.root(),
        size: 1,
        extensions: Default::default(),
    };
    let vkey = LogName::new(ORIGIN).and_then(|name| VerifierKey::of_log(name, key(97).public()));
    let vkeys = vec![vkey.expect("the key signs notes").to_string()];
    let log = trust::Log { origin: ORIGIN.into(), vkeys, extensions: Default::default() };
    let trust = Trust {
        keys,
        registries: vec![pin],
        logs: vec![log],
        ..Trust::first(vec![identity(&issuer)])
    };
    let entry = AclEntry {
        identity: identity(&issuer).id(),
        policies: vec!["nightly".into()],
        roles: vec![Role::Issuer],
        status: Status::Active,
        extensions: Default::default(),
    };
    let acl = Acl { serial: 1, entries: vec![entry], extensions: Default::default() };
    let asked = ReceiptOptions {
        nonce: Some(NONCE),
        policies: vec![policy],
        registry: Some(registry),
        acl: Some(Ok(acl)),
        ..ReceiptOptions::default()
    };
    (trust, asked)
}
