//! Evidence that others attach to a receipt: log proofs, attestations of availability, proofs.

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::key::SecretKey;
use kapsule_format::log::{
    Chain, Entry, EntryKind, LogName, LogProof, SignedCheckpoint, VerifierKey,
};
use kapsule_format::receipt::da::{Attestation, Challenge, Sampling};
use kapsule_format::receipt::{ProofItem, Receipt, STARK};
use kapsule_format::receipt_policy::{DaRule, LogRule, RuleName, Rules};
use kapsule_format::trust::{self, Role};
use kapsule_format::verify::{CheckName, CheckResult, Level, ProofFinding, Report, SamplingFact};
use kapsule_format::{DecodeError, tree};

use crate::receipt_scene::{Scene, identity, key, trusted};

const ORIGIN: &str = "example.org/log";
const PASS: CheckResult = CheckResult::Pass;

fn undone(code: ErrorCode) -> CheckResult {
    CheckResult::NotDone(code)
}

fn log_rule(cosigners: u64, origin: &str) -> Rules {
    Rules { log: Some(LogRule { cosigners, origins: vec![origin.into()] }), ..Rules::default() }
}

/// Makes a log proof that an entry of this kind tells of a subject.
fn log_proof(kind: EntryKind, subject: Digest, cosigner: Option<&SecretKey>) -> LogProof {
    let mut chain = Chain::new(LogName::new(ORIGIN).unwrap());
    let opened = chain.link(Entry::new(EntryKind::LogOpen, 1)).unwrap();
    chain.push(&opened).unwrap();
    let mut entry = Entry::new(kind, 2);
    entry.subjects = vec![("receipt".into(), subject)];
    let entry = chain.link(entry).unwrap();
    chain.push(&entry).unwrap();
    let mut note = SignedCheckpoint::sign(chain.checkpoint(), &key(97)).unwrap();
    if let Some(secret) = cosigner {
        note.cosign(&cosigner_key(secret), secret, 3).unwrap();
    }
    LogProof { entry, index: 1, path: vec![tree::leaf_hash(&opened)], note }
}

fn cosigner_key(secret: &SecretKey) -> VerifierKey {
    VerifierKey::of_cosigner(LogName::new("example.org/witness").unwrap(), secret.public()).unwrap()
}

/// A receipt under a rule about logs whose verifier knows one log.
fn logged(rules: Rules) -> Scene {
    let mut scene = Scene::new(rules);
    let vkey = VerifierKey::of_log(LogName::new(ORIGIN).unwrap(), key(97).public()).unwrap();
    let vkeys = vec![vkey.to_string()];
    scene.trust.logs =
        vec![trust::Log { origin: ORIGIN.into(), vkeys, extensions: Default::default() }];
    scene
}

fn attach_log(scene: &mut Scene, proof: &LogProof) {
    scene.attached.retain(|(name, _)| !name.starts_with("log/"));
    scene.attached.push(("log/00.tlog-proof".into(), proof.encode().into_bytes()));
}

fn ignored(report: &Report) -> Vec<(&str, ErrorCode)> {
    report.facts.ignored.iter().map(|one| (one.name.as_str(), one.code)).collect()
}

#[test]
fn a_log_that_the_verifier_knows_tells_of_a_receipt() {
    let mut scene = logged(log_rule(0, ORIGIN));
    let id = *scene.claimed().id().digest();
    for kind in [EntryKind::ReceiptIssued, EntryKind::ReceiptVerified] {
        attach_log(&mut scene, &log_proof(kind, id, None));
        let report = scene.report();
        assert_eq!(report.result(CheckName::Log), Some(PASS));
        assert_eq!((report.level, ignored(&report)), (Level::AuditReady, vec![]), "{report:?}");
    }
    // Cosigners count for the trust file and for the rule.
    let witness = key(129);
    scene.trust.quorum = 1;
    scene.trust.cosigners = vec![cosigner_key(&witness).to_string()];
    assert_eq!(scene.result(CheckName::Log), undone(ErrorCode::CosignerQuorum));
    attach_log(&mut scene, &log_proof(EntryKind::ReceiptIssued, id, Some(&witness)));
    assert_eq!(scene.result(CheckName::Log), PASS);
    scene.now_ms = None;
    assert_eq!(scene.result(CheckName::Log), undone(ErrorCode::NotLookedAt));
    for (rule, expect) in [
        (log_rule(1, ORIGIN), PASS),
        (log_rule(2, ORIGIN), undone(ErrorCode::CosignerQuorum)),
        (log_rule(0, "example.org/other"), undone(ErrorCode::LogProofMissing)),
    ] {
        let mut scene = logged(rule);
        scene.trust.cosigners = vec![cosigner_key(&witness).to_string()];
        let id = *scene.claimed().id().digest();
        attach_log(&mut scene, &log_proof(EntryKind::ReceiptIssued, id, Some(&witness)));
        assert_eq!((scene.result(CheckName::Log), scene.rule(RuleName::Log)), (PASS, expect));
    }
}

#[test]
fn other_log_proofs_are_set_aside() {
    let mut scene = logged(log_rule(0, ORIGIN));
    let id = *scene.claimed().id().digest();
    let honest = log_proof(EntryKind::ReceiptIssued, id, None);
    let inclusion = ErrorCode::LogInclusionInvalid;
    let mut moved = honest.clone();
    moved.index = 0;
    let mut other_log = honest.clone();
    other_log.note.checkpoint.root = Digest::new([1; 32]);
    for (proof, code) in [
        (log_proof(EntryKind::ReceiptIssued, Digest::new([1; 32]), None), inclusion),
        (log_proof(EntryKind::ReceiptRefused, id, None), inclusion),
        (moved, inclusion),
        (other_log, ErrorCode::CheckpointInvalid),
    ] {
        attach_log(&mut scene, &proof);
        let report = scene.report();
        assert_eq!(report.result(CheckName::Log), Some(undone(code)));
        assert_eq!(scene.rule(RuleName::Log), undone(code));
        assert_eq!(ignored(&report), [("log/00.tlog-proof", code)]);
    }
    // One that serves is enough, and without a rule a useless one lowers nothing.
    attach_log(&mut scene, &honest);
    scene.attached.push(("log/01.tlog-proof".into(), b"nothing".to_vec()));
    let report = scene.report();
    assert_eq!((report.level, report.result(CheckName::Log)), (Level::AuditReady, Some(PASS)));
    assert_eq!(ignored(&report), [("log/01.tlog-proof", ErrorCode::SchemaViolation)]);
    let mut scene = Scene::new(Rules::default());
    attach_log(&mut scene, &log_proof(EntryKind::ReceiptIssued, id, None));
    let report = scene.report();
    assert_eq!((report.level, report.result(CheckName::Log)), (Level::AuditReady, None));
    assert_eq!(ignored(&report), [("log/00.tlog-proof", ErrorCode::CheckpointInvalid)]);
    scene.options.require = vec![CheckName::Log];
    assert_eq!(scene.result(CheckName::Log), undone(ErrorCode::CheckpointInvalid));
}

/// A receipt without its bundle whose verifier trusts one challenger.
fn remote(rules: Rules) -> Scene {
    let mut scene = Scene::new(rules);
    scene.attached.retain(|(name, _)| name != "audit.bundle");
    scene.trust.keys.push(trusted(&key(161), Role::Challenger));
    scene.trust.keys.sort_by_key(|entry| entry.identity.id());
    scene.asked.sampling = Some(Sampling { delta_ppm: 0, epsilon_bits: 1 });
    scene
}

fn attestation(scene: &Scene) -> Attestation {
    let claim = scene.claimed();
    Attestation {
        receipt_id: claim.id(),
        chunk_root: claim.bundle.unwrap().chunk_root,
        challenge_id: Digest::new([3; 32]),
        k: 4,
        answered_at: 7,
        missing: Vec::new(),
        response: Digest::new([4; 32]),
        issuer: identity(&key(161)).id(),
    }
}

fn attest(scene: &mut Scene, made: &Attestation, number: u8, secret: &SecretKey) {
    scene.attached.extend(made.sign(number, [secret]));
}

#[test]
fn a_challenger_attests_that_a_bundle_can_be_had() {
    let mut scene = remote(Rules::default());
    assert_eq!(scene.result(CheckName::Availability), undone(ErrorCode::BundleAbsent));
    let honest = attestation(&scene);
    attest(&mut scene, &honest, 0, &key(161));
    // Somebody else's envelope of the same number is no hindrance.
    let stranger = Attestation { answered_at: 9, ..attestation(&scene) };
    attest(&mut scene, &stranger, 0, &key(193));
    let report = scene.report();
    assert_eq!(report.result(CheckName::Availability), Some(PASS), "{report:?}");
    assert_eq!(report.result(CheckName::Bundle), Some(undone(ErrorCode::BundleAbsent)));
    let sampling = report.facts.receipt.as_ref().unwrap().sampling;
    assert_eq!(sampling, Some(SamplingFact { coding: 0, held: 1, k: 1, n: 1 }));
    assert_eq!(ignored(&report)[0].1, ErrorCode::SignatureMissing);
    let text = String::from_utf8(report.encode()).unwrap();
    assert!(text.contains(r#""sampling":{"coding":0,"held":1,"k":1,"n":1}"#), "{text}");
    // Nobody says how many are enough.
    scene.asked.sampling = None;
    assert_eq!(scene.result(CheckName::Availability), undone(ErrorCode::BundleAbsent));
    // The latest word counts.
    let gone = Attestation { answered_at: 8, missing: vec![0], ..honest };
    attest(&mut scene, &gone, 1, &key(161));
    assert_eq!(scene.result(CheckName::Availability), undone(ErrorCode::ChunkUnavailable));
    let back = Attestation { answered_at: 9, missing: Vec::new(), ..gone };
    attest(&mut scene, &back, 2, &key(161));
    scene.asked.sampling = Some(Sampling { delta_ppm: 1, epsilon_bits: 1 });
    assert_eq!(scene.result(CheckName::Availability), PASS);
}

#[test]
fn attestations_of_others_and_about_others_are_set_aside() {
    let check = |change: &dyn Fn(&mut Attestation), secret: &SecretKey, code| {
        let mut scene = remote(Rules::default());
        let mut made = attestation(&scene);
        change(&mut made);
        attest(&mut scene, &made, 0, secret);
        let report = scene.report();
        assert_eq!(report.result(CheckName::Availability), Some(undone(ErrorCode::BundleAbsent)));
        assert_eq!(ignored(&report)[0].1, code);
    };
    let challenger = key(161);
    check(&|one| one.chunk_root = Digest::new([1; 32]), &challenger, ErrorCode::ChallengeInvalid);
    check(&|one| one.issuer = identity(&key(193)).id(), &key(193), ErrorCode::SignerUntrusted);
    // The issuer of the receipt is trusted, and not as a challenger.
    check(&|one| one.issuer = identity(&key(1)).id(), &key(1), ErrorCode::SignerUntrusted);
    let published = SecretKey::from_seed(kapsule_format::key::Suite::Ed25519, &[7; 32]).unwrap();
    let mut scene = remote(Rules::default());
    scene.trust.keys.push(trusted(&published, Role::Challenger));
    scene.trust.keys.sort_by_key(|entry| entry.identity.id());
    let made = Attestation { issuer: identity(&published).id(), ..attestation(&scene) };
    attest(&mut scene, &made, 0, &published);
    assert_eq!(ignored(&scene.report())[0].1, ErrorCode::TestKeyRefused);
    let mut scene = remote(Rules::default());
    let name = attestation(&scene).sign(0, [&challenger]).remove(0).0;
    scene.attached.push((name.clone(), b"{}".to_vec()));
    assert_eq!(ignored(&scene.report()), [(name.as_str(), ErrorCode::EnvelopeForm)]);
    scene.attached.clear();
    let made = attestation(&scene);
    attest(&mut scene, &made, 0, &challenger);
    scene.now_ms = None;
    assert_eq!(ignored(&scene.report())[0].1, ErrorCode::NotLookedAt);
}

#[test]
fn a_policy_says_how_many_chunks_are_enough() {
    let rule = |delta_ppm| {
        let da = DaRule { delta_ppm, epsilon_bits: 4, k_max: 9, retries: 1, timeout_ms: 9 };
        Rules { da: Some(da), ..Rules::default() }
    };
    for (delta_ppm, expect) in [(500_000, PASS), (400_000, undone(ErrorCode::BundleAbsent))] {
        let mut scene = remote(rule(delta_ppm));
        scene.asked.sampling = None;
        // A bundle of nine chunks, of which four were asked for.
        scene.claim.bundle.as_mut().unwrap().size = 9 * 65_536;
        let made = attestation(&scene);
        attest(&mut scene, &made, 0, &key(161));
        assert_eq!(scene.result(CheckName::Availability), expect);
        assert_eq!(scene.rule(RuleName::Da), expect);
        // Of the rule and the verifier the stricter counts.
        scene.asked.sampling = Some(Sampling { delta_ppm: 0, epsilon_bits: 1 });
        assert_eq!(scene.result(CheckName::Availability), undone(ErrorCode::BundleAbsent));
    }
}

#[test]
fn a_challenge_is_about_the_bundle_of_one_claim() {
    let claim = Scene::new(Rules::default()).claimed();
    let bundle = claim.bundle.unwrap();
    let asked = Challenge {
        receipt_id: claim.id(),
        chunk_root: bundle.chunk_root,
        chunk_count: 1,
        seed: [1; 32],
        k: 1,
        issued_at: 5,
        answer_by: 9,
        issuer: identity(&key(161)).id(),
    };
    assert_eq!(asked.check_claim(&claim), Ok(()));
    for other in [
        Challenge { chunk_count: 2, ..asked.clone() },
        Challenge { chunk_root: Digest::new([1; 32]), ..asked.clone() },
        Challenge { receipt_id: kapsule_format::receipt::ReceiptId::new([1; 32].into()), ..asked },
    ] {
        assert_eq!(other.check_claim(&claim).unwrap_err().code, ErrorCode::ChallengeInvalid);
    }
}

fn stark(inputs: Digest) -> ProofItem {
    let key = Digest::new([5; 32]);
    ProofItem { system: STARK, version: 1, key, inputs, proof: vec![1, 2, 3] }
}

/// A receipt with one proof that its verifier found to be so.
fn proved(promised: &[u64], result: Result<String, DecodeError>) -> Scene {
    let rules = Rules { proof_systems: Some(vec!["stark".into()]), ..Rules::default() };
    let mut scene = Scene::new(rules);
    scene.claim.proof_systems = promised.to_vec();
    let item = stark(*scene.claimed().statement().hash().digest());
    scene.attached.push(("proof/00.cbor".into(), item.encode()));
    scene.asked.proofs = vec![ProofFinding { name: "proof/00.cbor".into(), result }];
    scene
}

#[test]
fn a_proof_that_verifies_meets_the_rule() {
    for promised in [&[][..], &[STARK]] {
        let report = proved(promised, Ok("covers the run".into())).report();
        assert_eq!(report.result(CheckName::Proof), Some(PASS), "{report:?}");
        assert_eq!((report.level, ignored(&report)), (Level::AuditReady, vec![]));
        let rules = &report.facts.receipt.as_ref().unwrap().rules;
        assert_eq!(rules[0].result, PASS);
    }
    // Another system was promised too.
    let report = proved(&[STARK, 4], Ok(String::new())).report();
    assert_eq!(report.result(CheckName::Proof), Some(undone(ErrorCode::ProofMissing)));
    assert_eq!(report.level, Level::ProofOnly);
}

#[test]
fn a_promised_proof_that_does_not_verify_fails() {
    let wrong = || Err(DecodeError::new(ErrorCode::ProofInvalid, "wrong"));
    let scene = proved(&[STARK], wrong());
    let failed = CheckResult::Fail(ErrorCode::ProofInvalid);
    assert_eq!(scene.result(CheckName::Proof), failed);
    assert_eq!(scene.rule(RuleName::ProofSystems), undone(ErrorCode::ProofInvalid));
    // Nobody promised it: it is set aside, and the rule is not met.
    let mut scene = proved(&[], wrong());
    let report = scene.report();
    assert_eq!(report.result(CheckName::Proof), None);
    assert_eq!(ignored(&report), [("proof/00.cbor", ErrorCode::ProofInvalid)]);
    assert_eq!(scene.rule(RuleName::ProofSystems), undone(ErrorCode::ProofMissing));
    scene.options.require = vec![CheckName::Proof];
    assert_eq!(scene.result(CheckName::Proof), undone(ErrorCode::ProofInvalid));
    // Nobody looked, or nothing is there.
    let mut scene = proved(&[STARK], Ok(String::new()));
    scene.asked.proofs.clear();
    assert_eq!(scene.result(CheckName::Proof), undone(ErrorCode::ProofSystemUnsupported));
    scene.attached.retain(|(name, _)| !name.starts_with("proof/"));
    assert_eq!(scene.result(CheckName::Proof), undone(ErrorCode::ProofMissing));
    scene.attached.push(("proof/00.cbor".into(), b"nothing".to_vec()));
    assert!(matches!(scene.result(CheckName::Proof), CheckResult::NotDone(_)));
}

#[test]
fn a_proof_about_another_claim_is_never_looked_into() {
    let mut scene = proved(&[STARK], Ok(String::new()));
    let (name, _) = scene.attached.pop().unwrap();
    scene.attached.push((name, stark(Digest::new([9; 32])).encode()));
    let failed = CheckResult::Fail(ErrorCode::ProofInputsMismatch);
    assert_eq!(scene.result(CheckName::Proof), failed);
}

#[test]
fn items_of_proofs_have_one_form() {
    let item = stark(Digest::new([1; 32]));
    assert_eq!(ProofItem::decode(&item.encode()), Ok(item.clone()));
    let other = |system| ProofItem { system, ..item.clone() };
    let code = |item: ProofItem| ProofItem::decode(&item.encode()).unwrap_err().code;
    assert_eq!(code(other(7)), ErrorCode::ProofSystemUnsupported);
    assert_eq!(code(other(65_535)), ErrorCode::DevProofRefused);
    assert_eq!(code(other(65_536)), ErrorCode::SchemaViolation);
    let version = ProofItem { version: 1 << 32, ..item.clone() };
    assert_eq!(code(version), ErrorCode::SchemaViolation);
    let mut bytes = item.encode();
    bytes[2] = 2;
    assert_eq!(ProofItem::decode(&bytes).unwrap_err().code, ErrorCode::SchemaViolation);
}

#[test]
fn numbers_of_attached_entries_are_taken_in_order() {
    let mut scene = remote(Rules::default());
    let number = |scene: &Scene| {
        let bytes = scene.bytes();
        Receipt::decode(&bytes).unwrap().free_number("da/")
    };
    for expect in 0..16 {
        assert_eq!(number(&scene), Some(expect));
        let made = Attestation { answered_at: expect.into(), ..attestation(&scene) };
        attest(&mut scene, &made, expect, &key(161));
    }
    assert_eq!(number(&scene), None);
}
