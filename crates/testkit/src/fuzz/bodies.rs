//! What each body does; the documentation stands at the targets in [`super`].

use std::collections::BTreeSet;
use std::sync::LazyLock;

use kapsule_format::authoring::{Draft, Inputs, Syntax, Text};
use kapsule_format::capsule::Capsule;
use kapsule_format::capsule::fork::Fork;
use kapsule_format::container::{Container, Writer};
use kapsule_format::encrypt::Identities;
use kapsule_format::envelope::{Envelope, Statement};
use kapsule_format::package::Package;
use kapsule_format::policy::Policy;
use kapsule_format::receipt::Receipt;
use kapsule_format::snapshot::Snapshot;
use kapsule_format::transcript::Transcript;
use kapsule_format::trust::Trust;
use kapsule_format::{cbor, json, klog};
use kapsule_lower::lower;
use kapsule_meter::{Imports, Options, Profile, meter as meter_module};
use kapsule_proof::{Expected, Key, Known, ParamSet, ProvenRun};
use wasmparser::{Validator, WasmFeatures};

/// The profiles, the narrower first.
const PROFILES: [Profile; 2] = [Profile::Integer1, Profile::Float1];

/// Decodes a package; an accepted one encodes to the same bytes.
pub(super) fn mod_decode(bytes: &[u8]) -> bool {
    let Ok(package) = Package::decode(bytes) else { return false };
    assert_eq!(package.peek().encode(), bytes, "a package has one byte form");
    true
}

/// Runs `agent_logic`; what it proposes is within its budget, and its state is read again.
pub(super) fn module_agent_logic(bytes: &[u8]) -> bool {
    let Ok(input) = agent_logic::Input::decode(bytes) else { return false };
    let budget = input.agent.budget;
    let mut count = 0;
    let output = agent_logic::evaluate(input, &mut |_| {
        count += 1;
        Ok(count - 1)
    });
    let output = output.expect("the host takes everything");
    let state = &output.state;
    let spent = state.spent <= budget.cost_max && state.proposed <= budget.proposals_max;
    assert!(count == 0 || spent, "the budget was exceeded");
    assert!(cbor::decode(&output.encode()).is_ok(), "an output is KCBOR");
    true
}

/// Runs `blocklist`; an accepted input gives one verdict for each item, twice the same.
pub(super) fn module_blocklist(bytes: &[u8]) -> bool {
    let Ok(input) = blocklist::Input::decode(bytes) else { return false };
    let Ok(output) = blocklist::evaluate(&input) else { return false };
    assert_eq!(output.verdicts.len(), input.items.len(), "one verdict for each item");
    assert_eq!(blocklist::run(bytes), Ok(output.encode()), "an input has one output");
    assert!(cbor::decode(&output.encode()).is_ok(), "an output is KCBOR");
    true
}

/// Runs `rank`; every post is ranked or hidden once, and twice the same.
pub(super) fn module_rank(bytes: &[u8]) -> bool {
    let Ok(input) = rank::Input::decode(bytes) else { return false };
    let output = rank::evaluate(&input);
    let shown: BTreeSet<_> = output.trending.iter().map(|row| row.id).collect();
    assert_eq!(shown.len(), output.trending.len(), "a post is shown once");
    assert!(output.hidden.iter().all(|id| !shown.contains(id)), "a hidden post is not shown");
    let all = shown.len() + output.hidden.len();
    let cut = input.parameters.rows_max > 0;
    assert!(all == input.posts.len() || cut && all < input.posts.len(), "a post is lost");
    assert_eq!(rank::run(bytes), Ok(output.encode()), "an input has one output");
    assert!(cbor::decode(&output.encode()).is_ok(), "an output is KCBOR");
    true
}

/// Runs `regression`; an accepted input gives the same bits twice.
pub(super) fn module_regression(bytes: &[u8]) -> bool {
    let Ok(output) = regression::run(bytes) else { return false };
    assert_eq!(regression::run(bytes), Ok(output), "an input has one output");
    true
}

/// Runs `transfer`; nothing is made or lost, and the state after is one that is read again.
pub(super) fn module_transfer(bytes: &[u8]) -> bool {
    let Ok(input) = transfer::Input::decode(bytes) else { return false };
    let before = input.state.totals();
    let output = transfer::evaluate(input.state, &input.transactions);
    assert_eq!(output.state.totals(), before, "something was made or lost");
    let Ok(cbor::Value::Map(fields)) = cbor::decode(&output.encode()) else {
        panic!("an output is a KCBOR map");
    };
    let next = vec![fields[0].clone(), fields[1].clone(), (2, cbor::Value::Array(Vec::new()))];
    let next = cbor::encode(&cbor::Value::Map(next));
    let read = transfer::Input::decode(&next).expect("a state is read again");
    assert_eq!(read.state, output.state, "a state has one byte form");
    true
}

/// Runs `trust`; every score is within the whole, and what is written is read by `rank`.
pub(super) fn module_trust(bytes: &[u8]) -> bool {
    let Ok(output) = trust::run(bytes, || Ok(Vec::new())) else { return false };
    assert_eq!(trust::run(bytes, || Ok(Vec::new())), Ok(output.clone()), "an input has one output");
    // A feed of no posts at the time 0.
    let feed = [b"\xa4\x00\x01\x01\x00\x02\x80\x03".as_slice(), &output].concat();
    let feed = rank::Input::decode(&feed).expect("what trust writes, rank reads");
    let rows = feed.trust.expect("it is there").rows;
    let sum: u64 = rows.iter().map(|row| row.score).sum();
    // Each share is rounded to nearest.
    assert!(sum <= 1_000_000_000 + rows.len() as u64, "the scores are shares of a whole");
    assert!(rows.is_sorted_by(|left, right| left.score >= right.score), "best first");
    true
}

/// Decodes RJSON; an accepted text encodes to the same bytes.
pub(super) fn rjson(bytes: &[u8]) -> bool {
    let Ok(value) = json::decode(bytes) else { return false };
    assert_eq!(json::encode(&value), bytes, "a JSON value has one byte form");
    true
}

/// Decodes one KCBOR item; an accepted one encodes to the same bytes.
pub(super) fn kcbor(bytes: &[u8]) -> bool {
    let Ok(value) = cbor::decode(bytes) else { return false };
    assert_eq!(cbor::encode(&value), bytes, "a CBOR value has one byte form");
    true
}

/// Reads a KLOG file; an accepted one is written as the same bytes.
pub(super) fn klog(bytes: &[u8]) -> bool {
    let records: Result<Vec<klog::Record<'_>>, _> = klog::Reader::new(bytes).collect();
    let Ok(records) = records else { return false };
    let mut writer = klog::Writer::new();
    for record in &records {
        writer.push(&record.value).expect("it was read, so it is short enough");
    }
    assert_eq!(writer.into_bytes(), bytes, "a log has one byte form");
    true
}

/// Decodes an envelope and the statement in it; what is accepted encodes to the same bytes.
pub(super) fn envelope(bytes: &[u8]) -> bool {
    let Ok(envelope) = Envelope::decode(bytes) else { return statement(bytes) };
    assert_eq!(envelope.encode(), bytes, "an envelope has one byte form");
    statement(envelope.payload());
    true
}

fn statement(bytes: &[u8]) -> bool {
    let Ok(statement) = Statement::decode(bytes) else { return false };
    assert_eq!(statement.encode(), bytes, "a statement has one byte form");
    true
}

/// Takes a container apart; an accepted one is written as the same bytes.
pub(super) fn container(bytes: &[u8]) -> bool {
    let Ok(container) = Container::decode(bytes) else { return false };
    let mut writer = Writer::new(container.kind(), container.index().to_vec());
    container.entries().iter().skip(1).for_each(|entry| writer.push(entry.name, entry.bytes));
    assert_eq!(writer.finish().as_deref(), Ok(bytes), "a container has one byte form");
    true
}

/// The program of the proofs beside the vectors, and those that are quick to judge.
const PROVEN: &str = include_str!("../../../../spec/vectors/proof/files/greeting.wat");
const PROOFS: [&[u8]; 3] = [
    include_bytes!("../../../../spec/vectors/proof/files/test-fuel.kproof"),
    include_bytes!("../../../../spec/vectors/proof/files/test-greeting.kproof"),
    include_bytes!("../../../../spec/vectors/proof/files/test-trap.kproof"),
];

/// Verifies a proof file; one that is read has one form, and no changed one is accepted.
pub(super) fn proof(bytes: &[u8]) -> bool {
    static KEY: LazyLock<Key> = LazyLock::new(|| {
        let wasm = wat::parse_str(PROVEN).expect("it is a module");
        let lowered = lower(&wasm, &kapsule_lower::Options::new(1)).expect("it can be proven");
        Key::derive(&lowered.program, ParamSet::TEST).expect("it is small")
    });
    let Ok(run) = ProvenRun::decode(bytes) else { return false };
    assert_eq!(run.encode(), bytes, "a proof file has one byte form");
    // Whatever the statement says is expected, so that the rest is looked at.
    let statement = run.statement();
    let expected = Expected {
        module_hash: statement.module_hash,
        policy_digest: statement.policy_digest,
        binding: statement.binding,
        entry: &statement.entry,
        transcript: None,
        allow_test_params: true,
    };
    if run.check(&KEY, &expected, &Known::default()).is_ok() {
        // The policy is held against its digest by those who know which one it must be.
        let honest = PROOFS.into_iter().map(|known| ProvenRun::decode(known).expect("a proof"));
        let same = |known: ProvenRun| known.proof == run.proof && known.events == run.events;
        assert!(honest.into_iter().any(same), "a changed proof is accepted");
    }
    true
}

/// Verifies a receipt; the claim and the container of one that is read have one form.
pub(super) fn receipt(bytes: &[u8]) -> bool {
    let _ = crate::receipts::examine(bytes);
    let Ok(receipt) = Receipt::decode(bytes) else { return false };
    assert!(container(bytes), "a receipt is a container");
    assert_eq!(receipt.claim().encode(), receipt.container().index(), "a claim has one byte form");
    true
}

/// Reads a capsule and makes every check of it; its metadata and its container have one form.
pub(super) fn capsule(bytes: &[u8]) -> bool {
    let options = kapsule_format::verify::Options::default();
    let report = kapsule_format::verify::capsule(bytes, None, Some(0), &options, None);
    let Ok(capsule) = Capsule::decode(bytes) else {
        assert!(!report.is_accepted(), "a file without a form is accepted");
        return false;
    };
    assert!(container(bytes), "a capsule is a container");
    assert_eq!(capsule.meta().encode(), capsule.container().index(), "metadata have one byte form");
    let identities = Identities::decode(crate::capsules::EPOCH_KEY).expect("it is an identity");
    if let Ok(opened) = capsule.open(&identities) {
        let body = opened.body.encode().expect("it was decoded");
        assert_eq!(body, opened.bytes, "a body has one byte form");
    }
    true
}

/// Reads a snapshot; its index and its container have one form, and its capsules are capsules.
pub(super) fn snapshot(bytes: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::decode(bytes) else { return false };
    assert!(container(bytes), "a snapshot is a container");
    let index = Container::decode(bytes).expect("it is one").index();
    assert_eq!(snapshot.index().encode(), index, "an index has one byte form");
    assert_eq!(snapshot.index().id(), snapshot.id(), "the id is that of the index");
    for (id, file) in snapshot.capsules() {
        assert!(Capsule::decode(file).is_ok_and(|capsule| capsule.id() == *id), "{id} is there");
    }
    if let Ok(fork) = Fork::verify(bytes) {
        assert!(fork.sides.len() > 1, "a fork has sides");
        let files = snapshot.capsules().values().copied();
        let headers = Fork::write(fork.channel, files, false).expect("payloads prove nothing");
        assert_eq!(Fork::verify(&headers), Ok(fork));
    }
    true
}

/// Decodes a transcript; an accepted one encodes to the same bytes.
pub(super) fn transcript(bytes: &[u8]) -> bool {
    let Ok(transcript) = Transcript::decode(bytes) else { return false };
    let encoded = transcript.encode().expect("it was decoded, so its records are short enough");
    assert_eq!(encoded, bytes, "a transcript has one byte form");
    true
}

/// Decodes a policy; an accepted one encodes to the same bytes.
pub(super) fn policy(bytes: &[u8]) -> bool {
    let Ok(policy) = Policy::decode(bytes) else { return false };
    assert_eq!(policy.encode(), bytes, "a policy has one byte form");
    true
}

/// Reads an authoring manifest in JSON.
pub(super) fn authoring_json(bytes: &[u8]) -> bool {
    authoring(bytes, Syntax::Json)
}

/// Reads an authoring manifest in TOML.
pub(super) fn authoring_toml(bytes: &[u8]) -> bool {
    authoring(bytes, Syntax::Toml)
}

/// Reads an authoring manifest in YAML.
pub(super) fn authoring_yaml(bytes: &[u8]) -> bool {
    authoring(bytes, Syntax::Yaml)
}

/// Reads an authoring manifest; the canonical policy that comes of it decodes again.
fn authoring(bytes: &[u8], syntax: Syntax) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(draft) = Draft::read(Text { syntax, text }, None) else { return false };
    let inputs = Inputs { payload: b"\0asm\x01\0\0\0", ..Inputs::default() };
    let Ok((_, policy)) = draft.finish(&inputs) else { return false };
    assert_eq!(Policy::decode(&policy.encode()), Ok(policy), "a made policy is canonical");
    true
}

/// Decodes a trust file, which has one byte form as every JSON text has.
pub(super) fn trust_json(bytes: &[u8]) -> bool {
    // The file is read and never written by the library, so its JSON is compared.
    Trust::decode(bytes).is_ok() && rjson(bytes)
}

/// Meters a module under both profiles and import rules; what comes out is valid wasm.
pub(super) fn meter(bytes: &[u8]) -> bool {
    let metered = |profile, imports| {
        let options = Options { imports, ..Options::new(profile) };
        let Ok(metered) = meter_module(bytes, &options) else { return false };
        let valid = Validator::new_with_features(WasmFeatures::WASM2).validate_all(metered.bytes());
        assert!(valid.is_ok(), "a metered module is invalid: {:?}", valid.err());
        true
    };
    let any = PROFILES.map(|profile| metered(profile, Imports::Any));
    let kapsule = PROFILES.map(|profile| metered(profile, Imports::Kapsule));
    assert!(any[0] <= any[1], "what integer-1 accepts, float-1 accepts");
    assert!(kapsule.iter().zip(any).all(|(narrow, wide)| *narrow <= wide), "import rules");
    any[1]
}
