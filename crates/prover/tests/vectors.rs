//! Runs `spec/vectors/proof`: proof files with what they show, and what is refused of them.
//!
//! A case names a proof file and a module in `files/`, and may change what a verifier holds
//! (`entry`, `binding`, `input`, `output`, `fuel`, `fuel_used`, `outcome`, `transcript`, `module`)
//! or the file: `edit` is an array of (offset, hex), a negative offset counts from the end, `cut`
//! removes so many bytes from the end, and `append` is hex.
//! Files named `test-*` are of `kp-test`, which is accepted only where a case says `test = true`.
//! `KAPSULE_UPDATE=1` makes the files anew.

use std::path::{Path, PathBuf};

use kapsule_abi::Outcome;
use kapsule_format::hash::sha256;
use kapsule_format::policy::Policy;
use kapsule_lower::isa::TAG_IN;
use kapsule_lower::words::Event;
use kapsule_lower::{Options, lower};
use kapsule_proof::{Expected, Key, Known, ParamSet, ProvenRun, VerifyError};
use kapsule_prover::prove::{Job, prove, witness};
use toml::{Table, Value};

use crate::proven_run;

/// Pages that the policy of the vectors grants.
const PAGES: u32 = 1;
/// What each file is bound to.
const BINDING: [u8; 32] = [0x42; 32];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/proof")
}

fn policy() -> Vec<u8> {
    let mut policy = Policy::default();
    policy.limits.memory_bytes = u64::from(PAGES) << 16;
    policy.encode()
}

fn module(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(folder().join("files").join(name)).unwrap();
    wat::parse_str(text).unwrap()
}

fn key(wasm: &[u8], params: ParamSet) -> Key {
    let lowered = lower(wasm, &Options::new(PAGES)).unwrap();
    Key::derive(&lowered.program, params).unwrap()
}

/// Makes a proof file.
fn make(name: &str, params: ParamSet, entry: &str, fuel_limit: u64, events: Vec<Event>) {
    let wasm = module("greeting.wat");
    let words = events.iter().filter(|event| event.tag == TAG_IN).map(|event| event.word);
    let words: Vec<u64> = words.collect();
    let job = Job {
        module_hash: *sha256(&wasm).as_bytes(),
        policy_digest: *sha256(&policy()).as_bytes(),
        binding: BINDING,
        entry,
        fuel_limit,
        words: &words,
        salt_present: false,
    };
    let key = key(&wasm, params);
    let proof = prove(&key, &witness(&key, &job).unwrap()).unwrap();
    let run = ProvenRun { policy: policy(), events, proof };
    std::fs::write(folder().join("files").join(name), run.encode()).unwrap();
}

/// Makes every file anew if the environment asks for it.
fn update() {
    if std::env::var_os("KAPSULE_UPDATE").is_none() {
        return;
    }
    std::fs::write(folder().join("files/greeting.wat"), proven_run::HELLO).unwrap();
    make("greeting.kproof", ParamSet::SMALL, "run", 10_000, proven_run::events());
    make("test-greeting.kproof", ParamSet::TEST, "run", 10_000, proven_run::events());
    make("test-trap.kproof", ParamSet::TEST, "trap", 10_000, Vec::new());
    make("test-fuel.kproof", ParamSet::TEST, "run", 20, Vec::new());
}

fn files(kind: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder().join(kind)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.iter().map(byte).collect()
}

/// Returns the bytes of a case: those of its file with its changes.
fn bytes(case: &Table) -> Vec<u8> {
    let mut bytes =
        std::fs::read(folder().join("files").join(text(case, "file").unwrap())).unwrap();
    for edit in case.get("edit").and_then(Value::as_array).into_iter().flatten() {
        let [offset, value] = &edit.as_array().unwrap()[..] else { panic!("no pair: {edit:?}") };
        let offset = offset.as_integer().unwrap();
        let end = i64::try_from(bytes.len()).unwrap();
        let at = usize::try_from(if offset < 0 { end + offset } else { offset }).unwrap();
        let value = hex(value.as_str().unwrap());
        bytes[at..at + value.len()].copy_from_slice(&value);
    }
    bytes.truncate(bytes.len() - number(case, "cut").unwrap_or(0) as usize);
    bytes.extend(text(case, "append").map(hex).unwrap_or_default());
    bytes
}

fn text<'a>(case: &'a Table, key: &str) -> Option<&'a str> {
    case.get(key).map(|value| value.as_str().unwrap())
}

fn number(case: &Table, key: &str) -> Option<u64> {
    case.get(key).map(|value| u64::try_from(value.as_integer().unwrap()).unwrap())
}

fn elements(text: &str) -> [u32; 8] {
    let bytes = hex(text);
    std::array::from_fn(|index| {
        u32::from_le_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap())
    })
}

/// Returns what a case shows, or why it is refused.
fn judge(case: &Table) -> Result<String, VerifyError> {
    let run = ProvenRun::decode(&bytes(case))?;
    let statement = run.statement();
    let wasm = module(text(case, "module").unwrap_or("greeting.wat"));
    let params = ParamSet::from_number(statement.param_set);
    let key = key(&wasm, params.ok_or(VerifyError::ParamSet(statement.param_set))?);
    let binding = text(case, "binding").map(|text| hex(text).try_into().unwrap());
    let expected = Expected {
        module_hash: *sha256(&wasm).as_bytes(),
        policy_digest: *sha256(&run.policy).as_bytes(),
        binding: binding.unwrap_or(BINDING),
        entry: text(case, "entry").unwrap_or(&statement.entry),
        transcript: None,
        allow_test_params: case.get("test").is_some_and(|test| test.as_bool().unwrap()),
    };
    let outcomes = [Outcome::Completed(0), Outcome::Completed(1)];
    let outcome = text(case, "outcome");
    let known = Known {
        input: text(case, "input").map(str::as_bytes),
        output: text(case, "output").map(str::as_bytes),
        fuel_limit: number(case, "fuel"),
        fuel_used: number(case, "fuel_used"),
        outcome: outcomes.into_iter().find(|found| Some(&*found.to_string()) == outcome),
        transcript: text(case, "transcript").map(elements),
    };
    assert_eq!(known.outcome.is_some(), outcome.is_some(), "an outcome of the two");
    let shown = run.check(&key, &expected, &known)?;
    let (used, limit) = (statement.fuel_used, statement.fuel_limit);
    let output = String::from_utf8(shown.output).unwrap();
    Ok(format!("{}, fuel {used} of {limit}, output {output:?}", shown.outcome))
}

fn load(path: &Path) -> Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn vectors_are_judged_as_they_say() {
    update();
    let (accepts, rejects) = (files("accept"), files("reject"));
    assert!(accepts.len() >= 4 && rejects.len() >= accepts.len());
    for path in accepts {
        let case = load(&path);
        let shown = judge(&case).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(shown, case["expect"].as_str().unwrap(), "{}", path.display());
    }
    for path in rejects {
        let case = load(&path);
        let error = judge(&case).expect_err(&path.display().to_string());
        let said = format!("{}: {error}", error.code());
        let expected = case["expect"].as_str().unwrap();
        assert!(said.starts_with(expected), "{}: {said}", path.display());
    }
}
