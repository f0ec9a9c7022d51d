//! Honest runs satisfy every constraint, and some of them are proven.

use kapsule_proof::machine::check_segment;
use kapsule_proof::{Expected, ParamSet, ProofFile, ProvenOutcome, verify};
use kapsule_prover::prove::prove;

use crate::programs::{FIB, expected, job, key, run};

#[test]
fn honest_runs_satisfy_every_constraint() {
    let key = key(FIB, ParamSet::TEST);
    let cases = [
        ("run", 10_000, ProvenOutcome::Completed),
        ("trap", 10_000, ProvenOutcome::Trap(0)),
        ("run", 200, ProvenOutcome::OutOfFuel),
        ("run", 0, ProvenOutcome::OutOfFuel),
    ];
    for (entry, fuel, outcome) in cases {
        let witness = run(&key, &job(entry, fuel));
        assert_eq!(witness.statement.outcome, outcome, "{entry} with {fuel}");
        assert_eq!(check_segment(&witness.tables, &witness.publics), Ok(()), "{entry} {fuel}");
    }
}

#[test]
fn an_exhausted_stack_is_a_trap() {
    let key = key(FIB, ParamSet::TEST);
    let witness = run(&key, &job("deep", 10_000_000));
    assert_eq!(witness.statement.outcome, ProvenOutcome::Trap(7));
    assert_eq!(check_segment(&witness.tables, &witness.publics), Ok(()));
}

#[test]
fn salt_is_read_before_anything_else() {
    let key = key(FIB, ParamSet::TEST);
    let plain = run(&key, &job("run", 10_000));
    let words = [1, u64::MAX, 3, 4];
    let salted = run(
        &key,
        &kapsule_prover::prove::Job { words: &words, salt_present: true, ..job("run", 10_000) },
    );
    assert_eq!(check_segment(&salted.tables, &salted.publics), Ok(()));
    assert_eq!(salted.statement.transcript_words, plain.statement.transcript_words + 4);
    assert_ne!(salted.statement.transcript, plain.statement.transcript);
}

#[test]
fn a_run_that_divides_holds() {
    let key = key(FIB, ParamSet::TEST);
    let divided = run(&key, &job("divide", 10_000));
    assert_eq!(check_segment(&divided.tables, &divided.publics), Ok(()));
    assert!(divided.tables.iter().any(|(table, _)| table.name() == "DIV"));
}

#[test]
fn a_run_is_proven_and_its_proof_verifies() {
    let key = key(FIB, ParamSet::FAST);
    let witness = run(&key, &job("run", 10_000));
    let bytes = prove(&key, &witness).unwrap().encode();
    let file = ProofFile::decode(&bytes).unwrap();
    assert_eq!(file.statement, witness.statement);
    let expected = Expected { allow_test_params: false, ..expected() };
    assert_eq!(verify(&key, &file, &expected), Ok(()));
}

/// A program that is measured too, as a module whose entry calls it with a number.
fn program(text: &str, argument: u32) -> String {
    let named = text.replace("(func (export \"bench\")", "(func $bench (export \"bench\")");
    let end = named.trim_end().strip_suffix(')').expect("a module");
    format!(
        "{end}
  (func (export \"kapsule_abi_version\") (result i32) (i32.const 1))
  (func (export \"run\") (result i32) (call $bench (i32.const {argument}))))"
    )
}

#[test]
fn sieve_and_sha256_are_proven_and_their_results_are_the_known_ones() {
    let sieve = program(include_str!("../../bench/programs/sieve.wat"), 3_000);
    let sha256 = program(include_str!("../../bench/programs/sha256.wat"), 3);
    for (text, pages, result) in [(sieve, 32, 430), (sha256, 1, SHA256)] {
        let wasm = wat::parse_str(text).expect("a module");
        let lowered = kapsule_lower::lower(&wasm, &kapsule_lower::Options::new(pages));
        let program = lowered.expect("a provable module").program;
        let key = kapsule_proof::Key::derive(&program, ParamSet::TEST).expect("a small program");
        let witness = run(&key, &job("run", 10_000_000));
        let words =
            [kapsule_lower::words::Event { tag: kapsule_lower::isa::TAG_OUT, word: result }];
        let proof = prove(&key, &witness).expect("a proof");
        let proven = kapsule_proof::ProvenRun { policy: Vec::new(), events: words.into(), proof };
        let outcome = kapsule_abi::Outcome::Completed(u32::try_from(result).expect("an i32"));
        let known = kapsule_proof::Known { outcome: Some(outcome), ..Default::default() };
        proven.check(&key, &expected(), &known).expect("an accepted proof");
    }
}

/// First word after three compressions by FIPS 180-4, each of the state before it twice.
const SHA256: u64 = 0xc69f_7881;
