//! Honest runs satisfy every constraint, and some of them are proven.

use kapsule_proof::machine::check_segment;
use kapsule_proof::{Expected, ParamSet, ProofFile, ProvenOutcome, verify};
use kapsule_prover::prove::prove;

use crate::programs::{FIB, job, key, run};

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
    let expected = Expected {
        module_hash: [1; 32],
        policy_digest: [2; 32],
        binding: [3; 32],
        entry: "run",
        transcript: None,
        allow_test_params: false,
    };
    assert_eq!(verify(&key, &file, &expected), Ok(()));
}
