//! A module that is run often moves to the JIT, and no result tells when.

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, Compiled, Tiered, disagreement, run_auto_with, run_hot};

use crate::support::*;

/// A loop of 12 fuel a turn, as often as the input is long, then a hostcall.
fn case(turns: u32) -> Case {
    let mut case = Case::body(
        &["now"],
        &format!(
            "(local $i i32)
             (loop $l (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get $i)))
               (br_if $l (i32.lt_u
                 (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {turns}))))
             (drop (call $now)) (i32.const 0)"
        ),
    );
    case.policy.limits.fuel = 1_000_000_000;
    case.fuel = case.policy.limits.fuel;
    case
}

#[test]
fn a_module_moves_to_the_jit_and_reports_the_same() {
    let case = case(1_500_000);
    let mut tiered = Tiered::new(case.metered()).unwrap();
    let (backend, first) = tiered.run(&case.job(), &mut host()).unwrap();
    assert_eq!((backend, first.outcome), (Backend::Wasmi, Outcome::Completed(0)));
    let mut runs = 1;
    while tiered.compiled().is_none() {
        // Runs go on while the thread compiles; the last one before it is done may be any.
        let (_, run) = tiered.run(&case.job(), &mut host()).unwrap();
        assert_eq!(disagreement(&first, &run), None);
        runs += 1;
        if runs * first.usage.fuel > kapsule_engine::JIT_FUEL_MIN {
            tiered.wait();
        }
    }
    let (backend, run) = tiered.run(&case.job(), &mut host()).unwrap();
    assert_eq!((backend, disagreement(&first, &run)), (Backend::Jit, None));
    assert_eq!(tiered.compiled().map(Compiled::backend), Some(Backend::Jit));
}

#[test]
fn a_short_life_compiles_nothing() {
    let case = case(10);
    let mut tiered = Tiered::new(case.metered()).unwrap();
    for _ in 0..3 {
        assert_eq!(tiered.run(&case.job(), &mut host()).unwrap().0, Backend::Wasmi);
    }
    tiered.wait();
    assert!(tiered.compiled().is_none());
}

#[test]
fn code_that_is_ready_is_used_at_once() {
    let case = case(10);
    let compiled = case.compiled(Backend::Jit);
    let module = || panic!("the code was ready");
    let (backend, found) = run_hot(&compiled, &case.job(), &mut host(), module).unwrap();
    let expected = case.run_on(Backend::Wasmi, &mut host()).unwrap();
    assert_eq!((backend, disagreement(&expected, &found)), (Backend::Jit, None));

    let mut tiered = Tiered::new(case.metered()).unwrap();
    tiered.heat(compiled);
    let (backend, found) = tiered.run(&case.job(), &mut host()).unwrap();
    assert_eq!((backend, disagreement(&expected, &found)), (Backend::Jit, None));
}

#[test]
fn a_long_run_asks_for_code_once() {
    let case = case(12_000_000);
    let mut asked = 0;
    let mut compile = |module: &_, backend| {
        asked += 1;
        kapsule_engine::compile(module, backend)
    };
    let (backend, run) =
        run_auto_with(&case.metered(), &case.job(), &mut host(), &mut compile).unwrap();
    assert_eq!((backend, run.outcome, asked), (Backend::Jit, Outcome::Completed(0), 1));
}
