//! Receipt policies on a receipt of a real run, signed anew by a key that nobody published: every
//! rule passing and failing, and what makes a receipt policy-enforced and audit-ready.

use kapsule_abi::ErrorCode;
use kapsule_format::acceptance::Acceptance;
use kapsule_format::container::{Container, EntryRef, Kind, Writer};
use kapsule_format::envelope::Envelope;
use kapsule_format::hash::sha256;
use kapsule_format::key::{IdentityId, SecretKey, Suite};
use kapsule_format::receipt::{
    Gpu, HOST, Receipt, SignatureName, TOOLCHAIN, ToolchainManifest, vouch,
};
use kapsule_format::receipt_policy::{
    Acl, AclEntry, AuditMode, AuditRule, DaRule, LogRule, ReceiptPolicy, Registered, Registry,
    RuleName, Rules, Status, Track,
};
use kapsule_format::trust::{Revoked, Role};
use kapsule_format::verify::{self, CheckName, CheckResult, Level, ReceiptOptions, Reexecution};
use kapsule_format::{DecodeError, Digest};

use crate::receipt_scene::{
    NOW_MS, Scene, acl, host, identity, key, pin, registry, tool, toolchain, trusted,
};

fn repeated() -> Option<Reexecution> {
    Some(Reexecution { result: CheckResult::Pass, detail: String::new() })
}

/// Rules that the receipt keeps, all of those that need neither proof nor log.
fn kept() -> Rules {
    Rules {
        allow_network: Some(false),
        audit: Some(AuditRule { granters: Vec::new(), mode: AuditMode::Public }),
        capture_tier_min: Some(3),
        container_images: Some(vec![Digest::new([9; 32])]),
        da: Some(DaRule { delta_ppm: 1, epsilon_bits: 40, k_max: 9, retries: 1, timeout_ms: 9 }),
        forbid_gpu: Some(true),
        kinds: Some(vec!["exec".into()]),
        log: None,
        max_age_ms: Some(1_000),
        max_fuel: Some(100_000),
        outcomes: Some(vec!["completed".into()]),
        packages: Some(vec![*Scene::new(Rules::default()).claim.exec.capsule_hash.digest()]),
        proof_systems: None,
        repeat_min: Some(2),
        require_deterministic_build: Some(true),
        require_manifest_signature: Some(true),
        require_public_outputs: Some(vec!["output".into()]),
        signers_min: Some(1),
        suites_all: Some(vec![Suite::Ed25519]),
        toolchain: Some(vec![tool()]),
    }
}

#[test]
fn a_receipt_that_keeps_every_rule_is_audit_ready() {
    let mut scene = Scene::new(kept()).with_manifests();
    scene.asked.reexecution = repeated();
    scene.options.required = Level::AuditReady;
    let report = scene.report();
    assert_eq!((report.level, report.error_code), (Level::AuditReady, None), "{report:?}");
    let rules = &report.facts.receipt.as_ref().unwrap().rules;
    assert_eq!(rules.len(), RuleName::ALL.len() - 2);
    assert!(rules.iter().all(|rule| rule.result == CheckResult::Pass), "{rules:?}");
    assert_eq!(report.facts.ignored, []);
    let text = String::from_utf8(report.encode()).unwrap();
    assert!(text.contains(r#"{"name":"allow_network","result":"pass"}"#), "{text}");
    // Without its bundle it is still policy-enforced, but for the rules that need the bundle.
    scene.policy.rules = Rules { da: None, ..kept() };
    let registry = registry(&[&scene.policy]);
    scene.trust.registries = vec![pin(&registry)];
    scene.asked.registry = Some(registry);
    scene.asked.policies = vec![scene.policy.clone()];
    scene.attached.retain(|(name, _)| name != "audit.bundle");
    let report = scene.report();
    assert_eq!(report.level, Level::PolicyEnforced, "{report:?}");
    assert_eq!(report.error_code, Some(ErrorCode::BundleAbsent));
    // The package is enough to know that there was no network, and without it nobody knows.
    scene.attached.clear();
    let open = CheckResult::NotDone(ErrorCode::BlobAbsent);
    assert_eq!(scene.rule(RuleName::AllowNetwork), open);
}

/// A rule, a policy in which it alone stands, and what comes of it.
type Broken = (RuleName, Rules, CheckResult);

/// Returns rules that the receipt of a scene does not keep.
fn broken() -> [Broken; 13] {
    let missing = CheckResult::Fail(ErrorCode::PolicyRuleFailed);
    let none = Rules::default;
    [
        (RuleName::Kinds, Rules { kinds: Some(vec!["run".into()]), ..none() }, missing),
        (RuleName::MaxFuel, Rules { max_fuel: Some(1), ..none() }, missing),
        (RuleName::Outcomes, Rules { outcomes: Some(vec!["denied".into()]), ..none() }, missing),
        (RuleName::Packages, Rules { packages: Some(Vec::new()), ..none() }, missing),
        (
            RuleName::RequirePublicOutputs,
            Rules { require_public_outputs: Some(vec!["log".into()]), ..none() },
            CheckResult::Fail(ErrorCode::PublicOutputMissing),
        ),
        (
            RuleName::Audit,
            Rules {
                audit: Some(AuditRule { granters: Vec::new(), mode: AuditMode::Encrypted }),
                ..none()
            },
            missing,
        ),
        (
            RuleName::CaptureTierMin,
            Rules { capture_tier_min: Some(3), ..none() },
            CheckResult::NotDone(ErrorCode::TierTooLow),
        ),
        (
            RuleName::RepeatMin,
            Rules { repeat_min: Some(2), ..none() },
            CheckResult::NotDone(ErrorCode::PolicyRuleFailed),
        ),
        (
            RuleName::MaxAgeMs,
            Rules { max_age_ms: Some(999), ..none() },
            CheckResult::Fail(ErrorCode::Expired),
        ),
        (
            RuleName::SignersMin,
            Rules { signers_min: Some(2), ..none() },
            CheckResult::NotDone(ErrorCode::SignerQuorum),
        ),
        (
            RuleName::SuitesAll,
            Rules { suites_all: Some(vec![Suite::Ed25519, Suite::MlDsa44]), ..none() },
            CheckResult::Fail(ErrorCode::SignerQuorum),
        ),
        (
            RuleName::ProofSystems,
            Rules { proof_systems: Some(vec!["stark".into()]), ..none() },
            CheckResult::NotDone(ErrorCode::ProofMissing),
        ),
        (
            RuleName::Log,
            Rules { log: Some(LogRule { cosigners: 0, origins: Vec::new() }), ..none() },
            CheckResult::NotDone(ErrorCode::LogProofMissing),
        ),
    ]
}

#[test]
fn every_rule_that_is_broken_is_named() {
    for (name, rules, expect) in broken() {
        let scene = Scene::new(rules);
        assert_eq!(scene.rule(name), expect, "{name}");
        let report = scene.report();
        assert_eq!(report.result(CheckName::PolicyRules), Some(expect), "{name}");
        assert!(report.level < Level::PolicyEnforced, "{name}");
    }
    let da = DaRule { delta_ppm: 0, epsilon_bits: 1, k_max: 1, retries: 0, timeout_ms: 1 };
    let none = Rules::default;
    let mut scene = Scene::new(Rules { da: Some(da), ..none() });
    scene.attached.retain(|(name, _)| name != "audit.bundle");
    assert_eq!(scene.rule(RuleName::Da), CheckResult::NotDone(ErrorCode::BundleAbsent));
    let mut scene = Scene::new(Rules { max_age_ms: Some(1), ..none() });
    scene.now_ms = Some(scene.claim.context.stop_ms - 1);
    assert_eq!(scene.rule(RuleName::MaxAgeMs), CheckResult::Fail(ErrorCode::Expired));
    scene.options.max_skew_ms = 1;
    assert_eq!(scene.rule(RuleName::MaxAgeMs), CheckResult::Pass);
    scene.now_ms = None;
    let unknown = CheckResult::NotDone(ErrorCode::NotLookedAt);
    assert_eq!(scene.rule(RuleName::MaxAgeMs), unknown);
}

#[test]
fn a_run_that_may_reach_a_network_is_found_out() {
    let mut scene = Scene::new(Rules { allow_network: Some(false), ..Rules::default() });
    let bundle = scene.attached.iter().find(|(name, _)| name == "audit.bundle").unwrap().1.clone();
    let bundle = kapsule_format::receipt::Bundle::decode(&bundle).unwrap();
    let mut policy = bundle.policy().unwrap().unwrap();
    policy.network.allow_mesh = true;
    // A package that says so is enough: what the bundle says is looked at first.
    scene.attached.retain(|(name, _)| name == "package.mod");
    assert_eq!(scene.rule(RuleName::AllowNetwork), CheckResult::Pass);
    let index = bundle.container().index().to_vec();
    let replaced = replace_policy(&bundle, index, &policy);
    scene.claim.bundle = Some(kapsule_format::receipt::BundleRef::of(&replaced));
    scene.claim.exec.effective_policy = policy.hash();
    scene.attached = vec![("audit.bundle".into(), replaced)];
    let broken = CheckResult::Fail(ErrorCode::NetworkUsed);
    assert_eq!(scene.rule(RuleName::AllowNetwork), broken);
}

/// Writes a bundle again with another effective policy.
fn replace_policy(
    bundle: &kapsule_format::receipt::Bundle<'_>,
    index: Vec<u8>,
    policy: &kapsule_format::policy::Policy,
) -> Vec<u8> {
    use kapsule_format::cbor::{self, Value};
    const NAME: &str = kapsule_format::receipt::POLICY;
    let Ok(Value::Map(mut members)) = cbor::decode(&index) else { panic!("an index is a map") };
    let Some((_, Value::Array(entries))) = members.iter_mut().find(|(key, _)| *key == 15) else {
        panic!("an index lists entries")
    };
    for entry in entries {
        let Value::Array(parts) = entry else { panic!("an entry is an array") };
        if parts[0] == Value::from(NAME) {
            parts[1] = (policy.encode().len() as u64).into();
            parts[2] = sha256(&policy.encode()).into();
        }
    }
    let mut writer = Writer::new(Kind::Bundle, cbor::encode(&Value::Map(members)));
    for entry in bundle.container().entries().iter().skip(1) {
        match entry.name {
            NAME => writer.push(NAME, policy.encode()),
            name => writer.push(name, entry.bytes),
        }
    }
    writer.finish().unwrap()
}

#[test]
fn rules_about_manifests_read_what_somebody_vouches_for() {
    let gpu = Gpu {
        driver: "d".into(),
        memory_bytes: 1,
        name: "g".into(),
        extensions: Default::default(),
    };
    let other = ToolchainManifest {
        container_image: None,
        deterministic_build: false,
        tools: Vec::new(),
        ..toolchain()
    };
    let bad = [(HOST, host(vec![gpu]).encode()), (TOOLCHAIN, other.encode())];
    let rules = Rules {
        container_images: kept().container_images,
        forbid_gpu: Some(true),
        require_deterministic_build: Some(true),
        toolchain: Some(vec![tool()]),
        ..Rules::default()
    };
    let names = [
        (RuleName::ForbidGpu, ErrorCode::GpuForbidden),
        (RuleName::RequireDeterministicBuild, ErrorCode::PolicyRuleFailed),
        (RuleName::ContainerImages, ErrorCode::ImageDigestMissing),
        (RuleName::Toolchain, ErrorCode::PolicyRuleFailed),
    ];
    for (name, code) in names {
        let mut scene = Scene::new(rules.clone()).with_manifests();
        assert_eq!(scene.rule(name), CheckResult::Pass, "{name}");
        // The issuer's own word is enough where no rule asks for a signature.
        scene.vouched = false;
        assert_eq!(scene.rule(name), CheckResult::Pass, "{name}");
        scene.manifests = bad.to_vec();
        assert_eq!(scene.rule(name), CheckResult::Fail(code), "{name}");
        scene.manifests.clear();
        assert_eq!(scene.rule(name), CheckResult::Fail(ErrorCode::ManifestMissing), "{name}");
        let signed = Rules { require_manifest_signature: Some(true), ..rules.clone() };
        let mut scene = Scene::new(signed).with_manifests();
        scene.vouched = false;
        let unsigned = CheckResult::NotDone(ErrorCode::ManifestSignatureMissing);
        assert_eq!(scene.rule(name), unsigned, "{name}");
        assert_eq!(scene.rule(RuleName::RequireManifestSignature), unsigned);
        scene.manifests.pop();
        let missing = CheckResult::Fail(ErrorCode::ManifestMissing);
        assert_eq!(scene.rule(RuleName::RequireManifestSignature), missing);
    }
    let off = Rules {
        allow_network: Some(true),
        forbid_gpu: Some(false),
        require_deterministic_build: Some(false),
        require_manifest_signature: Some(false),
        ..Rules::default()
    };
    assert_eq!(Scene::new(off).report().level, Level::AuditReady);
}

#[test]
fn manifests_are_vouched_for_by_whom_the_trust_file_lists() {
    let name = CheckName::Manifests;
    let none = Rules::default;
    let scene = || Scene::new(none()).with_manifests();
    assert_eq!(scene().result(name), CheckResult::Pass);
    let mut unsigned = scene();
    unsigned.vouched = false;
    let missing = CheckResult::NotDone(ErrorCode::ManifestSignatureMissing);
    assert_eq!(unsigned.result(name), missing);
    assert_eq!(unsigned.report().level, Level::ProofOnly);
    let untrusted = CheckResult::NotDone(ErrorCode::ManifestSignerUntrusted);
    let mut stranger = scene();
    stranger.voucher = key(129);
    assert_eq!(stranger.result(name), untrusted);
    let mut other_role = scene();
    other_role.voucher = key(1);
    assert_eq!(other_role.result(name), untrusted);
    let mut test_key = scene();
    test_key.voucher = SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap();
    test_key.trust.keys.push(trusted(&test_key.voucher, Role::Manifest));
    test_key.trust.keys.sort_by_key(|entry| entry.identity.id());
    assert_eq!(test_key.result(name), untrusted);
    // An envelope about another run, or with another's signature, is set aside.
    let another = {
        let mut other = scene();
        other.claim.job.run_id = [1; 16];
        other.claim.events = kapsule_format::receipt::Events::none(&[1; 16]);
        let bytes = other.bytes();
        let container = Container::decode(&bytes).unwrap();
        let entry = container.below("msig/").next().unwrap();
        (entry.name.to_owned(), entry.bytes.to_vec())
    };
    let mut moved = scene();
    moved.vouched = false;
    moved.attached.push(another.clone());
    let report = moved.report();
    assert_eq!(report.result(name), Some(CheckResult::NotDone(ErrorCode::ManifestBinding)));
    assert_eq!(report.facts.ignored[0].name, another.0);
    let mut forged = scene();
    forged.vouched = false;
    let bytes = scene().bytes();
    let claim = Receipt::decode(&bytes).unwrap().claim().clone();
    let envelope = Envelope::from_signature(
        &claim.manifests_statement(),
        forged.voucher.public().id(),
        vec![1; 64],
    );
    forged.attached.push((another.0, envelope.encode()));
    let invalid = CheckResult::NotDone(ErrorCode::SignatureInvalid);
    let found = forged.result(name);
    let expect = CheckResult::NotDone(ErrorCode::ManifestSignatureInvalid);
    assert!(found == expect && found != invalid, "{found:?}");
}

#[test]
fn strangers_cannot_crowd_out_who_vouches() {
    let mut scene = Scene::new(Rules::default()).with_manifests();
    let bytes = scene.bytes();
    let claim = Receipt::decode(&bytes).unwrap().claim().clone();
    for first in 70..90 {
        scene.attached.extend(vouch(&claim, [&key(first)]));
    }
    let report = scene.report();
    assert_eq!(report.result(CheckName::Manifests), Some(CheckResult::Pass));
    assert_eq!(report.facts.ignored.len(), 5);
    assert!(report.facts.ignored.iter().all(|entry| entry.code == ErrorCode::LimitExceeded));
}

#[test]
fn malformed_documents_are_of_the_form() {
    let mut scene = Scene::new(Rules::default()).with_manifests();
    scene.manifests[0].1 = b"{}".to_vec();
    let form = CheckResult::Fail(ErrorCode::SchemaViolation);
    assert_eq!(scene.result(CheckName::Form), form);
    // A document that is another than the claim binds is no document.
    let mut scene = Scene::new(Rules::default());
    let other = ReceiptPolicy { version: "2".into(), ..scene.policy.clone() };
    scene.claim.entries.push(EntryRef::of("policy.json", &other.encode()));
    scene.attached.push(("policy.json".into(), other.encode()));
    let conflict = CheckResult::Fail(ErrorCode::FactsConflict);
    assert_eq!(scene.result(CheckName::Claim), conflict);
    assert_eq!(scene.result(CheckName::Hashes), conflict);
}

#[test]
fn a_track_adds_its_rules() {
    let mut scene = Scene::new(Rules { max_fuel: Some(100_000), ..Rules::default() });
    let rules = Rules { max_fuel: Some(1), signers_min: Some(1), ..Rules::default() };
    scene.policy.tracks = vec![Track { id: "strict".into(), rules }];
    let registry = registry(&[&scene.policy]);
    scene.trust.registries = vec![pin(&registry)];
    scene.asked.registry = Some(registry);
    scene.asked.policies = vec![scene.policy.clone()];
    assert_eq!(scene.rule(RuleName::MaxFuel), CheckResult::Pass);
    scene.track = "strict";
    assert_eq!(scene.rule(RuleName::MaxFuel), CheckResult::Fail(ErrorCode::PolicyRuleFailed));
    assert_eq!(scene.rule(RuleName::SignersMin), CheckResult::Pass);
    scene.track = "other";
    let unknown = CheckResult::Fail(ErrorCode::TrackUnknown);
    assert_eq!(scene.result(CheckName::PolicyRules), unknown);
}

#[test]
fn a_policy_is_the_verifiers_own() {
    let name = CheckName::PolicyDocument;
    let missing = CheckResult::NotDone(ErrorCode::PolicyDocumentMissing);
    let mismatch = CheckResult::Fail(ErrorCode::PolicyDocumentMismatch);
    let mut scene = Scene::new(Rules::default());
    let other = ReceiptPolicy { id: "other".into(), ..scene.policy.clone() };
    scene.asked.policies = vec![other.clone(), scene.policy.clone()];
    assert_eq!(scene.result(name), CheckResult::Pass);
    scene.asked.policies = vec![other.clone()];
    assert_eq!(scene.result(name), mismatch);
    scene.asked.policies.clear();
    assert_eq!(scene.result(name), missing);
    // One inside the receipt serves where the verifier's own files name its digest.
    scene.bound = true;
    assert_eq!(scene.result(name), CheckResult::Pass);
    scene.asked.registry = None;
    assert_eq!(scene.result(name), missing);
    assert_eq!(scene.result(CheckName::PolicyRules), missing);
    scene.asked.allowed_policies = Some(vec![scene.policy.sha256()]);
    assert_eq!(scene.result(name), CheckResult::Pass);
    scene.asked.allowed_policies = Some(vec![other.sha256()]);
    scene.asked.policies = vec![scene.policy.clone()];
    assert_eq!(scene.result(name), mismatch);
}

#[test]
fn a_claim_may_not_rename_a_policy() {
    let mut scene = Scene::new(Rules::default());
    let bytes = scene.bytes();
    let mut claim = Receipt::decode(&bytes).unwrap().claim().clone();
    claim.policy.as_mut().unwrap().version = "2".into();
    let mut writer = Writer::new(Kind::Receipt, claim.encode());
    let name = SignatureName::of(scene.issuer.public());
    let envelope = Envelope::sign(&claim.signed_statement(), &scene.issuer);
    writer.push(name.entry_name(), envelope.encode());
    let bytes = writer.finish().unwrap();
    scene.asked.registry = None;
    let (trust, options) = (Some(&scene.trust), &scene.options);
    let report = verify::receipt(&bytes, trust, scene.now_ms, options, &scene.asked);
    let mismatch = CheckResult::Fail(ErrorCode::PolicyDocumentMismatch);
    assert_eq!(report.result(CheckName::PolicyDocument), Some(mismatch));
}

#[test]
fn a_registry_counts_where_the_trust_file_pins_it() {
    let name = CheckName::PolicyRegistry;
    let root = ErrorCode::RegistryRootMismatch;
    let absent = ErrorCode::PolicyNotInRegistry;
    let mut scene = Scene::new(Rules::default());
    let other = ReceiptPolicy { id: "other".into(), ..scene.policy.clone() };
    let both = registry(&[&scene.policy, &other]);
    scene.asked.registry = Some(both.clone());
    assert_eq!(scene.result(name), CheckResult::Fail(root));
    scene.trust.registries = vec![pin(&both)];
    assert_eq!(scene.result(name), CheckResult::Pass);
    let mut withdrawn = both.clone();
    withdrawn.policies[0].status = Status::Withdrawn;
    scene.trust.registries = vec![pin(&withdrawn)];
    scene.asked.registry = Some(withdrawn.clone());
    assert_eq!(scene.result(name), CheckResult::Fail(absent));
    assert_eq!(withdrawn.prove(&scene.policy.sha256()), None);
    scene.asked.registry = None;
    assert_eq!(scene.result(name), CheckResult::NotDone(absent));
    // The proof in the receipt leads to the pinned root or to none.
    let proof = both.prove(&scene.policy.sha256()).unwrap();
    scene.attached.push(("policy-proof.cbor".into(), proof.encode()));
    assert_eq!(scene.result(name), CheckResult::NotDone(root));
    assert_eq!(scene.report().facts.ignored[0].code, root);
    scene.trust.registries = vec![pin(&both)];
    assert_eq!(scene.result(name), CheckResult::Pass);
    scene.trust.registries[0].size = 3;
    assert_eq!(scene.result(name), CheckResult::NotDone(root));
    scene.attached.last_mut().unwrap().1 = vec![0xff];
    assert!(matches!(scene.result(name), CheckResult::NotDone(_)));
    // A trust file that is not in force pins nothing.
    scene.attached.last_mut().unwrap().1 = proof.encode();
    scene.trust.registries = vec![pin(&both)];
    scene.trust.valid_until = 1;
    let stale = CheckResult::NotDone(ErrorCode::TrustFileStale);
    assert_eq!(scene.result(name), stale);
    scene.now_ms = None;
    assert_eq!(scene.result(name), CheckResult::NotDone(ErrorCode::NotLookedAt));
}

#[test]
fn the_access_list_decides_who_issues_under_a_policy() {
    let name = CheckName::SignerAcl;
    let refused = CheckResult::Fail(ErrorCode::SignerNotInAcl);
    let mut scene = Scene::new(Rules::default());
    assert_eq!(scene.result(name), CheckResult::Pass);
    let entry = |change: fn(&mut AclEntry)| {
        let mut list = acl(&key(1));
        change(&mut list.entries[0]);
        Some(Ok(list))
    };
    scene.asked.acl = entry(|entry| entry.policies = vec!["*".into()]);
    assert_eq!(scene.result(name), CheckResult::Pass);
    for change in [
        |entry: &mut AclEntry| entry.policies = vec!["other".into()],
        |entry: &mut AclEntry| entry.roles = vec![Role::Auditor],
        |entry: &mut AclEntry| entry.status = Status::Withdrawn,
        |entry: &mut AclEntry| entry.identity = IdentityId::new(Digest::new([1; 32])),
    ] {
        scene.asked.acl = entry(change);
        assert_eq!(scene.result(name), refused);
    }
    scene.asked.acl = None;
    assert_eq!(scene.result(name), CheckResult::NotDone(ErrorCode::NotLookedAt));
    let pinned = Acceptance { acl: Some(Digest::new([1; 32])), ..Acceptance::of(Level::ProofOnly) };
    let error: DecodeError = pinned.check_acl(&acl(&key(1)).encode()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TrustPinMismatch);
    let own = sha256(&acl(&key(1)).encode());
    let pinned = Acceptance { acl: Some(own), ..pinned };
    assert_eq!(pinned.check_acl(&acl(&key(1)).encode()), Ok(()));
    scene.asked.acl = Some(Err(error));
    assert_eq!(scene.result(name), CheckResult::Fail(ErrorCode::TrustPinMismatch));
    let mut asked = ReceiptOptions::default();
    Acceptance { policies: Some(vec![own]), ..pinned }.apply_to_receipt(&mut asked);
    assert_eq!(asked.allowed_policies, Some(vec![own]));
}

#[test]
fn a_revoked_issuer_and_another_nonce_are_refused_under_any_policy() {
    let mut scene = Scene::new(Rules::default());
    scene.trust.revoked = vec![Revoked {
        identity: identity(&scene.issuer).id(),
        reason: "stolen".into(),
        since: NOW_MS,
        extensions: Default::default(),
    }];
    let revoked = CheckResult::Fail(ErrorCode::SignerRevoked);
    assert_eq!(scene.result(CheckName::SignerTrusted), revoked);
    scene.now_ms = Some(NOW_MS - 1);
    assert_eq!(scene.report().level, Level::AuditReady);
    scene.asked.nonce = Some([1; 32]);
    let other = CheckResult::Fail(ErrorCode::NonceMismatch);
    assert_eq!(scene.result(CheckName::Job), other);
    // What a verifier never asked for keeps the level down.
    scene.asked.nonce = None;
    assert_eq!(scene.report().level, Level::ProofOnly);
}

#[test]
fn lists_longer_than_their_limits_are_refused() {
    let policy = Scene::new(Rules::default()).policy;
    let entry = Registered::active(&policy);
    let one = |index: usize| Registered { id: format!("p{index:06}"), ..entry.clone() };
    let mut registry = registry(&[]);
    registry.policies = (0..65_536).map(one).collect();
    assert!(Registry::decode(&registry.encode()).is_ok());
    registry.policies.push(one(65_536));
    let error = Registry::decode(&registry.encode()).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    let of = |index: u32| {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&index.to_be_bytes());
        let (roles, status) = (Vec::new(), Status::Active);
        let identity = IdentityId::new(Digest::new(digest));
        AclEntry { identity, policies: Vec::new(), roles, status, extensions: Default::default() }
    };
    let mut list = Acl { serial: 1, entries: (0..65_536).map(of).collect(), ..Acl::default() };
    assert!(Acl::decode(&list.encode()).is_ok());
    list.entries.push(of(65_536));
    let error = Acl::decode(&list.encode()).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}
