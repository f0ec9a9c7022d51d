//! Guests that ask for more than they may have.

use kapsule_abi::{ErrorCode, Limit, Outcome, Rule, Trap};
use kapsule_engine::{Backend, RunError, compile};

use super::{metered_wat, policy, run_both, run_on};

/// A module that makes one hostcall without end.
fn flood(import: &str, call: &str) -> String {
    format!(
        r#"(import "kapsule_v1" {import})
        (memory (export "memory") 1)
        (func (export "run") (result i32) (loop $again {call} (br $again)) i32.const 0)"#
    )
}

#[test]
fn an_endless_loop_uses_up_the_fuel_and_no_more() {
    let metered = metered_wat(
        r#"(memory (export "memory") 1)
        (func (export "run") (result i32) (loop $again (br $again)) i32.const 0)"#,
    );
    let run = run_both(&metered, &policy(|limits| limits.fuel = 10_000_000));
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert_eq!(run.usage.fuel, 10_000_000);
}

#[test]
fn floods_of_hostcalls_output_and_log_end_at_their_limits() {
    let output = r#""output_write" (func $f (param i32 i32) (result i32))"#;
    let log = r#""log" (func $f (param i32 i32 i32))"#;
    let length = r#""input_len" (func $f (result i64))"#;
    let cases = [
        (length, "(drop (call $f))", Limit::Calls),
        (output, "(drop (call $f (i32.const 0) (i32.const 1000)))", Limit::Output),
        (log, "(call $f (i32.const 2) (i32.const 0) (i32.const 1000))", Limit::Log),
        (output, "(drop (call $f (i32.const 0) (i32.const 0)))", Limit::Calls),
    ];
    for (import, call, limit) in cases {
        let limits = policy(|limits| {
            limits.calls = 1_000;
            limits.output_bytes = 9_999;
            limits.log_bytes = 9_999;
        });
        let run = run_both(&metered_wat(&flood(import, call)), &limits);
        assert_eq!(run.outcome, Outcome::LimitReached(limit), "{call}");
        assert!(run.output.len() <= 9_999 && run.usage.log_bytes <= 9_999, "{call}");
        assert!(run.usage.hostcalls.values().sum::<u64>() <= 1_001, "{call}");
    }
}

#[test]
fn pointers_outside_memory_end_the_run_and_write_nothing() {
    let import = r#"(import "kapsule_v1" "input_read" (func $f (param i64 i32 i32) (result i32)))
        (memory (export "memory") 1)"#;
    // Pointer, length, outcome.
    let cases = [
        ("65536", "1", Outcome::Trapped(Trap::HostContractViolated)),
        ("65535", "2", Outcome::Trapped(Trap::HostContractViolated)),
        ("-1", "1", Outcome::Trapped(Trap::HostContractViolated)),
        ("-1", "-1", Outcome::Trapped(Trap::HostContractViolated)),
        ("0", "-1", Outcome::Trapped(Trap::HostContractViolated)),
        ("65535", "1", Outcome::Completed(1)),
        ("-1", "0", Outcome::Completed(0)),
    ];
    for (pointer, length, outcome) in cases {
        let entry = format!(
            r#"{import} (func (export "run") (result i32)
                (call $f (i64.const 0) (i32.const {pointer}) (i32.const {length})))"#
        );
        let run = run_both(&metered_wat(&entry), &policy(|limits| limits.fuel = 1 << 40));
        assert_eq!(run.outcome, outcome, "pointer {pointer}, length {length}");
    }
}

#[test]
fn a_buffer_above_the_limit_is_denied_inside_a_large_memory() {
    let metered = metered_wat(
        r#"(import "kapsule_v1" "output_write" (func $f (param i32 i32) (result i32)))
        (memory (export "memory") 17)
        (func (export "run") (result i32) (call $f (i32.const 0) (i32.const 0x100001)))"#,
    );
    let run = run_both(&metered, &policy(|_| ()));
    assert_eq!(run.outcome, Outcome::Denied(Rule::Argument));
    assert!(run.output.is_empty());
}

#[test]
fn a_memory_bomb_is_refused_or_ends_at_the_grant() {
    let bomb = metered_wat(
        r#"(memory (export "memory") 1024) (func (export "run") (result i32) i32.const 0)"#,
    );
    let small = policy(|limits| limits.memory_bytes = 1 << 20);
    for backend in Backend::ALL {
        let error = run_on(&compile(&bomb, *backend).unwrap(), &small).unwrap_err();
        assert!(matches!(&error, RunError::Refused(_)), "{error}");
        assert_eq!(error.code(), ErrorCode::ResourcesExceedPolicy);
    }
    // Grows page by page until that fails; returns the pages it got.
    let grower = metered_wat(
        r#"(memory (export "memory") 1)
        (func (export "run") (result i32)
            (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            memory.size)"#,
    );
    let run = run_both(&grower, &small);
    assert_eq!(run.outcome, Outcome::Completed(16));
    assert_eq!(run.usage.memory_bytes_peak, 1 << 20);
    // Growing costs 8,192 fuel a page, so fuel bounds memory as well.
    let poor = policy(|limits| limits.fuel = 50_000);
    let run = run_both(&grower, &poor);
    assert_eq!(run.outcome, Outcome::LimitReached(Limit::Fuel));
    assert!(run.usage.memory_bytes_peak <= 7 * 65_536);
}

#[test]
fn floods_of_changes_end_at_their_limits_and_budgets() {
    let set = r#""kv_set" (func $f (param i32 i32 i32 i32) (result i32))"#;
    let propose = r#""propose" (func $f (param i32 i32) (result i32))"#;
    let write = r#""fs_write" (func $f (param i32 i32 i32 i32) (result i32))"#;
    let data = r#"(data (i32.const 16) "\a3\00\02\01\05\02\62hi/w/b")"#;
    // Another key each time.
    let count = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))";
    let set_next = format!(
        "{count} (drop (call $f (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 1000)))"
    );
    let propose_one = "(drop (call $f (i32.const 16) (i32.const 9)))";
    let write_one = "(drop (call $f (i32.const 25) (i32.const 4) (i32.const 0) (i32.const 1000)))";
    for (import, call, limit) in [
        (set, set_next.as_str(), Limit::Storage),
        (propose, propose_one, Limit::Calls),
        (write, write_one, Limit::Calls),
    ] {
        let mut granted = policy(|limits| {
            limits.calls = 1_000;
            limits.storage_bytes = 9_999;
        });
        granted.hostcalls = ["fs_write", "kv_set", "propose"].map(String::from).into();
        granted.filesystem.write_allowed = vec!["/w/".into()];
        let run = run_both(&metered_wat(&format!("{} {data}", flood(import, call))), &granted);
        assert_eq!(run.outcome, Outcome::LimitReached(limit), "{call}");
        let stored =
            run.effects.storage.values().map(std::collections::BTreeMap::len).sum::<usize>();
        assert!(stored <= 9, "{stored} keys of 1,004 bytes in 9,999");
        assert!(run.effects.files.len() <= 1, "one file is written over and over");
        // The host's budget is 30, and each costs 5.
        assert_eq!(run.effects.proposals.len(), if import == propose { 6 } else { 0 });
    }
}
