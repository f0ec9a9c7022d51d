//! No forged statement is accepted.

use kapsule_proof::field::F;
use kapsule_proof::machine::check_segment;
use kapsule_proof::publics::{TIED, TIED_FIRST};
use kapsule_proof::{
    Expected, Key, ParamSet, ProofFile, ProvenOutcome, RunStatement, TranscriptEnd, VerifyError,
    verify,
};
use kapsule_prover::prove::{Witness, prove, witness};
use p3_field::PrimeField32;

use crate::programs::{FIB, expected, job, key, run};

fn proven(key: &Key, entry: &str, fuel: u64) -> ProofFile {
    prove(key, &run(key, &job(entry, fuel))).expect("a proof")
}

/// One change of a statement and what the verifier says.
type Forgery = (&'static str, fn(&mut RunStatement), VerifyError);

const FORGERIES: &[Forgery] = &[
    ("version", |s| s.version = 2, VerifyError::Version { found: 2 }),
    ("isa", |s| s.isa = 9, VerifyError::Isa { found: 9, known: 1 }),
    ("set", |s| s.param_set = 1, VerifyError::ParamSet(1)),
    ("module", |s| s.module_hash[0] ^= 1, VerifyError::Module),
    ("program", |s| s.program_digest[0] ^= 1, VerifyError::Program),
    ("policy", |s| s.policy_digest[0] ^= 1, VerifyError::Policy),
    ("binding", |s| s.binding[0] ^= 1, VerifyError::Binding),
    ("trap", |s| s.outcome = ProvenOutcome::Trap(0), VerifyError::Outcome),
    ("denied", |s| s.outcome = ProvenOutcome::Denied(0), VerifyError::Outcome),
    ("oof", |s| s.outcome = ProvenOutcome::OutOfFuel, VerifyError::Outcome),
    ("less fuel", |s| s.fuel_used -= 1, VerifyError::Fuel),
    ("more fuel", |s| s.fuel_used += 1, VerifyError::Fuel),
    ("limit below", |s| s.fuel_limit = s.fuel_used - 1, VerifyError::Fuel),
    ("words", |s| s.transcript_words += 1, VerifyError::Transcript),
    ("digest", |s| s.transcript[0] ^= 1, VerifyError::Transcript),
    ("no segment", |s| s.segments.clear(), VerifyError::Segments { found: 0 }),
    ("two segments", |s| s.segments.push(s.segments[0]), VerifyError::Segments { found: 2 }),
    ("element", |s| s.segments[0].fp_out = 0x7f00_0001, VerifyError::Public("fp_out")),
    ("time", |s| s.segments[0].ts_out = 1 << 28, VerifyError::Public("ts_out")),
    ("fuel sum", |s| s.segments[0].fuel_static = 1 << 30, VerifyError::Public("fuel_static")),
    ("events", |s| s.segments[0].tx_events = 1 << 24, VerifyError::Public("tx_events")),
    // What the checks on numbers let through, the argument refuses.
    ("limit", |s| s.fuel_limit += 1, VerifyError::Argument),
    ("salt", |s| s.salt_present = true, VerifyError::Argument),
    ("frame", |s| s.segments[0].fp_out += 1, VerifyError::Argument),
    ("pages", |s| s.segments[0].pages_out += 1, VerifyError::Argument),
    ("later", |s| s.segments[0].ts_out += 1, VerifyError::Argument),
    ("padding", |s| s.segments[0].tx_pad ^= true, VerifyError::Argument),
    (
        "relabelled",
        |s| {
            s.segments[0].pc_out = 1;
            s.outcome = ProvenOutcome::Trap(0);
        },
        VerifyError::Argument,
    ),
    (
        "cheaper",
        |s| {
            s.segments[0].fuel_static -= 1;
            s.fuel_used -= 1;
        },
        VerifyError::Argument,
    ),
    (
        "dynamic",
        |s| {
            s.segments[0].fuel_dyn += 1;
            s.fuel_used += 1;
        },
        VerifyError::Argument,
    ),
    (
        "other words",
        |s| {
            s.segments[0].tx_out[3] ^= 1;
            s.transcript[3] ^= 1;
        },
        VerifyError::Argument,
    ),
    (
        "one more word",
        |s| {
            s.segments[0].tx_events += 1;
            s.transcript_words += 1;
        },
        VerifyError::Argument,
    ),
];

#[test]
fn every_forged_statement_is_refused() {
    let key = key(FIB, ParamSet::TEST);
    let file = proven(&key, "run", 10_000);
    assert_eq!(verify(&key, &file, &expected()), Ok(()));
    for (name, forge, refusal) in FORGERIES {
        let mut forged = file.clone();
        forge(&mut forged.statement);
        assert_eq!(verify(&key, &forged, &expected()), Err(refusal.clone()), "{name}");
    }
}

#[test]
fn what_the_verifier_expects_is_compared() {
    let key = key(FIB, ParamSet::TEST);
    let file = proven(&key, "trap", 100);
    let refused = |expected: &Expected<'_>| verify(&key, &file, expected).unwrap_err();
    assert_eq!(refused(&expected()), VerifyError::Entry("trap".into()));
    let expected = Expected { entry: "trap", ..expected() };
    assert_eq!(verify(&key, &file, &expected), Ok(()));
    let strict = Expected { allow_test_params: false, ..expected.clone() };
    assert_eq!(refused(&strict), VerifyError::ParamSet(0xffff));
    let digest = file.statement.transcript;
    let held = TranscriptEnd { digest, events: 1, padded: true };
    let held = Expected { transcript: Some(held), ..expected };
    assert_eq!(refused(&held), VerifyError::Transcript);
}

#[test]
fn headers_are_checked_before_the_argument() {
    let key = key(FIB, ParamSet::TEST);
    let file = proven(&key, "run", 10_000);
    let changed = |change: fn(&mut ProofFile)| {
        let mut changed = file.clone();
        change(&mut changed);
        verify(&key, &changed, &expected()).unwrap_err()
    };
    assert_eq!(changed(|file| file.segment.present ^= 1 << 63), VerifyError::Tables);
    let absent = changed(|file| {
        file.segment.present ^= 1 << 5;
        file.segment.log_heights.remove(5);
    });
    assert_eq!(absent, VerifyError::Tables);
    assert_eq!(changed(|file| file.segment.log_heights[0] += 1), VerifyError::Heights("fixed"));
    assert_eq!(changed(|file| file.segment.log_heights[9] = 5), VerifyError::Heights("table"));
    assert_eq!(changed(|file| file.segment.log_heights[9] = 22), VerifyError::Heights("table"));
    assert_eq!(
        changed(|file| file.segment.log_heights[7] = 21),
        VerifyError::Heights("transcript")
    );
    // The argument has no heights of its own, so it has other lengths for other heights.
    let higher = changed(|file| file.segment.log_heights[9] += 1);
    assert!(matches!(higher, VerifyError::Decode(_)), "{higher}");
    let fuel = changed(|file| file.segment.log_heights[9..15].fill(20));
    assert_eq!(fuel, VerifyError::Heights("fuel"));
    let messages = changed(|file| file.segment.log_heights[5..7].fill(21));
    assert!(matches!(messages, VerifyError::Decode(_)), "{messages}");
    // A chip whose rows are left out leaves a bus open.
    let dropped = changed(|file| {
        file.segment.present ^= 1 << 14;
        file.segment.log_heights.pop();
    });
    assert!(matches!(dropped, VerifyError::Decode(_)), "{dropped}");
}

#[test]
fn changed_arguments_are_refused_without_a_panic() {
    let key = key(FIB, ParamSet::TEST);
    let file = proven(&key, "trap", 100);
    let expected = Expected { entry: "trap", ..expected() };
    let length = file.segment.argument.len();
    // Chosen: a stride that hits every part of the argument in about 60 places.
    for position in (0..length).step_by(length / 60).chain([0, 1, 2, length - 1]) {
        for bit in [0, 7] {
            let mut changed = file.clone();
            changed.segment.argument[position] ^= 1 << bit;
            assert!(verify(&key, &changed, &expected).is_err(), "byte {position} bit {bit}");
        }
        let mut cut = file.clone();
        cut.segment.argument.truncate(position);
        assert!(verify(&key, &cut, &expected).is_err(), "cut at {position}");
    }
    let mut longer = file;
    longer.segment.argument.push(0);
    assert!(verify(&key, &longer, &expected).is_err());
}

#[test]
fn a_proof_of_another_program_is_refused() {
    let one = key(FIB, ParamSet::TEST);
    let other = key(&FIB.replace("i32.const 40", "i32.const 41"), ParamSet::TEST);
    let mut file = proven(&one, "run", 10_000);
    assert_eq!(verify(&other, &file, &expected()), Err(VerifyError::Program));
    file.statement.program_digest = other.program_digest;
    assert_eq!(verify(&other, &file, &expected()), Err(VerifyError::Argument));
}

#[test]
fn a_prover_that_changes_a_word_is_refused() {
    let key = key(FIB, ParamSet::TEST);
    let mut witness = witness(&key, &job("run", 10_000)).unwrap();
    witness.statement.segments[0].pages_out = 7;
    let file = prove(&key, &witness).unwrap();
    assert_eq!(verify(&key, &file, &expected()), Err(VerifyError::Argument));
}

/// Fills memory, which is charged for as a whole while the run is under way.
const FILL: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (memory.fill (i32.const 3) (i32.const 7) (i32.const 40001))
    (i32.const 0)))"#;

/// Returns a run without words whose tables are those under another limit than it states, with the
/// transcript begun under the stated one.
fn under_another_limit(key: &Key, [stated, real]: [u64; 2]) -> Witness {
    let begun = run(key, &job("run", stated));
    let mut witness = run(key, &job("run", real));
    let statement = &mut witness.statement;
    assert_eq!((statement.outcome, statement.transcript_words), (ProvenOutcome::OutOfFuel, 0));
    (statement.fuel_limit, statement.fuel_used) = (stated, stated);
    let place = TIED_FIRST + TIED - 16;
    let digest: [F; 8] = begun.publics[place..place + 8].try_into().unwrap();
    for start in [place, place + 8] {
        witness.publics[start..start + 8].copy_from_slice(&digest);
    }
    let found = witness.tables.iter_mut().find(|(table, _)| table.name() == "CONNECTOR");
    let (_, connector) = found.expect("every run has it");
    let tied = &witness.publics[TIED_FIRST..TIED_FIRST + TIED];
    // The first column says that the row is live.
    connector.values[1..=TIED].copy_from_slice(tied);
    let digest = digest.map(|element| element.as_canonical_u32());
    (statement.transcript, statement.segments[0].tx_out) = (digest, digest);
    witness
}

/// The circuit proves where a run stopped for want of fuel; that there was such a want is a
/// comparison of public values.
#[test]
fn a_run_cannot_run_out_of_fuel_early_or_late() {
    for (wat, real) in [(FIB, 200), (FILL, 100)] {
        let key = key(wat, ParamSet::TEST);
        let honest = run(&key, &job("run", real));
        let end = honest.statement.segments[0];
        let before = u64::from(end.fuel_static) + end.fuel_dyn;
        let asked = match (end.oof_cost, end.dyn_n) {
            (Some(cost), None) => u64::from(cost),
            (None, Some(units)) => u64::from(units).div_ceil(8),
            other => panic!("{other:?}"),
        };
        let cases = [
            (before - 1, Err(VerifyError::Fuel)),
            (before, Ok(())),
            (before + asked - 1, Ok(())),
            (before + asked, Err(VerifyError::Fuel)),
        ];
        for (stated, verdict) in cases {
            let witness = under_another_limit(&key, [stated, real]);
            assert_eq!(check_segment(&witness.tables, &witness.publics), Ok(()), "{stated}");
            let file = prove(&key, &witness).expect("a proof");
            assert_eq!(verify(&key, &file, &expected()), verdict, "{stated} of {before}, {asked}");
        }
    }
}
