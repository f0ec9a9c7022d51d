//! Deep recursion: the injected stack limit is reached before any native stack ends.

use std::fmt::Write as _;
use std::io::Write as _;

use kapsule_abi::{Outcome, Trap};
use kapsule_meter::tables::stack_1::HEIGHT_MAX;

use super::{metered_wat, policy, run_alone, run_both, run_where_the_jit_may_give_up};

const EXHAUSTED: Outcome = Outcome::Trapped(Trap::StackExhausted);

fn with_entry(functions: &str, call: &str) -> String {
    format!(
        r#"(memory (export "memory") 1) {functions}
        (func (export "run") (result i32) {call} i32.const 0)"#
    )
}

#[test]
fn frames_of_every_weight_reach_the_limit_on_both_backends() {
    for locals in [0_u32, 1, 2, 7, 40, 500, 9_999] {
        let function = format!(
            "(func $f {} (call $f))",
            (0..locals).fold(String::new(), |text, _| text + "(local i64)")
        );
        let metered = metered_wat(&with_entry(&function, "(call $f)"));
        let weight = metered.plan().functions[0].weight;
        assert_eq!(weight, 1 + locals, "locals make the weight");
        let run = run_both(&metered, &policy(|_| ()));
        assert_eq!(run.outcome, EXHAUSTED, "{locals} locals");
        // Each frame pays for its call, so the fuel tells how deep the recursion went.
        let depth = u64::from(HEIGHT_MAX / weight);
        let fuel = run.usage.fuel;
        assert!(fuel >= 3 * (depth - 2) && fuel <= 3 * (depth + 3), "{locals} locals: {fuel}");
    }
}

#[test]
fn locals_that_live_across_the_call_reach_the_limit_on_both_backends() {
    for count in [1_u32, 8, 64, 1_000] {
        let mut body = String::new();
        for local in 0..count {
            write!(body, "(local $l{local} i64)").unwrap();
        }
        for local in 0..count {
            write!(body, "(local.set $l{local} (i64.load offset={} (i32.const 0)))", local * 8)
                .unwrap();
        }
        body += "(call $f)";
        for local in 0..count {
            write!(body, "(i64.store offset={} (i32.const 0) (local.get $l{local}))", local * 8)
                .unwrap();
        }
        let metered = metered_wat(&with_entry(&format!("(func $f {body})"), "(call $f)"));
        let run = run_both(&metered, &policy(|_| ()));
        assert_eq!(run.outcome, EXHAUSTED, "{count} live locals");
    }
}

#[test]
fn operands_and_parameters_that_live_across_the_call_reach_the_limit() {
    for count in [1_usize, 30, 300] {
        let params = " i64".repeat(count);
        let gets: String = (0..count).map(|index| format!("(local.get {index})")).collect();
        let function = format!(
            "(func $f (param{params}) (result{params})
                {gets} (call $f {gets}) {} )",
            "drop ".repeat(count)
        );
        let zeros = "(i64.const 7)".repeat(count);
        let drops = "drop ".repeat(count);
        let call = format!("(call $f {zeros}) {drops}");
        let metered = metered_wat(&with_entry(&function, &call));
        let run = run_both(&metered, &policy(|_| ()));
        assert_eq!(run.outcome, EXHAUSTED, "{count} parameters");
    }
}

#[test]
fn indirect_and_mutual_recursion_reach_the_limit() {
    let functions = "(table 2 funcref) (elem (i32.const 0) $f $g) (type $t (func (param i32)))
        (func $f (param i32) (call_indirect (type $t) (local.get 0) (i32.const 1)))
        (func $g (param i32) (call $f (i32.add (local.get 0) (i32.const 1))))";
    let metered = metered_wat(&with_entry(functions, "(call $f (i32.const 0))"));
    assert_eq!(run_both(&metered, &policy(|_| ())).outcome, EXHAUSTED);
}

#[test]
fn recursion_from_a_start_function_reaches_the_limit() {
    let metered = metered_wat(&with_entry("(func $f (call $f)) (start $f)", ""));
    assert_eq!(run_both(&metered, &policy(|_| ())).outcome, EXHAUSTED);
}

#[test]
fn many_constants_in_a_light_frame_reach_the_limit() {
    let mut body = String::new();
    for index in 0..2_000_u64 {
        let constant = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        write!(body, "(i64.store (i32.const 8) (i64.xor (local.get 0) (i64.const {constant})))")
            .unwrap();
    }
    let function = format!("(func $f (param i64) {body} (call $f (local.get 0)) {body})");
    let metered = metered_wat(&with_entry(&function, "(call $f (i64.const 1))"));
    let weight = metered.plan().functions[0].weight;
    assert!(weight < 8, "the frame is light: {weight}");
    let run = run_both(&metered, &policy(|_| ()));
    assert_eq!(run.outcome, EXHAUSTED);
}

/// An optimiser may keep every product that is used before and after the call in a slot of its
/// own, which no weight of operands and locals sees.
#[test]
fn common_expressions_around_the_call_never_change_the_outcome() {
    let cases = [("mul", 100_u64), ("mul", 4_000), ("rotl", 1_000), ("xor", 1_000)];
    for (operator, count) in cases {
        let mut body = String::new();
        for index in 0..count {
            let constant = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let value = format!("(i64.{operator} (local.get 0) (i64.const {constant}))");
            write!(body, "(i64.store (i32.const 8) (i64.popcnt {value}))").unwrap();
        }
        let function = format!("(func $f (param i64) {body} (call $f (local.get 0)) {body})");
        let metered = metered_wat(&with_entry(&function, "(call $f (i64.const 3))"));
        let policy = policy(|limits| limits.fuel = 1 << 32);
        let (run, gave_up) = run_where_the_jit_may_give_up(&metered, &policy);
        writeln!(std::io::stderr(), "{count} common {operator}: the jit gave up: {gave_up}")
            .unwrap();
        assert_eq!(run.outcome, EXHAUSTED, "{count} {operator}");
        // Whoever leaves the choice of the backend to the engine never sees that.
        let alone = run_alone(&metered, &policy);
        assert_eq!((alone.outcome, alone.usage), (run.outcome, run.usage), "{count} {operator}");
    }
}
