//! Receipts with other entries than a sample has.

use kapsule_format::cbor::{self, Value};
use kapsule_format::container::Container;
use kapsule_format::envelope::{Envelope, sign_statement};
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::receipt::{BundleRef, ProofItem, Receipt, STARK};

use super::super::{blob_name, key, reissue, rewrite};
use super::containers::tar;
use super::{Vector, claim, vector};

/// Bundles that the claim names and that say something else, under a signature of the issuer.
pub(super) fn bundles(base: &[u8]) -> Vec<Vector> {
    let receipt = Receipt::decode(base).expect("a sample is well formed");
    let bundle = receipt.bundle().expect("a sample has a bundle");
    let parts = Container::decode(bundle).expect("it is well formed");
    let made = |name: &str, why, code: &str, check, forged: Vec<u8>| {
        let mut claim = receipt.claim().clone();
        claim.bundle = Some(BundleRef::of(&forged));
        let bytes = rewrite(base, claim.encode(), &[("audit.bundle", Some(forged))], "");
        let bytes = reissue(&bytes, &claim, &key());
        Vector { check: Some(check), ..vector("receipt", name, why, code, bytes) }
    };
    let replaced = |place: &str, content: &[u8]| {
        let entries = parts.entries().iter();
        let entries: Vec<(&str, &[u8])> = entries
            .map(|entry| (entry.name, if entry.name == place { content } else { entry.bytes }))
            .collect();
        tar(&entries)
    };
    let dropped = |place: &str| {
        let entries = parts.entries().iter().filter(|entry| entry.name != place);
        tar(&entries.map(|entry| (entry.name, entry.bytes)).collect::<Vec<_>>())
    };
    let added = |name: &str| {
        let entries = parts.entries().iter().map(|entry| (entry.name, entry.bytes));
        tar(&entries.chain([(name, b"".as_slice())]).collect::<Vec<_>>())
    };
    vec![
        made(
            "bundle-entry",
            "an entry of the bundle is the bound one",
            "E013_ENTRY_DIGEST_MISMATCH",
            "bundle",
            replaced("transcript.klog", b""),
        ),
        made(
            "bundle-index",
            "the index of a bundle has a form",
            "E008_SCHEMA_VIOLATION",
            "bundle",
            replaced("bundle.cbor", &cbor::encode(&Value::Map(vec![(0, 1.into())]))),
        ),
        made(
            "bundle-kind",
            "a bundle is no receipt",
            "E001_UNKNOWN_FORMAT",
            "bundle",
            tar(&[("claim.cbor", b"a")]),
        ),
        made(
            "bundle-name",
            "an entry has a place",
            "E025_CONTAINER_UNLISTED",
            "bundle",
            added("zzz"),
        ),
        made(
            "bundle-no-transcript",
            "an audit needs the hostcalls",
            "E202_BLOB_ABSENT",
            "transcript",
            dropped("transcript.klog"),
        ),
        made(
            "bundle-no-checkpoints",
            "an audit needs the states",
            "E202_BLOB_ABSENT",
            "checkpoints",
            dropped("checkpoints.klog"),
        ),
    ]
}

/// A name, why it is refused, the code, the check, and what becomes of an entry.
type Odd<'a> = (&'static str, &'static str, &'static str, &'static str, &'a str, Option<&'a [u8]>);

/// Receipts with entries that do not belong there, or lack some that do.
pub(super) fn odd(base: &[u8]) -> Vec<Vector> {
    let receipt = Receipt::decode(base).expect("a sample is well formed");
    let blobs = receipt.blobs();
    let output = blobs.find(11, |_| true).expect("the sample has an output of eleven bytes");
    let output = blob_name(output);
    let (form, unlisted, empty) = ("form", "E025_CONTAINER_UNLISTED", Some(b"".as_slice()));
    let bundle = receipt.bundle().expect("a sample has a bundle").to_vec();
    let kind = vector("receipt", "kind", "a bundle is no receipt", "E001_UNKNOWN_FORMAT", bundle);
    let odd: [Odd<'_>; 9] = [
        ("unlisted", "an entry is bound or attached", unlisted, form, "readme.txt", empty),
        ("proof-name", "attached names have a form", unlisted, form, "proof/16.cbor", empty),
        ("blob-name", "a blob is named by digest", unlisted, form, "blobs/sha256/abc", empty),
        ("package-absent", "it is missed", "E201_ENTRY_ABSENT", "entries", "package.mod", None),
        (
            "package-other",
            "it is bound",
            "E013_ENTRY_DIGEST_MISMATCH",
            "hashes",
            "package.mod",
            empty,
        ),
        ("output-absent", "it is missed", "E202_BLOB_ABSENT", "blobs", &output, None),
        ("output-other", "it has a name", "E013_ENTRY_DIGEST_MISMATCH", "blobs", &output, empty),
        ("bundle-absent", "it is missed", "E205_BUNDLE_ABSENT", "bundle", "audit.bundle", None),
        ("bundle-other", "it is named", "E206_BUNDLE_MISMATCH", "bundle", "audit.bundle", empty),
    ];
    let kind = Vector { check: Some(form), ..kind };
    let odd = odd.into_iter().map(|odd| changed(base, odd));
    odd.chain([kind]).chain(evidence(base)).chain(signatures(base)).collect()
}

/// Receipts with proofs that do not serve.
fn evidence(base: &[u8]) -> Vec<Vector> {
    let claim = claim(base);
    let inputs = *claim.statement().hash().digest();
    let vk = inputs;
    let item =
        |system, inputs| ProofItem { system, version: 1, key: vk, inputs, proof: vec![1] }.encode();
    let (unread, other) = (item(STARK, inputs), item(STARK, *claim.id().digest()));
    let (reserved, dev) = (item(7, inputs), item(65_535, inputs));
    let (unsupported, at) = ("E303_PROOF_SYSTEM_UNSUPPORTED", "proof/00.cbor");
    let mut kind = unread.clone();
    // The kind is the value of the first key.
    kind[2] = 2;
    let odd: [Odd<'_>; 7] = [
        ("proof-unread", "no one verifies it", unsupported, "proof", at, Some(&unread)),
        ("proof-system", "systems are numbered", unsupported, "proof", at, Some(&reserved)),
        ("proof-dev", "it proves nothing", "E308_DEV_PROOF_REFUSED", "proof", at, Some(&dev)),
        (
            "proof-inputs",
            "it is about the claim",
            "E304_PROOF_INPUTS_MISMATCH",
            "proof",
            at,
            Some(&other),
        ),
        ("proof-kind", "it is a proof", "E008_SCHEMA_VIOLATION", "proof", at, Some(&kind)),
        ("proof-empty", "it is an item", "E002_TRUNCATED", "proof", at, Some(b"")),
        (
            "log-form",
            "it is a log proof",
            "E008_SCHEMA_VIOLATION",
            "log",
            "log/00.tlog-proof",
            Some(b""),
        ),
    ];
    odd.into_iter().map(|odd| changed(base, odd)).collect()
}

/// Receipts with other envelopes.
fn signatures(base: &[u8]) -> Vec<Vector> {
    let receipt = Receipt::decode(base).expect("a sample is well formed");
    let (name, envelope) = receipt.container().envelopes().next().expect("a sample is signed");
    let name = name.entry_name();
    let mut bent = envelope.to_vec();
    let place = bent.windows(7).position(|seven| seven == b"\"sig\":\"").expect("it has one") + 20;
    bent[place] = if bent[place] == b'A' { b'B' } else { b'A' };
    let renamed = name.replace("ed25519", "p256");
    let other = format!("sig/ed25519-{}.dsse.json", "0".repeat(64));
    let foreign = foreign(base);
    let (invalid, keyid) = ("E032_SIGNATURE_INVALID", "E038_KEYID_MISMATCH");
    let (signature, statement) = ("signature", "statement");
    let odd: [Odd<'_>; 7] = [
        ("signature-name", "it names a key", keyid, "form", "sig/me.dsse.json", Some(b"")),
        ("unsigned", "the issuer signs", "E033_SIGNATURE_MISSING", signature, &name, None),
        ("signature-bent", "it verifies", invalid, signature, &name, Some(&bent)),
        (
            "signature-form",
            "a suite has a form",
            "E036_SIGNATURE_FORM",
            statement,
            &renamed,
            Some(envelope),
        ),
        ("signature-suite", "a key has one suite", keyid, signature, &renamed, Some(&foreign)),
        ("signature-key", "name and key id agree", keyid, statement, &other, Some(envelope)),
        ("signature-empty", "it is whole", "E007_JSON_NOT_CANONICAL", statement, &name, Some(b"")),
    ];
    odd.into_iter().map(|odd| changed(base, odd)).collect()
}

fn changed(base: &[u8], (name, why, code, check, entry, content): Odd<'_>) -> Vector {
    let index = Container::decode(base).expect("a sample is well formed").index().to_vec();
    let bytes = rewrite(base, index, &[(entry, content.map(<[u8]>::to_vec))], "");
    Vector { check: Some(check), ..vector("receipt", name, why, code, bytes) }
}

/// Returns an envelope under the id of the sample's key with a signature of another suite.
fn foreign(base: &[u8]) -> Vec<u8> {
    let statement = claim(base).signed_statement();
    let other = SecretKey::from_seed(Suite::P256, &[7; 32]).expect("the scalar is in range");
    let signature = sign_statement(&statement, &other);
    Envelope::from_signature(&statement, key().public().id(), signature).encode()
}
