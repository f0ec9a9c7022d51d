//! Every limit and rule that ends a run.

use kapsule_abi::{Limit, Outcome, Rule, Trap};
use kapsule_engine::{HostError, JobOptions, RunError};
use kapsule_format::policy::Limits;

use crate::support::*;

const TRAP_9: Outcome = Outcome::Trapped(Trap::HostContractViolated);

#[test]
fn a_buffer_outside_memory_is_trap_9_and_leaves_no_record() {
    let calls = [
        ("output_write", "(call $output_write (i32.const 65533) (i32.const 4))"),
        ("output_write", "(call $output_write (i32.const -1) (i32.const 1))"),
        ("output_write", "(call $output_write (i32.const -1) (i32.const 1048576))"),
        ("input_read", "(call $input_read (i64.const 0) (i32.const 65533) (i32.const 4))"),
        ("input_read", "(call $input_read (i64.const 99) (i32.const 65536) (i32.const 1))"),
        ("hash", "(call $hash (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 65505))"),
        ("hash", "(call $hash (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 65505))"),
        ("log", "(call $log (i32.const 2) (i32.const 65536) (i32.const 1)) (i32.const 0)"),
        ("random", "(call $random (i32.const 65536) (i32.const 1)) (i32.const 0)"),
    ];
    for (name, body) in calls {
        let run = check(&[name], body, TRAP_9, b"");
        assert_eq!(entries(&run), []);
        assert!(run.usage.hostcalls.is_empty());
    }
}

#[test]
fn a_buffer_may_end_where_memory_ends() {
    let body = "(drop (call $hash (i32.const 1) (i32.const 65535) (i32.const 1) (i32.const 65504)))
                (call $output_write (i32.const 65533) (i32.const 3))";
    let run = Case::body(&["hash", "output_write"], body).run();
    assert_eq!(run.outcome, Outcome::Completed(0));
    assert_eq!(run.output.len(), 3);
}

/// Returns a module with 32 pages that makes one call.
fn large(name: &str, body: &str) -> Case {
    let import = import(name);
    let mut case = Case::fields(&format!(
        "{import} (memory (export \"memory\") 64) (func (export \"run\") (result i32) {body})"
    ));
    case.policy.limits = Limits {
        memory_bytes: 64 * PAGE,
        output_bytes: 1 << 30,
        log_bytes: 1 << 24,
        ..case.policy.limits
    };
    case.memory_bytes = 64 * PAGE;
    case
}

#[test]
fn buffers_above_the_limit_are_denied() {
    let over = (1 << 20) + 1;
    let half = (1 << 19) + 1;
    let denied = [
        ("output_write", format!("(call $output_write (i32.const 0) (i32.const {over}))"), 16),
        (
            "input_read",
            format!("(call $input_read (i64.const 0) (i32.const 0) (i32.const {over}))"),
            24,
        ),
        ("random", format!("(call $random (i32.const 0) (i32.const {over})) (i32.const 0)"), 16),
        (
            "signature_verify",
            format!(
                "(call $signature_verify (i32.const 1) (i32.const 0) (i32.const 32)
                 (i32.const 0) (i32.const {half}) (i32.const 0) (i32.const {half}))"
            ),
            56,
        ),
    ];
    for (name, body, arguments) in denied {
        let run = large(name, &body).run();
        assert_eq!(run.outcome, Outcome::Denied(Rule::Argument), "{name}");
        let [entry] = entries(&run)[..] else { panic!("{name}") };
        assert_eq!((entry.status, entry.response.len()), (7, 0), "{name}");
        assert_eq!(entry.request.len(), arguments, "{name}");
    }
}

#[test]
fn a_buffer_of_exactly_the_limit_is_taken() {
    let whole = 1 << 20;
    let run =
        large("output_write", &format!("(call $output_write (i32.const 0) (i32.const {whole}))"))
            .run();
    assert_eq!((run.outcome, run.output.len()), (Outcome::Completed(0), whole));
    let run = large(
        "input_read",
        &format!("(call $input_read (i64.const 0) (i32.const 0) (i32.const {whole}))"),
    )
    .run();
    assert_eq!(run.outcome, Outcome::Completed(10));
}

#[test]
fn output_above_the_limit_ends_the_run() {
    let body = "(drop (call $output_write (i32.const 1024) (i32.const 3)))
                (call $output_write (i32.const 1024) (i32.const 3))";
    let mut case = Case::with_data(&["output_write"], b"abc", body);
    case.policy.limits.output_bytes = 5;
    let run = case.run();
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Output));
    assert_eq!((run.output.as_slice(), statuses(&run)), (&b"abc"[..], vec![0, 4]));
    assert!(entries(&run)[1].response.is_empty());
    case.policy.limits.output_bytes = 6;
    assert_eq!(case.run().outcome, Outcome::Completed(0));
}

#[test]
fn log_above_the_limit_ends_the_run() {
    let body = "(call $log (i32.const 2) (i32.const 1024) (i32.const 3))
                (call $log (i32.const 2) (i32.const 1024) (i32.const 3)) (i32.const 0)";
    let mut case = Case::with_data(&["log"], b"abc", body);
    case.policy.limits.log_bytes = 5;
    let run = case.run();
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Log));
    assert_eq!((run.logs.len(), run.usage.log_bytes, statuses(&run)), (1, 3, vec![0, 5]));
    case.policy.limits.log_bytes = 6;
    assert_eq!(case.run().outcome, Outcome::Completed(0));
}

#[test]
fn an_unknown_log_level_is_denied_before_the_log_limit() {
    for level in [5, -1] {
        let body =
            format!("(call $log (i32.const {level}) (i32.const 0) (i32.const 100)) (i32.const 0)");
        let mut case = Case::body(&["log"], &body);
        case.policy.limits.log_bytes = 0;
        let run = case.run();
        assert_eq!(run.outcome, Outcome::Denied(Rule::Argument));
        assert_eq!(statuses(&run), [7]);
        assert_eq!(entries(&run)[0].request.len(), 24 + 100);
    }
}

#[test]
fn a_hostcall_flood_ends_at_the_limit() {
    let body = "(loop (drop (call $input_len)) (br 0)) (i32.const 0)";
    let mut case = Case::body(&["input_len"], body);
    case.policy.limits.calls = 3;
    let run = case.run();
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Calls));
    assert_eq!(statuses(&run), [0, 0, 0, 6]);
    assert_eq!(run.usage.hostcalls, [(1, 4)].into());
}

#[test]
fn bounds_come_before_the_number_of_calls_and_that_before_lengths() {
    let mut case =
        Case::body(&["output_write"], "(call $output_write (i32.const 0) (i32.const 65537))");
    case.policy.limits.calls = 0;
    assert_eq!(case.run().outcome, TRAP_9);
    let mut case = large("output_write", "(call $output_write (i32.const 0) (i32.const 1048577))");
    case.policy.limits.calls = 0;
    assert_eq!(case.run().outcome, Outcome::LimitReached(Limit::Calls));
}

#[test]
fn a_call_that_cannot_be_paid_does_not_reach_the_host() {
    let mut case =
        Case::body(&["output_write"], "(call $output_write (i32.const 0) (i32.const 4096))");
    let whole = case.run().usage.fuel;
    case.fuel = whole - 1;
    let run = case.run();
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!((run.usage.fuel, entries(&run).len()), (whole - 1, 0));
}

#[test]
fn a_transcript_beyond_the_host_s_bound_is_the_host_s_trouble() {
    let body = "(drop (call $output_write (i32.const 0) (i32.const 100)))
                (call $output_write (i32.const 0) (i32.const 100))";
    let mut case = Case::body(&["output_write"], body);
    let needed = 2 * (16 + 100 + 8);
    case.options = JobOptions { transcript_bytes_max: needed, ..JobOptions::default() };
    assert_eq!(case.run().outcome, Outcome::Completed(0));
    case.options.transcript_bytes_max = needed - 1;
    let expect = HostError::TranscriptBytes { allowed: needed - 1 };
    assert_eq!(case.refusal(), RunError::Host(expect));
}

#[test]
fn a_memory_bomb_stops_growing_at_the_grant() {
    let body = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
                (memory.size)";
    let case = Case::body(&[], body);
    let run = case.run();
    assert_eq!(run.outcome, Outcome::Completed(4));
    assert_eq!(run.usage.memory_bytes_peak, 4 * PAGE);
    let odd = Case { memory_bytes: 3 * PAGE - 1, ..case };
    assert_eq!(odd.run().outcome, Outcome::Completed(2));
}

#[test]
fn a_declared_maximum_below_the_grant_is_in_force() {
    let case = Case::fields(
        "(memory (export \"memory\") 1 2)
         (func (export \"run\") (result i32)
            (drop (memory.grow (i32.const 1))) (memory.grow (i32.const 1)))",
    );
    assert_eq!(case.run().outcome, Outcome::Completed(u32::MAX));
}

#[test]
fn without_evidence_there_is_neither_hash_nor_transcript() {
    let mut case = Case::body(&["input_len"], "(i32.wrap_i64 (call $input_len))");
    case.options.evidence = false;
    for backend in kapsule_engine::Backend::ALL {
        let run = case.run_on(*backend, &mut host()).unwrap();
        assert_eq!((run.outcome, run.state_hash), (Outcome::Completed(10), None));
        assert_eq!(run.transcript, None);
        assert_eq!(run.usage.hostcalls, [(1, 1)].into());
    }
}
