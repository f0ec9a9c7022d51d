//! Proof files: one form, and nothing in them that is believed.

use kapsule_abi::Outcome;
use kapsule_lower::isa::{TAG_IN, TAG_OUT};
use kapsule_lower::words::{Event, Record, of_run};
use kapsule_proof::{DecodeError, Key, Known, ParamSet, ProvenRun, VerifyError};
use kapsule_prover::prove::{Job, prove};

use crate::programs::{expected, job, key, run};

/// Writes its input behind a greeting.
pub(crate) const HELLO: &str = r#"(module
  (import "kapsule_v1" "input_len" (func $length (result i64)))
  (import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "hello, ")
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (drop (call $write (i32.const 0) (i32.const 7)))
    (drop (call $read (i64.const 0) (i32.const 64) (i32.wrap_i64 (call $length))))
    (call $write (i32.const 64) (i32.const 3)))
  (func (export "trap") (result i32)
    unreachable))
"#;

const POLICY: &[u8] = b"a policy";

fn words(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Returns the words that a host exchanges with [`HELLO`] on the input `Ada`.
pub(crate) fn events() -> Vec<Event> {
    let records = [
        (3, [words(&[0, 7]), b"hello, ".to_vec()].concat(), words(&[0])),
        (1, Vec::new(), words(&[3])),
        (2, words(&[0, 64, 3]), [words(&[3, 3]), b"Ada".to_vec()].concat()),
        (3, [words(&[64, 3]), b"Ada".to_vec()].concat(), words(&[0])),
    ];
    let records = records.iter().map(|(hostcall, request, response)| Record {
        hostcall: *hostcall,
        status: 0,
        request,
        response,
    });
    of_run(records, Some(0)).expect("words of a run")
}

fn proven(key: &Key) -> ProvenRun {
    let events = events();
    let input = events.iter().filter(|event| event.tag == TAG_IN).map(|event| event.word);
    let input: Vec<u64> = input.collect();
    let witness = run(key, &Job { words: &input, ..job("run", 10_000) });
    let proof = prove(key, &witness).expect("a proof");
    ProvenRun { policy: POLICY.into(), events, proof }
}

#[test]
fn a_file_has_one_form_and_holds_the_run() {
    let key = key(HELLO, ParamSet::TEST);
    let proven = proven(&key);
    let bytes = proven.encode();
    assert_eq!(ProvenRun::decode(&bytes).as_ref(), Ok(&proven));
    let known = Known {
        input: Some(b"Ada"),
        output: Some(b"hello, Ada"),
        fuel_limit: Some(10_000),
        fuel_used: Some(proven.statement().fuel_used),
        outcome: Some(Outcome::Completed(0)),
        transcript: Some(proven.statement().transcript),
    };
    let shown = proven.check(&key, &expected(), &known).expect("an accepted proof");
    assert_eq!((shown.outcome, &shown.output[..]), (Outcome::Completed(0), &b"hello, Ada"[..]));
    assert_eq!(shown.calls.len(), 4);

    let refused = |known: Known<'_>| proven.check(&key, &expected(), &known).unwrap_err();
    let known = Known::default();
    let other = |call| VerifyError::Input { call };
    assert_eq!(refused(Known { input: Some(b"Bob"), ..known }), other(2));
    assert_eq!(refused(Known { input: Some(b"Adam"), ..known }), other(1));
    assert_eq!(refused(Known { input: Some(b""), ..known }), other(1));
    let output = VerifyError::Output { found: 10, expected: 9 };
    assert_eq!(refused(Known { output: Some(b"hello, Ad"), ..known }), output);
    let outcome = Outcome::Completed(1);
    let ended = VerifyError::Ended { found: Outcome::Completed(0), expected: outcome };
    assert_eq!(refused(Known { outcome: Some(outcome), ..known }), ended);
    let fuel = |what, found| VerifyError::OtherFuel { what, found, expected: 1 };
    let used = proven.statement().fuel_used;
    let given = Known { fuel_limit: Some(1), ..known };
    assert_eq!(refused(given), fuel("the granted fuel", 10_000));
    assert_eq!(refused(Known { fuel_used: Some(1), ..known }), fuel("the used fuel", used));
    assert_eq!(refused(Known { transcript: Some([1; 8]), ..known }), VerifyError::Transcript);
}

#[test]
fn words_are_those_that_were_proven() {
    let key = key(HELLO, ParamSet::TEST);
    let file = proven(&key);
    let refused = |change: &dyn Fn(&mut ProvenRun)| {
        let mut changed = file.clone();
        change(&mut changed);
        changed.check(&key, &expected(), &Known::default()).unwrap_err()
    };
    for position in 0..file.events.len() {
        let word = refused(&|file| file.events[position].word ^= 1 << (position % 64));
        assert_eq!(word, VerifyError::Transcript, "{position}");
        let tag = refused(&|file| file.events[position].tag ^= TAG_IN ^ TAG_OUT);
        assert_eq!(tag, VerifyError::Transcript, "{position}");
    }
    let fewer = refused(&|file| file.events.truncate(file.events.len() - 1));
    assert_eq!(fewer, VerifyError::Transcript);
    let more = Event { tag: TAG_IN, word: 0 };
    assert_eq!(refused(&|file| file.events.push(more)), VerifyError::Transcript);
    let entry = refused(&|file| file.proof.statement.entry.push('x'));
    assert_eq!(entry, VerifyError::Entry("runx".into()));
}

#[test]
fn a_run_that_no_host_answers_so_is_proven_and_refused() {
    // A program that ends between the words of a hostcall: status 9 traps.
    let key = key(HELLO, ParamSet::TEST);
    let witness = run(&key, &Job { words: &[9], ..job("run", 10_000) });
    let proof = prove(&key, &witness).expect("a proof");
    let mut events: Vec<Event> = events().into_iter().take(5).collect();
    events.push(Event { tag: TAG_IN, word: 9 });
    let run = ProvenRun { policy: POLICY.into(), events, proof };
    let refused = run.check(&key, &expected(), &Known::default());
    assert_eq!(refused.unwrap_err(), VerifyError::Words);
}

#[test]
fn every_other_form_is_refused() {
    let key = key(HELLO, ParamSet::TEST);
    let bytes = proven(&key).encode();
    let policy = 12 + POLICY.len();
    let refused = |bytes: &[u8]| ProvenRun::decode(bytes).unwrap_err();
    for end in [0, 7, 11, policy - 1, policy + 3, policy + 8, bytes.len() - 1] {
        assert!(matches!(refused(&bytes[..end]), DecodeError::Short(_)), "cut at {end}");
    }
    assert_eq!(refused(&[&bytes[..], &[0]].concat()), DecodeError::Trailing(1));
    let changed = |position: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[position..position + value.len()].copy_from_slice(value);
        refused(&changed)
    };
    assert_eq!(changed(4, &[2]), DecodeError::Mark);
    let long = DecodeError::Limit { field: "policy", found: 0xffff_ffff, allowed: 1 << 16 };
    assert_eq!(changed(8, &[0xff; 4]), long);
    let long = DecodeError::Limit { field: "events", found: 0xffff_ffff, allowed: 1 << 21 };
    assert_eq!(changed(policy, &[0xff; 4]), long);
    for tag in [0, 3, 255] {
        let range = DecodeError::Range { field: "tag", found: u64::from(tag) };
        assert_eq!(changed(policy + 4, &[tag]), range);
    }
}
