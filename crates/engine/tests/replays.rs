//! A transcript replays on every backend, and a changed one is found out at the right place.

use kapsule_abi::{ErrorCode, Outcome};
use kapsule_engine::{Backend, Difference, Field, ReplayOptions, RunError, disagreement, replay};
use kapsule_format::transcript::Transcript;
use kapsule_format::{Digest, transcript::StateHash};

use crate::support::*;

/// A guest with six hostcalls of every kind: input, host, computed and ignored answers.
fn case() -> Case {
    let body = "(drop (call $input_read (i64.const 0) (i32.const 0) (i32.const 4)))
                (drop (call $get_capsule_metadata (i32.const 0) (i32.const 64) (i32.const 500)))
                (drop (call $hash (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 32)))
                (drop (call $capsule_payload_len (i32.const 1)))
                (call $log (i32.const 2) (i32.const 0) (i32.const 4))
                (call $output_write (i32.const 0) (i32.const 64))";
    Case::body(
        &[
            "input_read",
            "get_capsule_metadata",
            "hash",
            "capsule_payload_len",
            "log",
            "output_write",
        ],
        body,
    )
}

fn transcript() -> Transcript {
    case().run().transcript.expect("evidence was asked for")
}

/// Changes a transcript and checks where every backend finds it different.
fn check(change: impl FnOnce(&mut Lie), entry: Option<u64>, field: Field) -> Difference {
    check_with(None, change, entry, field)
}

fn check_with(
    input: Option<&[u8]>,
    change: impl FnOnce(&mut Lie),
    entry: Option<u64>,
    field: Field,
) -> Difference {
    let transcript = changed(&transcript(), change);
    let differences: Vec<Difference> = Backend::ALL
        .iter()
        .map(|backend| case().replay(*backend, &transcript, input))
        .map(|replay| replay.difference.expect("the transcript was changed"))
        .collect();
    assert!(differences.iter().all(|found| *found == differences[0]), "{differences:?}");
    let found = differences[0].clone();
    assert_eq!((found.entry, found.field), (entry, field), "{found}");
    assert_eq!(found.code(), ErrorCode::ReplayDiverged);
    found
}

#[test]
fn a_changed_entry_is_found_at_its_index() {
    check(|t| t.entries[2].hostcall = 12, Some(2), Field::Hostcall);
    check(|t| t.entries[3].fuel += 1, Some(3), Field::Fuel);
    check(|t| t.entries[1].request[8] ^= 1, Some(1), Field::Request);
    let found = check(|t| t.entries[5].request.truncate(79), Some(5), Field::Request);
    assert_eq!(
        found.to_string(),
        "entry 5: request: recorded the end after 79 bytes, found e7 at byte 79 of 80"
            .replace("e7", &found.found[..2])
    );
}

#[test]
fn a_computed_answer_is_computed_again() {
    check(|t| t.entries[2].response[20] ^= 1, Some(2), Field::Response);
    check(|t| t.entries[2].status = 1, Some(2), Field::Status);
    check(|t| t.entries[4].status = 5, Some(4), Field::Status);
    check(|t| t.entries[5].response[0] = 1, Some(5), Field::Response);
}

#[test]
fn an_answer_that_no_host_gives_is_found() {
    // A paged read that returns another number than it wrote.
    check(|t| t.entries[0].response[0] = 3, Some(0), Field::Response);
    // More bytes than the buffer has.
    let grow = |t: &mut Lie| {
        t.entries[0].response = [&[5, 0, 0, 0, 0, 0, 0, 0].repeat(2)[..], &[0; 5]].concat();
    };
    check(grow, Some(0), Field::Response);
    // An error that the call does not have, an error that is none, an end where there is none.
    let errno = |value: i64| move |t: &mut Lie| t.entries[3].response = value.to_le_bytes().into();
    check(errno(-2), Some(3), Field::Response);
    check(errno(5), Some(3), Field::Response);
    check(|t| t.entries[3].status = 7, Some(3), Field::Status);
    // A negative number as an answer.
    check(|t| t.entries[3].status = 0, Some(3), Field::Response);
    check(|t| t.entries[3].response.clear(), Some(3), Field::Response);
}

#[test]
fn a_believed_answer_shows_where_the_guest_uses_it() {
    // Other input reaches the hash two calls later, where the request differs.
    check(|t| t.entries[0].response[16] ^= 1, Some(2), Field::Request);
    // With the input at hand the read itself differs.
    check_with(Some(INPUT), |t| t.entries[0].response[16] ^= 1, Some(0), Field::Response);
    // Metadata is ignored by this guest and reaches memory only.
    check(|t| t.entries[1].response[40] ^= 1, None, Field::StateHash);
}

#[test]
fn missing_and_surplus_entries_are_found() {
    check(|t| drop(t.entries.pop()), Some(5), Field::Count);
    check(|t| t.entries.push(t.entries[5].clone()), Some(6), Field::Count);
    check(|t| t.entries.swap(0, 1), Some(0), Field::Hostcall);
    check(|t| t.entries.clear(), Some(0), Field::Count);
}

#[test]
fn a_changed_end_is_found() {
    check(|t| t.end.outcome = Outcome::Completed(1), None, Field::Outcome);
    check(|t| t.end.fuel_used -= 1, None, Field::FuelUsed);
    check(|t| t.end.state_hash = StateHash::new(Digest::new([0; 32])), None, Field::StateHash);
    check(|t| t.end.output = Digest::new([0; 32]), None, Field::Output);
    check(|t| t.end.output_bytes += 1, None, Field::Output);
}

#[test]
fn a_changed_header_shows_in_the_run() {
    // The granted fuel is not seen by this guest, the policy's limits are.
    let replay = case().replay(Backend::Wasmi, &transcript(), None);
    assert_eq!(replay.difference, None);
    check(|t| t.header.policy.limits.calls = 4, Some(4), Field::Status);
    check(|t| t.header.fuel = t.end.fuel_used - 1, Some(5), Field::Count).to_string();
}

#[test]
fn rules_that_this_build_does_not_know_are_refused() {
    let changes: [fn(&mut Transcript); 3] = [
        |t| t.header.abi = "kapsule_v2".into(),
        |t| t.header.metering = "fuel-2 stack-1 meter-1".into(),
        |t| t.header.profile = "integer-2".into(),
    ];
    for change in changes {
        let mut transcript = transcript();
        change(&mut transcript);
        let compiled = case().compiled(Backend::Wasmi);
        let error = replay(&compiled, &transcript, ReplayOptions::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::VersionUnsupported);
        assert!(matches!(error, RunError::Refused(_)), "{error}");
    }
}

#[test]
fn a_transcript_that_asks_for_more_than_its_policy_is_refused() {
    let mut transcript = transcript();
    transcript.header.policy.hostcalls.clear();
    let compiled = case().compiled(Backend::Wasmi);
    let error = replay(&compiled, &transcript, ReplayOptions::default()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ImportRefused);
}

#[test]
fn two_runs_that_differ_are_told_apart() {
    let run = case().run();
    let other = |change: fn(&mut Lie)| {
        let mut other = run.clone();
        other.transcript = other.transcript.map(|transcript| changed(&transcript, change));
        disagreement(&run, &other).map(|found| (found.entry, found.field))
    };
    assert_eq!(other(|_| {}), None);
    assert_eq!(other(|t| t.entries[1].fuel += 1), Some((Some(1), Field::Fuel)));
    assert_eq!(other(|t| t.entries[1].response[0] ^= 1), Some((Some(1), Field::Response)));
    assert_eq!(other(|t| drop(t.entries.pop())), Some((Some(5), Field::Count)));
    let mut longer = run.clone();
    longer.usage.fuel += 1;
    let found = disagreement(&run, &longer).map(|found| found.field);
    assert_eq!(found, Some(Field::FuelUsed));
}
