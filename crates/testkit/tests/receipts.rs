//! Forged receipts: none is taken for the run that it claims, and none breaks the verifier.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use kapsule_abi::ErrorCode;
use kapsule_engine::Backend;
use kapsule_format::container::{Container, Kind, Writer};
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::limits::RECORDED_RUNS_MAX;
use kapsule_format::receipt::{
    Bundle, BundleRef, Checkpoint, CheckpointKind, Claim, Nested, Receipt, read_checkpoints,
    root as checkpoint_root, trace_spec_hash, write_checkpoints, write_nested,
};
use kapsule_format::transcript::{
    Entries, Entry, ZERO_HEAD, next_head, output_commitment, root, write_entries,
};
use kapsule_format::trust::{Role, Trust, TrustedKey};
use kapsule_format::verify::{self, CheckName, CheckResult, Level, Options, ReceiptOptions};
use kapsule_testkit::Random;
use kapsule_testkit::mutate::mutate;
use kapsule_testkit::receipts::{
    self, Composed, Enforced, NONCE, STORIES, examine, is_refused, mutations, refused, reissue,
    repeats, repeats_composed, rewrite, run_all, sample, vectors,
};

/// Seed of the slice that CI makes of `cargo xtask soak receipts`.
const SEED: u64 = 1;
/// Random mutations in the slice.
const SLICE: u64 = 4_000;
/// Random mutations of what decides about a level, and as many of an answer to a challenge.
const SLICE_ENFORCED: u64 = 2_000;

fn base() -> Vec<u8> {
    sample(&STORIES[0], Backend::Wasmi).bytes
}

/// Puts other records into the bundle of a receipt and makes the claim agree with all of them: what
/// an issuer can do who runs nothing.
fn fabricated(output: &[u8]) -> Vec<u8> {
    let base = base();
    let receipt = Receipt::decode(&base).unwrap();
    let bundle = Bundle::decode(receipt.bundle().unwrap()).unwrap();
    let entries = forge_output(&bundle.transcript().unwrap().unwrap(), output);
    let mut checkpoints = bundle.checkpoints().unwrap().unwrap();
    let leaves = entries.iter().zip(0..).map(|(entry, seq)| entry.leaf(seq, None));
    let head = leaves.fold(ZERO_HEAD, |head, leaf| next_head(&head, &leaf));
    checkpoints.last_mut().unwrap().head = head;

    let mut claim = receipt.claim().clone();
    claim.exec.transcript.root = root(&entries, None);
    claim.exec.checkpoints.root = checkpoint_root(&checkpoints);
    claim.exec.output.digest = output_commitment(None, output);
    claim.exec.output.size = output.len() as u64;
    claim.public_outputs[0].sha256 = kapsule_format::hash::sha256(output);
    let files = [
        ("checkpoints.klog", write_checkpoints(&checkpoints).unwrap()),
        ("policy.effective.json", bundle.policy().unwrap().unwrap().encode()),
        ("transcript.klog", write_entries(&entries).unwrap()),
    ];
    let blob = receipts::blob_name(output);
    let bytes = rewrite(&base, claim.encode(), &[(&blob, Some(output.to_vec()))], "");
    with_bundle(&bytes, claim, &files)
}

/// Puts a bundle of these files into a receipt, with a claim that names it, signed by its issuer.
fn with_bundle(base: &[u8], mut claim: Claim, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let forged = bundle_of(&claim.job.run_id, files);
    claim.bundle = Some(BundleRef::of(&forged));
    let bytes = rewrite(base, claim.encode(), &[("audit.bundle", Some(forged))], "");
    reissue(&bytes, &claim, &receipts::key())
}

/// Replaces what the recorded writes gave to the host: seven bytes, three and one.
fn forge_output(entries: &Entries, output: &[u8]) -> Entries {
    let forged = |(index, entry): (usize, Entry<'_>)| {
        let part = match index {
            0 => &output[..7],
            2 => &output[7..10],
            4 => &output[10..],
            _ => &[],
        };
        let kept = entry.request.len() - part.len();
        [&entry.request[..kept], part].concat()
    };
    let requests: Vec<Vec<u8>> = entries.iter().enumerate().map(forged).collect();
    entries.iter().zip(&requests).map(|(entry, request)| Entry { request, ..entry }).collect()
}

fn bundle_of(run_id: &[u8; 16], files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use kapsule_format::cbor::{self, Value};
    let entry = |(name, bytes): &(&str, Vec<u8>)| {
        Value::Array(vec![
            (*name).into(),
            (bytes.len() as u64).into(),
            kapsule_format::hash::sha256(bytes).into(),
        ])
    };
    let index = Value::Map(vec![
        (0, 1.into()),
        (1, run_id.to_vec().into()),
        (15, Value::array(files.iter().map(entry))),
    ]);
    let mut writer = Writer::new(Kind::Bundle, cbor::encode(&index));
    files.iter().for_each(|(name, bytes)| writer.push(*name, bytes.clone()));
    writer.finish().unwrap()
}

#[test]
fn no_more_runs_inside_a_run_are_written_than_may_be_read() {
    let bytes = Composed::new(Backend::Wasmi, false, None).bytes;
    let receipt = Receipt::decode(&bytes).unwrap();
    let bundle = Bundle::decode(receipt.bundle().unwrap()).unwrap();
    let recorded = bundle.nested(&receipt.claim().exec).unwrap().unwrap();
    let leaf = Nested { entries: Cow::default(), nested: Vec::new(), ..recorded[0].clone() };
    let mut runs = vec![leaf; usize::try_from(RECORDED_RUNS_MAX).unwrap()];
    assert!(write_nested(&runs).is_ok());
    runs.push(runs[0].clone());
    assert_eq!(write_nested(&runs).unwrap_err().code, ErrorCode::LimitExceeded);
}

#[test]
fn a_fabricated_trace_is_found_by_repeating_the_run() {
    let honest = base();
    assert!(!is_refused(&examine(&honest)));
    let output = Receipt::decode(&honest).unwrap().claim().exec.output.size;
    let forged = fabricated(&b"goodbye, Eve"[..usize::try_from(output).unwrap()]);
    // Its issuer made every record agree and signed it: the bytes alone contradict nothing.
    assert!(!is_refused(&examine(&forged)), "{:?}", examine(&forged).checks);
    for backend in Backend::ALL {
        assert!(repeats(&honest, *backend), "{backend}");
        assert!(!repeats(&forged, *backend), "{backend}");
    }
    // Nobody else can sign it for the issuer, and nobody trusts the one who did.
    let stranger = SecretKey::from_seed(Suite::Ed25519, &[9; 32]).unwrap();
    let mut claim = Receipt::decode(&forged).unwrap().claim().clone();
    let report = examine(&reissue(&forged, &claim, &stranger));
    let missing = CheckResult::NotDone(ErrorCode::SignatureMissing);
    assert_eq!(report.result(CheckName::Signature), Some(missing));
    claim.issuer = Identity::try_from(stranger.public().clone()).unwrap();
    let report = trusted_report(&reissue(&forged, &claim, &stranger));
    let untrusted = CheckResult::Fail(ErrorCode::SignerUntrusted);
    assert_eq!(report.result(CheckName::SignerTrusted), Some(untrusted));
}

#[test]
fn three_fields_are_no_receipt() {
    for claim in [
        br#"{"proof":"ok","trace":"sha256:00","verified":true}"#.to_vec(),
        vec![0xa3, 0x00, 0x01, 0x01, 0x01, 0x02, 0x80],
    ] {
        let forged = Writer::new(Kind::Receipt, claim.clone()).finish().unwrap();
        for bytes in [&claim, &forged] {
            let report = examine(bytes);
            assert_eq!((report.level, report.checks.len()), (Level::Rejected, 1));
            assert!(matches!(report.result(CheckName::Form), Some(CheckResult::Fail(_))));
        }
    }
}

/// Verifies with a trust file that lists the key of the samples as issuer.
fn trusted_report(bytes: &[u8]) -> verify::Report {
    let identity = Identity::try_from(receipts::key().public().clone()).unwrap();
    let entry = TrustedKey::new(identity.clone(), "samples", vec![Role::Issuer]);
    let trust = Trust { keys: vec![entry], ..Trust::first(vec![identity]) };
    let options =
        Options { insecure_dev: true, required: Level::PolicyEnforced, ..Options::default() };
    let asked = ReceiptOptions { nonce: Some(NONCE), ..ReceiptOptions::default() };
    verify::receipt(bytes, Some(&trust), Some(1), &options, &asked)
}

#[test]
fn no_receipt_lifts_its_own_level() {
    let report = trusted_report(&base());
    assert_eq!(report.result(CheckName::SignerTrusted), Some(CheckResult::Pass));
    assert_eq!(report.result(CheckName::SignerQuorum), Some(CheckResult::Pass));
    // It submits to no policy, so no trust file makes it more than a well-formed, signed claim.
    assert_eq!((report.level, report.is_accepted()), (Level::ProofOnly, false));
    let undone = CheckResult::NotDone(ErrorCode::PolicyDocumentMissing);
    assert_eq!(report.result(CheckName::PolicyDocument), Some(undone));
    let undone = CheckResult::NotDone(ErrorCode::NotLookedAt);
    assert_eq!(report.result(CheckName::Reexec), Some(undone));
}

#[test]
fn every_byte_and_entry_of_every_sample_matters() {
    let samples: Vec<Vec<u8>> =
        STORIES.iter().map(|story| sample(story, Backend::Wasmi).bytes).collect();
    for (index, original) in samples.iter().enumerate() {
        let other = &samples[(index + 1) % samples.len()];
        // The container's padding is uniform, so a step that is no power of two meets all of it.
        let outcome = mutations((original, &refused), other, 3);
        let what: Vec<&String> = outcome.accepted.iter().map(|(what, _)| what).collect();
        assert!(what.is_empty(), "{}: {what:?}", STORIES[index].name);
        assert!(outcome.tried > 1_000, "{outcome:?}");
    }
}

#[test]
fn the_time_matters_to_those_who_ask_about_it_alone() {
    let (options, asked) = (Options::default(), ReceiptOptions::default());
    let samples = STORIES.iter().map(|story| sample(story, Backend::Wasmi).bytes);
    for bytes in samples.chain([Composed::new(Backend::Wasmi, true, None).bytes]) {
        let at = |now_ms| verify::receipt(&bytes, None, now_ms, &options, &asked).encode();
        assert_eq!(at(None), at(Some(0)));
        assert_eq!(at(None), at(Some(u64::MAX)));
    }
}

#[test]
fn runs_inside_a_run_are_bound_to_the_last_byte() {
    let refused = |bytes: &[u8]| is_refused(&examine(bytes));
    for (salted, seed) in [(false, SEED), (true, SEED + 1)] {
        let original = Composed::new(Backend::Wasmi, salted, None).bytes;
        let other = Composed::new(Backend::Wasmi, !salted, None).bytes;
        let judged = (original.as_slice(), &refused as &dyn Fn(&[u8]) -> bool);
        let systematic = mutations(judged, &other, 7);
        let random = run_all(judged, &other, SLICE_ENFORCED, seed);
        for outcome in [systematic, random] {
            let what: Vec<&String> = outcome.accepted.iter().map(|(what, _)| what).collect();
            assert!(what.is_empty(), "{what:?}");
            assert!(outcome.tried > 1_000, "{}", outcome.tried);
        }
    }
}

#[test]
fn random_mutations_are_refused() {
    let other = sample(&STORIES[1], Backend::Wasmi).bytes;
    let outcome = run_all((&base(), &refused), &other, SLICE, SEED);
    let what: Vec<&String> = outcome.accepted.iter().map(|(what, _)| what).collect();
    assert!(what.is_empty(), "{what:?}");
    assert_eq!(outcome.tried, SLICE);
    assert!(outcome.same < SLICE / 4, "{} mutations changed nothing", outcome.same);
}

#[test]
fn nothing_lifts_a_receipt_over_its_policy() {
    let (enforced, other) = (Enforced::new(Backend::Wasmi, 1), Enforced::new(Backend::Wasmi, 2));
    let report = enforced.examine(&enforced.bytes);
    assert_eq!((report.level, report.error_code), (Level::PolicyEnforced, None), "{report:?}");
    let refuses = |bytes: &[u8]| enforced.refuses(bytes);
    let judged = (enforced.bytes.as_slice(), &refuses as &dyn Fn(&[u8]) -> bool);
    let systematic = mutations(judged, &other.bytes, 7);
    let random = run_all(judged, &other.bytes, SLICE_ENFORCED, SEED);
    for outcome in [systematic, random] {
        let what: Vec<&String> = outcome.accepted.iter().map(|(what, _)| what).collect();
        assert!(what.is_empty(), "{what:?}");
        assert!(outcome.tried > 1_000, "{}", outcome.tried);
    }
}

#[test]
fn answers_to_challenges_have_one_form() {
    let (enforced, other) = (Enforced::new(Backend::Wasmi, 1), Enforced::new(Backend::Wasmi, 2));
    let honest = enforced.challenge.respond(&enforced.bundle).unwrap();
    assert_eq!(enforced.challenge.check(&honest), Ok(Vec::new()));
    let foreign = other.challenge.respond(&other.bundle).unwrap();
    assert!(enforced.challenge.check(&foreign).is_err());
    let mut random = Random::new(SEED);
    let mut changed = 0;
    for number in 0..SLICE_ENFORCED {
        let forged = mutate(&honest, &foreign, &mut random);
        if forged != honest {
            let checked = enforced.challenge.check(&forged);
            assert_ne!(checked, Ok(Vec::new()), "mutation {number} of seed {SEED}");
            changed += 1;
        }
    }
    assert!(changed > SLICE_ENFORCED / 2, "{changed}");
}

#[test]
fn records_in_another_order_are_refused() {
    let base = base();
    let receipt = Receipt::decode(&base).unwrap();
    let bundle = receipt.bundle().unwrap();
    let parts = Container::decode(bundle).unwrap();
    let mut checkpoints = read_checkpoints(parts.get("checkpoints.klog").unwrap()).unwrap();
    checkpoints.reverse();
    let entries = Bundle::decode(bundle).unwrap().transcript().unwrap().unwrap();
    let entries: Entries =
        [2, 1, 0, 3, 4].map(|seq| entries.get(seq).unwrap()).into_iter().collect();
    let policy = parts.get("policy.effective.json").unwrap().to_vec();
    for (name, changed, check) in [
        ("checkpoints.klog", write_checkpoints(&checkpoints).unwrap(), CheckName::Checkpoints),
        ("transcript.klog", write_entries(&entries).unwrap(), CheckName::Transcript),
    ] {
        let keep = |own: &str| match own == name {
            true => changed.clone(),
            false => parts.get(own).unwrap().to_vec(),
        };
        let files = [
            ("checkpoints.klog", keep("checkpoints.klog")),
            ("policy.effective.json", policy.clone()),
            ("transcript.klog", keep("transcript.klog")),
        ];
        let report = examine(&with_bundle(&base, receipt.claim().clone(), &files));
        let code = CheckResult::Fail(ErrorCode::CountedRootMismatch);
        assert_eq!(report.result(check), Some(code), "{name}");
    }
}

#[test]
fn a_wider_policy_is_found_out() {
    let base = base();
    let receipt = Receipt::decode(&base).unwrap();
    let bundle = Bundle::decode(receipt.bundle().unwrap()).unwrap();
    let mut policy = bundle.policy().unwrap().unwrap();
    policy.limits.calls += 1;
    let entry = |name: &str| bundle.container().get(name).unwrap().to_vec();
    let files = [
        ("checkpoints.klog", entry("checkpoints.klog")),
        ("policy.effective.json", policy.encode()),
        ("transcript.klog", entry("transcript.klog")),
    ];
    let mut claim = receipt.claim().clone();
    claim.exec.effective_policy = policy.hash();
    let report = examine(&with_bundle(&base, claim, &files));
    let code = CheckResult::Fail(ErrorCode::FactsConflict);
    assert_eq!(report.result(CheckName::Bundle), Some(code));
}

/// Puts other checkpoints into a receipt, under a trace spec with this hostcall step.
fn with_checkpoints(hostcall_step: u64, change: fn(&mut Vec<Checkpoint>, &Entries)) -> Vec<u8> {
    let base = base();
    let receipt = Receipt::decode(&base).unwrap();
    let bundle = Bundle::decode(receipt.bundle().unwrap()).unwrap();
    let mut checkpoints = bundle.checkpoints().unwrap().unwrap();
    change(&mut checkpoints, &bundle.transcript().unwrap().unwrap());
    let entry = |name: &str| bundle.container().get(name).unwrap().to_vec();
    let files = [
        ("checkpoints.klog", write_checkpoints(&checkpoints).unwrap()),
        ("policy.effective.json", entry("policy.effective.json")),
        ("transcript.klog", entry("transcript.klog")),
    ];
    let mut claim = receipt.claim().clone();
    claim.trace_spec.hostcall_step = hostcall_step;
    claim.exec.trace_spec = trace_spec_hash(&claim.trace_spec);
    claim.exec.checkpoints.root = checkpoint_root(&checkpoints);
    claim.exec.checkpoints.count = checkpoints.len() as u64;
    with_bundle(&base, claim, &files)
}

/// Adds a checkpoint after the first hostcall.
fn between(checkpoints: &mut Vec<Checkpoint>, entries: &Entries) {
    let head = next_head(&ZERO_HEAD, &entries.get(0).unwrap().leaf(0, None));
    let fuel = entries.get(1).unwrap().fuel;
    let kind = CheckpointKind::Hostcall;
    let state = checkpoints[0].state;
    checkpoints.insert(1, Checkpoint { kind, fuel, hostcalls: 1, state, head });
}

#[test]
fn checkpoints_agree_with_rule_order_and_transcript() {
    let check = |step, change: fn(&mut Vec<Checkpoint>, &Entries), expect| {
        let report = examine(&with_checkpoints(step, change));
        assert_eq!(report.result(CheckName::Checkpoints), Some(expect), "{:?}", report.checks);
    };
    let conflict = CheckResult::Fail(ErrorCode::FactsConflict);
    check(1, between, CheckResult::Pass);
    check(0, between, conflict);
    let second_start: fn(&mut Vec<Checkpoint>, &Entries) = |checkpoints, entries| {
        between(checkpoints, entries);
        checkpoints[1].kind = CheckpointKind::Start;
    };
    check(1, second_start, conflict);
    let backwards: fn(&mut Vec<Checkpoint>, &Entries) = |checkpoints, entries| {
        between(checkpoints, entries);
        checkpoints[1].fuel = checkpoints[2].fuel + 1;
    };
    check(1, backwards, conflict);
    check(0, |checkpoints, _| checkpoints[1].head = ZERO_HEAD, conflict);
}

#[test]
fn what_is_demanded_and_absent_is_missed() {
    let names = [CheckName::Proof, CheckName::Manifests, CheckName::Log];
    let codes = [ErrorCode::ProofMissing, ErrorCode::ManifestMissing, ErrorCode::LogProofMissing];
    for (name, code) in names.into_iter().zip(codes) {
        let options = Options { insecure_dev: true, require: vec![name], ..Options::default() };
        let report = verify::receipt(&base(), None, None, &options, &ReceiptOptions::default());
        assert_eq!(report.result(name), Some(CheckResult::NotDone(code)));
        assert!(!report.is_accepted());
    }
    let expected = Some(kapsule_format::package::PackageId::new([0; 32].into()));
    let options = Options { insecure_dev: true, expected, ..Options::default() };
    let report = verify::receipt(&base(), None, None, &options, &ReceiptOptions::default());
    let conflict = CheckResult::Fail(ErrorCode::FactsConflict);
    assert_eq!(report.result(CheckName::Hashes), Some(conflict));
}

#[test]
fn attached_entries_of_strangers_change_nothing() {
    let base = base();
    let index = Container::decode(&base).unwrap().index().to_vec();
    let stranger = SecretKey::from_seed(Suite::Ed25519, &[9; 32]).unwrap();
    let claim = Receipt::decode(&base).unwrap().claim().clone();
    let statement = claim.signed_statement();
    let envelope = kapsule_format::envelope::Envelope::sign(&statement, &stranger).encode();
    let name = format!("sig/ed25519-{}.dsse.json", stranger.public().id());
    let changes = [
        (name.as_str(), Some(envelope)),
        ("disclosed.cbor", Some(vec![0xff])),
        ("log/00.tlog-proof", Some(vec![])),
    ];
    let report = examine(&rewrite(&base, index, &changes, ""));
    assert!(!is_refused(&report), "{:?}", report.checks);
    assert_eq!(report.facts.unknown_signers, [stranger.public().id()]);
    let names: Vec<&str> = report.facts.ignored.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["disclosed.cbor", "log/00.tlog-proof"]);
}

#[test]
fn surplus_envelopes_are_set_aside_and_the_issuers_own_is_read() {
    let base = base();
    let index = Container::decode(&base).unwrap().index().to_vec();
    let claim = Receipt::decode(&base).unwrap().claim().clone();
    let statement = claim.signed_statement();
    let made: Vec<(String, Vec<u8>)> = (10..30)
        .map(|seed| {
            let key = SecretKey::from_seed(Suite::Ed25519, &[seed; 32]).unwrap();
            let envelope = kapsule_format::envelope::Envelope::sign(&statement, &key).encode();
            (format!("sig/ed25519-{}.dsse.json", key.public().id()), envelope)
        })
        .collect();
    let changes: Vec<(&str, Option<Vec<u8>>)> =
        made.iter().map(|(name, bytes)| (name.as_str(), Some(bytes.clone()))).collect();
    let report = examine(&rewrite(&base, index, &changes, ""));
    assert!(!is_refused(&report), "{:?}", report.checks);
    assert_eq!((report.facts.unknown_signers.len(), report.facts.ignored.len()), (15, 5));
}

#[test]
fn every_backend_gives_the_golden_receipts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/receipt/accept");
    for story in &STORIES {
        let golden = fs::read(folder.join(format!("{}.bin", story.name))).unwrap();
        for backend in Backend::ALL {
            let made = sample(story, *backend).bytes;
            assert!(made == golden, "{} on {backend} is another receipt", story.name);
            assert!(repeats(&made, *backend), "{} on {backend}", story.name);
        }
    }
    for (name, salted) in [("composed", false), ("composed-salted", true)] {
        let golden = fs::read(folder.join(format!("{name}.bin"))).unwrap();
        for backend in Backend::ALL {
            let made = Composed::new(*backend, salted, None).bytes;
            assert!(made == golden, "{name} on {backend} is another receipt");
            assert_eq!(repeats_composed(&made, *backend), Ok(true), "{name} on {backend}");
        }
    }
    let golden = fs::read(folder.join("under-policy.bin")).unwrap();
    for backend in Backend::ALL {
        let made = Enforced::new(*backend, 0xc3).issued;
        assert!(made == golden, "under-policy on {backend} is another receipt");
        assert!(repeats(&made, *backend), "under-policy on {backend}");
    }
}

#[test]
fn the_vectors_are_those_of_the_generator() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
    let mut count = 0;
    for vector in vectors::all() {
        let folder = if vector.expect.starts_with('E') { "reject" } else { "accept" };
        let path = root.join(vector.group).join(folder).join(format!("{}.bin", vector.name));
        let held = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(held == vector.bytes, "{} is stale", path.display());
        count += 1;
    }
    assert!(count > 80, "only {count} vectors");
}
