//! Reports: checks, levels, trust roots, detached envelopes, exit codes and bytes.

use kapsule_abi::ErrorCode;
use kapsule_format::key::{Identity, PublicKey};
use kapsule_format::manifest::{Manifest, ProofType};
use kapsule_format::package::{Package, Scope};
use kapsule_format::trust::Trust;
use kapsule_format::verify::{
    self, Artefact, CheckName, CheckResult, ClosureFinding, Level, Options, Report,
};

use crate::package::{manifest, pack, private_key, signed};

/// A time inside every window of [`trust_file`].
const NOW_MS: Option<u64> = Some(5_000);

fn by_private_key() -> Package {
    let key = private_key(1);
    let author_keys = vec![key.public().clone()];
    let mut package = pack(Manifest { author_keys, ..manifest() });
    package.sign(Scope::Author, &key, false).unwrap();
    package
}

fn id(key: &PublicKey) -> String {
    Identity::try_from(key.clone()).unwrap().id().to_string()
}

/// One entry of `keys`, with what a test changes.
fn trusted(key: &PublicKey, rest: &str) -> String {
    format!(r#"{{"keys":["{key}"],"name":"k",{rest}}}"#)
}

const AUTHOR: &str = r#""not_after":9000,"not_before":1000,"packages":["em*"],"roles":["author"]"#;

/// A trust file with these entries and revocations.
fn trust_text(keys: &str, revoked: &str) -> String {
    let root = private_key(200);
    let root = root.public();
    format!(
        "{{\"cosigners\":[],\"keys\":[{keys}],\"logs\":[],\
         \"quorum\":0,\"registries\":[],\"revoked\":[{revoked}],\
         \"root_keys\":[[\"{root}\"]],\"schema\":\"kapsule/trust/1\",\"serial\":1,\
         \"threshold\":1,\"valid_from\":1000,\"valid_until\":9000,\"verifying_keys\":[]}}"
    )
}

fn trust(keys: &str, revoked: &str) -> Trust {
    Trust::decode(trust_text(keys, revoked).as_bytes()).unwrap()
}

fn trusting(rest: &str) -> Trust {
    trust(&trusted(private_key(1).public(), rest), "")
}

fn report(package: &Package, trust: Option<&Trust>) -> Report {
    verify::package(&package.encode(), trust, NOW_MS, &Options::default())
}

fn codes(report: &Report) -> Vec<(CheckName, &'static str, Option<u16>)> {
    let row = |check: &verify::Check| {
        (check.name, check.result.name(), check.result.code().map(ErrorCode::number))
    };
    report.checks.iter().map(row).collect()
}

#[test]
fn without_trust_roots_the_level_is_proof_only() {
    let report = report(&by_private_key(), None);
    assert_eq!(
        codes(&report),
        [
            (CheckName::Form, "pass", None),
            (CheckName::Hashes, "pass", None),
            (CheckName::Signature, "pass", None),
            (CheckName::Sections, "pass", None),
            (CheckName::SignerTrusted, "not-done", Some(213)),
            (CheckName::SignerQuorum, "not-done", Some(213)),
            (CheckName::Dependencies, "not-done", Some(213)),
        ]
    );
    assert_eq!((report.level, report.exit_code()), (Level::ProofOnly, 0));
    assert_eq!(report.facts.signers.len(), 1);
}

#[test]
fn trust_roots_raise_the_level_and_a_missing_store_keeps_it_there() {
    let (package, trust) = (by_private_key(), trusting(AUTHOR));
    assert_eq!(report(&package, Some(&trust)).level, Level::PolicyEnforced);
    let options = Options { required: Level::AuditReady, ..Options::default() };
    let report = verify::package(&package.encode(), Some(&trust), NOW_MS, &options);
    assert_eq!(report.error_code, Some(ErrorCode::NotLookedAt));
    assert_eq!((report.exit_code(), report.is_accepted()), (13, false));
}

#[test]
fn what_is_known_of_the_closure_decides_the_last_level() {
    let (package, trust) = (by_private_key(), trusting(AUTHOR));
    let check = |result, level, code| {
        let closure = Some(ClosureFinding { result, detail: "looked for".to_string() });
        let options = Options { required: Level::AuditReady, closure, ..Options::default() };
        let report = verify::package(&package.encode(), Some(&trust), NOW_MS, &options);
        assert_eq!(report.result(CheckName::Dependencies), Some(result));
        assert_eq!((report.level, report.error_code), (level, code));
    };
    check(CheckResult::Pass, Level::AuditReady, None);
    let absent = ErrorCode::DependencyAbsent;
    check(CheckResult::NotDone(absent), Level::PolicyEnforced, Some(absent));
    let untrusted = ErrorCode::DependencyUntrusted;
    check(CheckResult::Fail(untrusted), Level::Rejected, Some(untrusted));
}

#[test]
fn without_a_clock_trust_roots_say_nothing() {
    let trust = trusting(AUTHOR);
    let report =
        verify::package(&by_private_key().encode(), Some(&trust), None, &Options::default());
    let undone = Some(CheckResult::NotDone(ErrorCode::NotLookedAt));
    assert_eq!(report.result(CheckName::SignerTrusted), undone);
}

#[test]
fn each_reason_to_distrust_has_its_code() {
    let key = private_key(1);
    let revoked = |since: u64| {
        let identity = id(key.public());
        let entry = format!(r#"{{"identity":"{identity}","reason":"lost","since":{since}}}"#);
        trust(&trusted(key.public(), AUTHOR), &entry)
    };
    let untrusted = ErrorCode::SignerUntrusted;
    for (why, trust, now_ms, expect) in [
        ("no entry", trust("", ""), 5_000, Some(untrusted)),
        ("role", trusting(&AUTHOR.replace("author", "verifier")), 5_000, Some(untrusted)),
        ("name", trusting(&AUTHOR.replace("em*", "em")), 5_000, Some(untrusted)),
        ("exact name", trusting(&AUTHOR.replace("em*", "empty")), 5_000, None),
        ("early", trusting(&AUTHOR.replace("1000", "5001")), 5_000, Some(ErrorCode::SignerRevoked)),
        ("late", trusting(&AUTHOR.replace("9000", "4999")), 5_000, Some(ErrorCode::SignerRevoked)),
        ("no bound", trusting(&AUTHOR.replace("9000", "0")), 9_000, None),
        ("revoked", revoked(5_000), 5_000, Some(ErrorCode::SignerRevoked)),
        ("revoked later", revoked(5_001), 5_000, None),
        ("file not yet", trusting(AUTHOR), 999, Some(ErrorCode::TrustFileStale)),
        ("file expired", trusting(AUTHOR), 9_001, Some(ErrorCode::TrustFileStale)),
    ] {
        let file = by_private_key().encode();
        let report = verify::package(&file, Some(&trust), Some(now_ms), &Options::default());
        let result = report.result(CheckName::SignerTrusted).unwrap();
        assert_eq!(result.code(), expect, "{why}");
        assert_eq!(report.is_accepted(), expect.is_none(), "{why}");
    }
}

#[test]
fn a_revoked_key_that_stays_listed_is_refused_by_the_revocation() {
    let key = private_key(1);
    let entry = format!(r#"{{"identity":"{}","reason":"lost","since":0}}"#, id(key.public()));
    let trust = trust(&trusted(key.public(), AUTHOR), &entry);
    let report = report(&by_private_key(), Some(&trust));
    let check = report.checks.iter().find(|check| check.name == CheckName::SignerTrusted);
    assert!(check.unwrap().detail.ends_with("is revoked"));
}

#[test]
fn a_quorum_counts_distinct_trusted_identities() {
    let (author, publisher) = (private_key(1), private_key(2));
    let publisher_row = AUTHOR.replace("author", "publisher");
    let mut rows = [
        (id(author.public()), trusted(author.public(), AUTHOR)),
        (id(publisher.public()), trusted(publisher.public(), &publisher_row)),
    ];
    rows.sort();
    let trust = trust(&format!("{},{}", rows[0].1, rows[1].1), "");
    let mut package = by_private_key();
    package.sign(Scope::Publisher, &author, false).unwrap();
    let quorum = |package: &Package, min_signers| {
        let options = Options { min_signers, ..Options::default() };
        verify::package(&package.encode(), Some(&trust), NOW_MS, &options)
            .result(CheckName::SignerQuorum)
            .unwrap()
    };
    // Two signatures of one identity count once.
    assert_eq!(quorum(&package, 1), CheckResult::Pass);
    assert_eq!(quorum(&package, 2), CheckResult::NotDone(ErrorCode::SignerQuorum));
    package.sign(Scope::Publisher, &publisher, false).unwrap();
    assert_eq!(quorum(&package, 2), CheckResult::Pass);
}

#[test]
fn a_known_publisher_key_must_have_signed_well() {
    let publisher = private_key(2);
    let row = trusted(publisher.public(), &AUTHOR.replace("author", "publisher"));
    let trust = trust(&row, "");
    let mut package = by_private_key();
    package.sign(Scope::Publisher, &publisher, false).unwrap();
    let mut file = package.encode();
    let good = verify::package(&file, Some(&trust), NOW_MS, &Options::default());
    assert_eq!(good.result(CheckName::Signature), Some(CheckResult::Pass));
    let last = file.len() - 33;
    file[last] ^= 1;
    let bad = verify::package(&file, Some(&trust), NOW_MS, &Options::default());
    let invalid = Some(CheckResult::Fail(ErrorCode::SignatureInvalid));
    assert_eq!(bad.result(CheckName::Signature), invalid);
    // Without the trust roots the key is unknown, and what it signed counts nothing.
    let unknown = verify::package(&file, None, NOW_MS, &Options::default());
    assert_eq!(unknown.facts.unknown_signers, [publisher.public().id()]);
    assert!(unknown.is_accepted());
}

#[test]
fn a_published_test_key_is_refused_unless_insecure_keys_are_allowed() {
    let file = signed().encode();
    let report = verify::package(&file, None, NOW_MS, &Options::default());
    assert_eq!((report.error_code, report.exit_code()), (Some(ErrorCode::TestKeyRefused), 11));
    assert_eq!(report.result(CheckName::Signature), Some(CheckResult::Pass));
    let options = Options { insecure_dev: true, ..Options::default() };
    assert!(verify::package(&file, None, NOW_MS, &options).is_accepted());
    let root = trusted(signed().manifest().author_keys.first().unwrap(), AUTHOR);
    let trust = trust(&root, "");
    let report = verify::package(&file, Some(&trust), NOW_MS, &options);
    assert_eq!(report.result(CheckName::SignerTrusted), Some(CheckResult::Pass));
    assert_eq!(report.level, Level::ProofOnly);
    let options = Options { required: Level::PolicyEnforced, ..options };
    assert!(!verify::package(&file, Some(&trust), NOW_MS, &options).is_accepted());
}

#[test]
fn an_unsigned_package_is_said_to_be_unsigned() {
    let package = pack(Manifest { author_keys: vec![], ..manifest() });
    let unsigned = report(&package, None);
    assert_eq!(unsigned.result(CheckName::Signature), None);
    let missing = Some(CheckResult::NotDone(ErrorCode::SignatureMissing));
    assert_eq!(unsigned.result(CheckName::SignerTrusted), missing);
    assert_eq!((unsigned.level, unsigned.facts.author), (Level::ProofOnly, None));
}

#[test]
fn a_promised_proof_that_is_absent_caps_the_level() {
    let key = private_key(1);
    let author_keys = vec![key.public().clone()];
    let mut package = pack(Manifest { author_keys, proof_type: ProofType::Stark, ..manifest() });
    package.sign(Scope::Author, &key, false).unwrap();
    let trust = trusting(AUTHOR);
    let report = report(&package, Some(&trust));
    let missing = Some(CheckResult::NotDone(ErrorCode::ProofMissing));
    assert_eq!((report.result(CheckName::Proof), report.level), (missing, Level::ProofOnly));
    assert!(report.is_accepted());
}

#[test]
fn detached_envelopes_stand_for_the_trailer() {
    let package = by_private_key();
    let envelopes: Vec<(String, Vec<u8>)> = package
        .to_envelopes()
        .iter()
        .map(|(name, envelope)| (name.file_name("x.mod"), envelope.encode()))
        .collect();
    let (name, bytes) = (envelopes[0].0.as_str(), envelopes[0].1.as_slice());
    let verify = |body: &[u8], name, bytes| {
        let options = Options { envelopes: vec![(name, bytes)], ..Options::default() };
        verify::package(body, None, NOW_MS, &options)
    };
    let report = verify(package.body(), name, bytes);
    assert_eq!(report.result(CheckName::Statement), Some(CheckResult::Pass));
    assert_eq!(report.result(CheckName::Signature), Some(CheckResult::Pass));
    let other = pack(Manifest { name: "other".into(), ..package.manifest().clone() });
    let moved = verify(other.body(), name, bytes);
    let mismatch = Some(CheckResult::Fail(ErrorCode::StatementMismatch));
    assert_eq!(moved.result(CheckName::Statement), mismatch);
    let misnamed = verify(package.body(), "x.mod.dsse.json", bytes);
    let named = Some(CheckResult::Fail(ErrorCode::KeyidMismatch));
    assert_eq!(misnamed.result(CheckName::Statement), named);
}

#[test]
fn only_an_accepted_file_is_loaded() {
    let (mut file, options) = (by_private_key().encode(), Options::default());
    let (package, report) = verify::load(&file, None, NOW_MS, &options).unwrap();
    assert_eq!(report.artefact, Artefact::Package(package.capsule_hash()));
    let last = file.len() - 33;
    file[last] ^= 1;
    assert!(Package::decode(&file).is_ok());
    let report = verify::load(&file, None, NOW_MS, &options).map(drop).unwrap_err();
    assert_eq!((report.error_code, report.exit_code()), (Some(ErrorCode::SignatureInvalid), 12));
}

#[test]
fn a_file_that_cannot_be_read_is_reported_by_form_alone() {
    let report = verify::package(b"", None, NOW_MS, &Options::default());
    assert_eq!(
        String::from_utf8(report.encode()).unwrap(),
        include_str!("data/report-unreadable.json")
    );
    assert_eq!(report.exit_code(), 20);
}

#[test]
fn the_report_of_the_fixed_package_has_fixed_bytes() {
    let options = Options { insecure_dev: true, ..Options::default() };
    let report = verify::package(&signed().encode(), None, None, &options);
    assert_eq!(
        String::from_utf8(report.encode()).unwrap(),
        include_str!("data/report-fixed-package.json")
    );
}

#[test]
fn checks_go_on_after_a_departure_beyond_the_first_step() {
    let mut file = by_private_key().encode();
    file[29] ^= 1;
    let report = verify::package(&file, None, NOW_MS, &Options::default());
    let mismatch = Some(CheckResult::Fail(ErrorCode::CapsuleHashMismatch));
    assert_eq!(report.result(CheckName::Hashes), mismatch);
    assert_eq!(report.result(CheckName::Signature), Some(CheckResult::Pass));
    assert_eq!(report.facts.capsule_hash, Some(by_private_key().capsule_hash()));
}

#[test]
fn a_trust_file_keeps_its_rules() {
    let key = private_key(1);
    let good = trust_text(&trusted(key.public(), AUTHOR), "");
    assert!(Trust::decode(good.as_bytes()).is_ok());
    let twice = format!("{},{}", trusted(key.public(), AUTHOR), trusted(key.public(), AUTHOR));
    let form = ErrorCode::SchemaViolation;
    for (why, text, expect, detail) in [
        ("order", trust_text(&twice, ""), form, "trust.keys"),
        (
            "roles",
            good.replace(r#"["author"]"#, r#"["author","author"]"#),
            form,
            "packages or roles",
        ),
        ("role", good.replace(r#"["author"]"#, r#"["owner"]"#), form, "roles"),
        ("glob", good.replace("em*", "e*m"), form, "at the end only"),
        ("threshold", good.replace(r#""threshold":1"#, r#""threshold":2"#), form, "threshold"),
        ("serial", good.replace(r#""serial":1"#, r#""serial":0"#), form, "serial"),
        (
            "vkeys",
            good.replace(r#""logs":[]"#, r#""logs":[{"origin":"o","vkeys":["b","a"]}]"#),
            form,
            "vkeys",
        ),
        (
            "member",
            good.replace(r#""quorum""#, r#""quorums":0,"quorum""#),
            ErrorCode::JsonNotCanonical,
            "",
        ),
        ("schema", good.replace("trust/1", "trust/2"), ErrorCode::VersionUnsupported, "schema"),
    ] {
        let error = Trust::decode(text.as_bytes()).unwrap_err();
        assert_eq!(error.code, expect, "{why}: {error}");
        assert!(error.detail.contains(detail), "{why}: {error}");
    }
    let registries = (0..4_097).map(|number| {
        let root = "00".repeat(32);
        format!(r#"{{"id":"r{number:04}","root":"{root}","size":0}}"#)
    });
    let registries: Vec<String> = registries.collect();
    let many =
        good.replace(r#""registries":[]"#, &format!(r#""registries":[{}]"#, registries.join(",")));
    let error = Trust::decode(many.as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    let cosigners: Vec<String> =
        (0..300).map(|number| format!("\"{}{number:04}\"", "c".repeat(60_000))).collect();
    let long =
        good.replace(r#""cosigners":[]"#, &format!(r#""cosigners":[{}]"#, cosigners.join(",")));
    let error = Trust::decode(long.as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
}

#[test]
fn a_trust_file_with_every_member_comes_back() {
    let root = "00".repeat(32);
    let identity = id(private_key(9).public());
    let revoked = format!(r#"{{"identity":"{identity}","reason":"lost","since":7,"x_r":1}}"#);
    let rest = AUTHOR.replace(r#""roles":["author"]"#, r#""roles":["author"],"x_k":true"#);
    let text = trust_text(&trusted(private_key(1).public(), &rest), &revoked)
        .replace(r#""cosigners":[]"#, r#""cosigners":["a","b"]"#)
        .replace(r#""logs":[]"#, r#""logs":[{"origin":"o","vkeys":["a","b"],"x_l":[]}]"#)
        .replace(
            r#""registries":[]"#,
            &format!(r#""registries":[{{"id":"r","root":"{root}","size":3,"x_g":{{}}}}]"#),
        )
        .replace(
            r#""verifying_keys":[]"#,
            &format!(r#""verifying_keys":[{{"system":1,"vk_id":"{root}","x_v":""}}],"x_t":0"#),
        );
    let trust = Trust::decode(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(trust.encode()).unwrap(), text);
}
