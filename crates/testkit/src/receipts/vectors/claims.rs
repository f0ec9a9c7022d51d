//! Claims that their issuer signed and that contradict themselves or what stands beside them.

use kapsule_format::Digest;
use kapsule_format::container::EntryRef;
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::package::CoreHash;
use kapsule_format::policy::PolicyHash;
use kapsule_format::receipt::{Anchor, BUNDLE, BundleRef, Claim, Events, PublicOutput};

use super::super::{key, reissue, rewrite};
use super::{Vector, claim, vector};

/// A digest of nothing.
const OTHER: Digest = Digest::new([0x11; 32]);

/// A name, why it is refused, the code, the check, and the change to the claim.
type Forgery = (&'static str, &'static str, &'static str, &'static str, fn(&mut Claim));

/// What contradicts.
const CONTRADICTIONS: [Forgery; 30] = [
    ("stop-before-start", "time goes on", "E017_FACTS_CONFLICT", "claim", |c| {
        c.context.stop_ms = 0
    }),
    ("fuel-used", "no run uses more than it is granted", "E017_FACTS_CONFLICT", "claim", |c| {
        c.exec.fuel_used = c.exec.fuel + 1
    }),
    (
        "trace-spec-hash",
        "the body is bound to one trace spec",
        "E017_FACTS_CONFLICT",
        "claim",
        |c| c.exec.trace_spec = OTHER,
    ),
    ("trace-format", "an unknown form of trace", "E005_VERSION_UNSUPPORTED", "claim", |c| {
        c.trace_spec.format = "kapsule/run/1".into()
    }),
    ("trace-field", "an unknown field", "E005_VERSION_UNSUPPORTED", "claim", |c| {
        c.trace_spec.field = "goldilocks".into()
    }),
    ("trace-schema", "an unknown schema", "E005_VERSION_UNSUPPORTED", "claim", |c| {
        c.trace_spec.schema = OTHER
    }),
    ("metering", "unknown rules of metering", "E005_VERSION_UNSUPPORTED", "claim", |c| {
        c.exec.metering = "fuel-2 stack-1 meter-1".into()
    }),
    ("abi", "an unknown contract with the host", "E005_VERSION_UNSUPPORTED", "claim", |c| {
        c.exec.abi = "kapsule_v2".into()
    }),
    (
        "events-unlisted",
        "events are listed where there are any",
        "E017_FACTS_CONFLICT",
        "claim",
        |c| c.events.count = 1,
    ),
    ("events-genesis", "no events have one head", "E017_FACTS_CONFLICT", "claim", |c| {
        c.events = Events::none(&[0; 16])
    }),
    ("package-hash", "the package is the one that ran", "E017_FACTS_CONFLICT", "hashes", |c| {
        c.exec.core_hash = CoreHash::new(OTHER)
    }),
    ("package-entry", "the package has the entry", "E017_FACTS_CONFLICT", "hashes", |c| {
        c.exec.entry = "other".into()
    }),
    ("package-module", "the module is that of the package", "E017_FACTS_CONFLICT", "hashes", |c| {
        c.exec.module = OTHER
    }),
    (
        "bound-digest",
        "a bound entry is the one that was bound",
        "E013_ENTRY_DIGEST_MISMATCH",
        "hashes",
        |c| c.entries[0].sha256 = OTHER,
    ),
    ("bound-size", "a bound entry has its size", "E013_ENTRY_DIGEST_MISMATCH", "hashes", |c| {
        c.entries[0].size += 1
    }),
    (
        "transcript-root",
        "the trace is the one of the claim",
        "E015_COUNTED_ROOT_MISMATCH",
        "transcript",
        |c| c.exec.transcript.root = OTHER,
    ),
    (
        "transcript-count",
        "the trace is the one of the claim",
        "E015_COUNTED_ROOT_MISMATCH",
        "transcript",
        |c| c.exec.transcript.count += 1,
    ),
    (
        "checkpoint-root",
        "the states are those of the claim",
        "E015_COUNTED_ROOT_MISMATCH",
        "checkpoints",
        |c| c.exec.checkpoints.root = OTHER,
    ),
    (
        "first-state",
        "the first state is that of the start",
        "E017_FACTS_CONFLICT",
        "checkpoints",
        |c| c.exec.first_state = c.exec.last_state,
    ),
    (
        "last-state",
        "the last state is that of the end",
        "E017_FACTS_CONFLICT",
        "checkpoints",
        |c| c.exec.last_state = c.exec.first_state,
    ),
    (
        "storage-after",
        "the storage is that of the end",
        "E017_FACTS_CONFLICT",
        "checkpoints",
        |c| c.exec.storage_after = OTHER,
    ),
    (
        "effective-policy",
        "the policy is the one that was in force",
        "E017_FACTS_CONFLICT",
        "bundle",
        |c| c.exec.effective_policy = PolicyHash::new(OTHER),
    ),
    (
        "granted-fuel",
        "no more is granted than the policy gives",
        "E017_FACTS_CONFLICT",
        "bundle",
        |c| c.exec.fuel = 1 << 40,
    ),
    ("run-id", "the bundle is of this run", "E017_FACTS_CONFLICT", "bundle", |c| {
        c.job.run_id = [0; 16];
        c.events = Events::none(&c.job.run_id);
    }),
    ("nonce", "the nonce is the verifier's", "E121_NONCE_MISMATCH", "job", |c| {
        c.job.nonce = [0; 32]
    }),
    ("not-after", "the run was in time", "E135_EXPIRED", "job", |c| c.job.not_after = Some(1)),
    ("output-commitment", "the output opens its commitment", "E202_BLOB_ABSENT", "blobs", |c| {
        c.exec.output.digest = OTHER
    }),
    (
        "bundle-digest",
        "the bundle is the one of the claim",
        "E206_BUNDLE_MISMATCH",
        "bundle",
        |c| c.bundle = c.bundle.map(|b| BundleRef { sha256: OTHER, ..b }),
    ),
    (
        "bundle-encrypted",
        "an encrypted bundle is an age file",
        "E054_STANZA_MISMATCH",
        "bundle",
        |c| c.bundle = c.bundle.map(|b| BundleRef { encrypted: true, ..b }),
    ),
    (
        "bundle-coded",
        "an erasure code is not read",
        "E211_CODING_UNSUPPORTED",
        "availability",
        |c| c.bundle = c.bundle.map(|b| BundleRef { coding: 1, ..b }),
    ),
];

/// What is absent, unread or of another form.
const DEPARTURES: [Forgery; 15] = [
    ("bundle-unnamed", "without a bundle there is no audit", "E205_BUNDLE_ABSENT", "bundle", |c| {
        c.bundle = None
    }),
    ("salted", "salts are in the bundle", "E202_BLOB_ABSENT", "blobs", |c| {
        c.exec.salt_commitment = Some(OTHER)
    }),
    (
        "parent",
        "receipts that it builds on are looked for",
        "E204_ANCESTOR_ABSENT",
        "ancestors",
        |c| c.parents = vec![OTHER],
    ),
    ("proof-promised", "a promised proof is not forgotten", "E301_PROOF_MISSING", "proof", |c| {
        c.proof_systems = vec![1]
    }),
    ("events-unread", "events are not read", "E213_NOT_LOOKED_AT", "events", |c| {
        c.events.count = 1;
        c.entries.insert(0, EntryRef::of("events.jsonl", b""));
    }),
    ("manifests", "nobody signed them", "E106_MANIFEST_SIGNATURE_MISSING", "manifests", |c| {
        c.entries.insert(0, EntryRef::of("host.json", b""))
    }),
    (
        "listed-absent",
        "a bound entry that is absent is missed",
        "E201_ENTRY_ABSENT",
        "entries",
        |c| c.entries.push(EntryRef::of("x/notes", b"")),
    ),
    ("bound-name", "what may be bound is listed", "E025_CONTAINER_UNLISTED", "form", |c| {
        c.entries.insert(0, EntryRef::of("other", b""))
    }),
    ("bound-order", "lists ascend", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.entries.push(EntryRef::of("host.json", b""))
    }),
    ("output-name", "a public output is no claim", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.public_outputs = vec![PublicOutput { name: "claim.cbor".into(), sha256: OTHER }]
    }),
    ("anchor-kind", "a kind is an ident", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.anchors = vec![Anchor { kind: "Block".into(), value: vec![] }]
    }),
    ("resource-name", "a resource is an ident", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.context.resources = vec![("CPU".into(), 1)]
    }),
    ("anchors-17", "lists have limits", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.anchors = vec![Anchor { kind: "block".into(), value: vec![] }; 17]
    }),
    ("one-checkpoint", "a run has a start and an end", "E008_SCHEMA_VIOLATION", "form", |c| {
        c.exec.checkpoints.count = 1
    }),
    ("foreign-issuer", "the issuer signs", "E033_SIGNATURE_MISSING", "signature", |c| {
        let other = SecretKey::from_seed(Suite::Ed25519, &[8; 32]);
        let other = other.expect("every seed is a key");
        c.issuer = other.public().clone().try_into().expect("the suite stands alone");
    }),
];

/// Makes every forged claim of the first sample.
pub(super) fn all(base: &[u8]) -> Vec<Vector> {
    let made = CONTRADICTIONS.iter().chain(&DEPARTURES);
    let whole = made.map(|(name, why, code, check, change)| {
        let mut forged = claim(base);
        change(&mut forged);
        let bytes = reissue(base, &forged, &key());
        Vector { check: Some(check), ..vector("receipt", name, why, code, bytes) }
    });
    whole.chain([fuel_without_bundle(base)]).collect()
}

/// Makes a claim of too much fuel whose transcript is not there to say the same.
fn fuel_without_bundle(base: &[u8]) -> Vector {
    let mut forged = claim(base);
    forged.exec.fuel_used = forged.exec.fuel + 1;
    forged.bundle = None;
    let bytes = rewrite(base, forged.encode(), &[(BUNDLE, None)], "");
    let bytes = reissue(&bytes, &forged, &key());
    let why = "no run uses more than it is granted, whatever is recorded of it";
    let vector = vector("receipt", "fuel-used-unrecorded", why, "E017_FACTS_CONFLICT", bytes);
    Vector { check: Some("claim"), ..vector }
}
