//! Where runs stop: fuel, stack, traps, start functions, floats.

use kapsule_abi::{Limit, Outcome, Trap};
use kapsule_engine::{Backend, HostError, JIT_FUEL_MIN, RunError, disagreement, run_auto};
use kapsule_format::transcript::StateHash;
use kapsule_meter::Profile;

use crate::support::*;

const OUT_OF_FUEL: Outcome = Outcome::LimitReached(Limit::Fuel);

/// A program with a loop, calls, memory growth, bulk operations, globals and hostcalls.
fn program() -> Case {
    let imports = [import("input_len"), import("output_write"), import("random")].concat();
    Case::fields(&format!(
        "{imports} (memory (export \"memory\") 1)
         (global $sum (mut i64) (i64.const 7))
         (table 2 funcref) (elem (i32.const 0) $add)
         (type $binary (func (param i32 i32) (result i32)))
         (func $add (type $binary) (i32.add (local.get 0) (local.get 1)))
         (func (export \"run\") (result i32) (local $i i32)
            (loop
                (local.set $i (call_indirect (type $binary) (local.get $i) (i32.const 1)
                    (i32.const 0)))
                (i32.store8 (local.get $i) (local.get $i))
                (global.set $sum (i64.add (global.get $sum) (call $input_len)))
                (br_if 0 (i32.lt_u (local.get $i) (i32.const 3))))
            (drop (memory.grow (i32.const 1)))
            (memory.fill (i32.const 65536) (i32.const 1) (i32.const 100))
            (memory.copy (i32.const 64) (i32.const 65540) (i32.const 33))
            (call $random (i32.const 128) (i32.const 9))
            (drop (call $output_write (i32.const 0) (i32.const 140)))
            (i32.wrap_i64 (global.get $sum)))"
    ))
}

#[test]
fn every_fuel_limit_stops_both_backends_at_the_same_point() {
    let case = program();
    let whole = case.run();
    assert_eq!(whole.outcome, Outcome::Completed(37));
    let total = whole.usage.fuel;
    assert!((8_192..20_000).contains(&total), "{total}");
    let compiled: Vec<_> = Backend::ALL.iter().map(|backend| case.compiled(*backend)).collect();
    let mut states = std::collections::BTreeSet::new();
    // Growth costs 8,192 at once, within which every limit stops at the same place.
    let limits = (0..=total).filter(|fuel| *fuel < 200 || *fuel + 300 > total);
    for fuel in limits {
        let case = Case { fuel, ..case.clone() };
        let runs: Vec<_> = compiled
            .iter()
            .map(|compiled| kapsule_engine::run(compiled, &case.job(), &mut host()).unwrap())
            .collect();
        assert_eq!(disagreement(&runs[0], &runs[1]), None, "{fuel}");
        assert_eq!(runs[0].output, runs[1].output, "{fuel}");
        let expect = if fuel == total { whole.outcome } else { OUT_OF_FUEL };
        assert_eq!((runs[0].outcome, runs[0].usage.fuel), (expect, fuel));
        states.insert(runs[0].state_hash.map(|hash| hash.to_string()));
    }
    assert!(states.len() > 6, "the limits stop at {} different states", states.len());
}

#[test]
fn an_infinite_loop_uses_all_fuel() {
    let mut case = Case::body(&[], "(loop (br 0)) (i32.const 0)");
    case.fuel = 1_000_001;
    let run = case.run();
    assert_eq!((run.outcome, run.usage.fuel), (OUT_OF_FUEL, 1_000_001));
}

#[test]
fn deep_recursion_exhausts_the_counted_stack_on_every_backend() {
    let locals = "(local i64 i64 i64 i64 i64 i64 i64 i64)";
    let many: String = (0..200).map(|_| "(local i64)").collect();
    let bodies = [
        "(func $f (call $f))".to_string(),
        format!("(func $f {locals} (call $f))"),
        format!("(func $f {many} (call $f))"),
        "(func $f (param i32 i64 i32) (call $f (local.get 0) (local.get 1) (local.get 2))
            (drop (i64.mul (local.get 1) (i64.extend_i32_u (i32.add (local.get 0)
            (local.get 2))))))"
            .to_string(),
        spilling(),
    ];
    for body in bodies {
        let call = if body.contains("(param") {
            "(call $f (i32.const 1) (i64.const 2) (i32.const 3))"
        } else {
            "(call $f)"
        };
        let case = Case::fields(&format!(
            "(memory (export \"memory\") 1) {body}
             (func (export \"run\") (result i32) {call} (i32.const 0))"
        ));
        let run = case.run();
        assert_eq!(run.outcome, Outcome::Trapped(Trap::StackExhausted), "{body}");
    }
}

/// Returns a recursion that keeps many values alive across its call.
fn spilling() -> String {
    let loads: String = (0..60).map(|at| format!("(i64.load (i32.const {}))", 8 * at)).collect();
    let adds = "(i64.add)".repeat(59);
    format!("(func $f {loads} (call $f) {adds} drop)")
}

/// A compiler keeps terms that are needed again after a call in its native frame, of which the
/// counted weight knows nothing.
#[test]
fn a_run_that_outgrows_the_native_stack_of_the_jit_ends_on_the_interpreter() {
    let terms: String = (0..400)
        .map(|k| {
            format!(
                "(local.set $a (i64.xor (local.get $a)
                    (i64.mul (local.get $x) (i64.const {}))))",
                7_919 * k + 3
            )
        })
        .collect();
    let mut case = Case::fields(&format!(
        "(memory (export \"memory\") 1)
         (func $f (param $x i64) (local $a i64)
            {terms} (call $f (i64.add (local.get $x) (local.get $a))) {terms}
            (i64.store (i32.const 0) (local.get $a)))
         (func (export \"run\") (result i32) (call $f (i64.const 1)) (i32.const 0))"
    ));
    case.policy.limits.fuel = JIT_FUEL_MIN;
    case.fuel = JIT_FUEL_MIN;
    let exhausted = Outcome::Trapped(Trap::StackExhausted);
    let run = case.run_on(Backend::Wasmi, &mut host()).expect("the host is not short");
    assert_eq!(run.outcome, exhausted);
    let jit = Backend::from_name("jit").expect("built");
    let error = case.run_on(jit, &mut host()).map(|run| run.outcome);
    assert_eq!(error, Err(RunError::Host(HostError::NativeStack(jit))));
    let (backend, again) = run_auto(&case.metered(), &case.job(), &mut host()).expect("a run");
    assert_eq!((backend, disagreement(&run, &again)), (Backend::Wasmi, None));
}

#[test]
fn recursion_below_the_limit_returns() {
    // Weight 4: one, a parameter, and two operands.
    let case = Case::fields(
        "(memory (export \"memory\") 1)
         (func $f (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (call $f (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (i32.const 0))))
         (func (export \"run\") (result i32) (call $f (i32.const 30000)))",
    );
    assert_eq!(case.run().outcome, Outcome::Completed(30_000));
}

#[test]
fn traps_have_the_same_code_on_every_backend() {
    let table = "(table 3 funcref) (elem (i32.const 0) $none)
                 (type $binary (func (param i32 i32) (result i32)))
                 (func $none)";
    let cases = [
        (Trap::Unreachable, "unreachable"),
        (Trap::DivisionByZero, "(i32.div_s (i32.const 1) (i32.const 0))"),
        (Trap::DivisionByZero, "(i32.wrap_i64 (i64.rem_u (i64.const 1) (i64.const 0)))"),
        (Trap::IntegerOverflow, "(i32.div_s (i32.const 0x80000000) (i32.const -1))"),
        (Trap::MemoryOutOfBounds, "(i32.load (i32.const 65533))"),
        (Trap::MemoryOutOfBounds, "(i32.load offset=4294967295 (i32.const -1))"),
        (
            Trap::MemoryOutOfBounds,
            "(memory.fill (i32.const 65000) (i32.const 1) (i32.const 537)) (i32.const 0)",
        ),
        (
            Trap::UndefinedElement,
            "(call_indirect (type $binary) (i32.const 1) (i32.const 1) (i32.const 3))",
        ),
        (
            Trap::UninitialisedElement,
            "(call_indirect (type $binary) (i32.const 1) (i32.const 1) (i32.const 2))",
        ),
        (
            Trap::IndirectCallTypeMismatch,
            "(call_indirect (type $binary) (i32.const 1) (i32.const 1) (i32.const 0))",
        ),
        (Trap::InvalidConversion, "(i32.trunc_f32_s (f32.const nan))"),
        (Trap::IntegerOverflow, "(i32.trunc_f64_s (f64.const 3e9))"),
    ];
    for (trap, body) in cases {
        let mut case = Case::fields(&format!(
            "(memory (export \"memory\") 1) (global (mut i32) (i32.const 0)) {table}
             (func (export \"run\") (result i32)
                (i32.store (i32.const 8) (i32.const 99)) (global.set 0 (i32.const 5)) {body})"
        ));
        case.profile = Profile::Float1;
        let run = case.run();
        assert_eq!(run.outcome, Outcome::Trapped(trap), "{body}");
        assert!(run.usage.fuel < case.fuel, "{body}");
    }
}

#[test]
fn a_trap_on_the_jit_has_a_site_and_one_on_the_interpreter_has_none() {
    let case = Case::body(&[], "unreachable");
    let sites = Backend::ALL.iter().map(|backend| {
        let run = case.run_on(*backend, &mut host()).unwrap();
        (backend.name(), run.trap_site.map(|site| site.function))
    });
    assert_eq!(sites.collect::<Vec<_>>(), [("wasmi", None), ("jit", Some(0))]);
}

fn state(fields: &str, profile: Profile) -> StateHash {
    let mut case = Case::fields(&format!("(memory (export \"memory\") 1) {fields}"));
    case.profile = profile;
    let run = case.run();
    assert_eq!(run.outcome, Outcome::Completed(0));
    run.state_hash.expect("evidence was asked for")
}

#[test]
fn the_state_hash_covers_memory_and_globals() {
    let module = |global: &str, body: &str| {
        format!(
            "(global $g (mut i64) (i64.const {global}))
             (func (export \"run\") (result i32) {body} (i32.const 0))"
        )
    };
    let hash = |global, body| state(&module(global, body), Profile::Integer1);
    let plain = hash("1", "");
    assert_eq!(plain, hash("1", "(i32.store (i32.const 0) (i32.const 0))"));
    assert_ne!(plain, hash("2", ""));
    assert_eq!(plain, hash("2", "(global.set $g (i64.const 1))"));
    assert_ne!(plain, hash("1", "(i32.store8 (i32.const 65535) (i32.const 1))"));
    assert_ne!(plain, hash("1", "(drop (memory.grow (i32.const 1)))"));
}

#[test]
fn nans_are_canonical_in_values_and_globals() {
    // A NaN with a payload, multiplied: wasm leaves the bits open, the profile does not.
    let mut case =
        Case::body(&[], "(i32.reinterpret_f32 (f32.mul (f32.const nan:0x200001) (f32.const -1)))");
    case.profile = Profile::Float1;
    assert_eq!(case.run().outcome, Outcome::Completed(0x7fc0_0000));
    let module = |value: &str| {
        format!(
            "(global $f (mut f32) (f32.const {value}))
             (global $d (mut f64) (f64.const {value}))
             (func (export \"run\") (result i32) (i32.const 0))"
        )
    };
    let hash = |value| state(&module(value), Profile::Float1);
    assert_eq!(hash("nan"), hash("-nan:0x200001"));
    assert_ne!(hash("nan"), hash("inf"));
    assert_ne!(hash("0"), hash("-0"));
}

#[test]
fn a_start_function_runs_first_under_the_same_rules() {
    let module = |start: &str| {
        Case::fields(&format!(
            "{} (memory (export \"memory\") 1) (global $g (mut i32) (i32.const 1))
             (start $s) (func $s {start})
             (func $deep (param i32)
                (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
             (func (export \"run\") (result i32) (call $deep (i32.const 20000)) (global.get $g))",
            import("input_len")
        ))
    };
    let ran = |start: &str| module(start).run();
    let run =
        ran("(global.set $g (i32.wrap_i64 (call $input_len))) (call $deep (i32.const 20000))");
    assert_eq!((run.outcome, entries(&run).len()), (Outcome::Completed(10), 1));
    assert_eq!(ran("unreachable").outcome, Outcome::Trapped(Trap::Unreachable));
    assert_eq!(ran("(loop (br 0))").outcome, OUT_OF_FUEL);
    assert_eq!(ran("(call $s)").outcome, Outcome::Trapped(Trap::StackExhausted));
    assert!(ran("(nop)").usage.fuel < run.usage.fuel);
}

#[test]
fn an_entry_value_is_taken_as_unsigned() {
    for (value, code) in [("0", 0), ("7", 7), ("-1", u32::MAX)] {
        let run = Case::body(&[], &format!("(i32.const {value})")).run();
        assert_eq!(run.outcome, Outcome::Completed(code));
    }
}
