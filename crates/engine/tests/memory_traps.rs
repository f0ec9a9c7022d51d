//! The fuel of runs that end by a trap, where compiled code writes the counter less often than the
//! interpreter's: it has to be the same number whatever trapped, and whatever came before.

use kapsule_abi::{Outcome, Trap};
use kapsule_engine::{Backend, Pool};

use crate::support::*;

/// Functions for what follows: some are paid by their callers, some pass their counters through
/// globals, since they have two results.
const FUNCTIONS: &str = r#"
    (import "kapsule_v1" "now" (func $now (result i64)))
    (memory (export "memory") 1)
    (table 2 funcref) (elem (i32.const 0) $load)
    (type $to_i32 (func (param i32) (result i32)))
    (type $none (func))
    (func $load (param i32) (result i32) (i32.load (local.get 0)))
    (func $divide (param i32) (result i32) (i32.div_u (i32.load (i32.const 8)) (local.get 0)))
    (func $stop (param i32) (result i32) (if (i32.eqz (local.get 0)) (then unreachable))
      (i32.load (local.get 0)))
    (func $pair (param i32) (result i32 i32)
      (i32.load (local.get 0)) (i32.div_u (i32.const 7) (local.get 0)))
    (func $sum (param i32) (result i32) (call $pair (local.get 0)) (i32.add))
    (func $walk (param i32) (result i32)
      (loop $up
        (i32.store8 (local.get 0) (i32.const 1))
        (br_if $up (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 31)))
                             (i32.const 70000))))
      (local.get 0))
"#;

/// What the entry does before it traps: loads and stores whose writes of the counter are left
/// out, and writes that are needed all the same.
const BEFORE: [&str; 7] = [
    "",
    "(i32.store (i32.const 8) (i32.const 9))",
    "(drop (call $load (i32.const 16)))",
    "(i32.store (i32.const 8) (i32.const 9)) (drop (call $divide (i32.const 3)))",
    "(i32.store (i32.const 8) (i32.const 9)) (drop (call $sum (i32.const 4)))",
    "(i32.store (i32.const 8) (i32.const 9)) (drop (call $now)) (drop (call $stop (i32.const 4)))",
    "(if (i32.load (i32.const 4)) (then (i32.store (i32.const 8) (i32.const 9)))
       (else (drop (i32.rem_u (i32.const 7) (i32.const 3)))))",
];

/// How it ends.
const ENDS: [(&str, Trap); 12] = [
    ("(i32.load (i32.const 65533))", Trap::MemoryOutOfBounds),
    ("(call $load (i32.const -1))", Trap::MemoryOutOfBounds),
    ("(call $stop (i32.const -1))", Trap::MemoryOutOfBounds),
    ("(call $sum (i32.const 65536))", Trap::MemoryOutOfBounds),
    ("(call $walk (i32.const 0))", Trap::MemoryOutOfBounds),
    ("(call_indirect (type $to_i32) (i32.const -1) (i32.const 0))", Trap::MemoryOutOfBounds),
    ("(call $divide (i32.const 0))", Trap::DivisionByZero),
    ("(call $sum (i32.const 0))", Trap::DivisionByZero),
    ("(call $stop (i32.const 0))", Trap::Unreachable),
    ("(i32.load (i32.const 12)) (unreachable)", Trap::Unreachable),
    ("(call_indirect (type $to_i32) (i32.const 4) (i32.const 1))", Trap::UninitialisedElement),
    ("(call_indirect (type $none) (i32.const 0)) (i32.const 0)", Trap::IndirectCallTypeMismatch),
];

fn cases() -> impl Iterator<Item = (Case, Trap)> {
    BEFORE.iter().flat_map(|before| {
        ENDS.iter().map(move |(end, trap)| {
            let run = format!("(func (export \"run\") (result i32) {before} {end})");
            (Case::fields(&format!("{FUNCTIONS} {run}")), *trap)
        })
    })
}

#[test]
fn a_trapped_run_used_the_same_fuel_on_every_backend() {
    for (case, trap) in cases() {
        let run = case.run();
        assert_eq!(run.outcome, Outcome::Trapped(trap), "{}", case.wat);
        // With less it ends out of fuel, and with just that much it traps as it did.
        let enough = Case { fuel: run.usage.fuel, ..case.clone() }.run();
        assert_eq!((enough.outcome, enough.usage), (run.outcome, run.usage), "{}", case.wat);
    }
}

#[test]
fn a_trapped_run_without_evidence_or_in_a_pool_used_the_same_fuel() {
    for (case, _) in cases() {
        let expected = case.run_on(Backend::Wasmi, &mut host()).unwrap();
        let mut plain = case.clone();
        plain.options.evidence = false;
        let mut pool = Pool::new(case.compiled(Backend::Jit), 1);
        for job in [case.job(), plain.job(), case.job()] {
            let found = pool.run(&job, &mut host()).unwrap();
            assert_eq!((found.outcome, found.usage), (expected.outcome, expected.usage.clone()));
        }
        assert_eq!(pool.idle(), 1);
    }
}
