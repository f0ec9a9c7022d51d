//! The bits of NaNs on both backends, in generated functions.
//!
//! The processor gives other NaNs than the profile, so a check that is left out where bits are
//! seen shows as soon as a NaN gets there.

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawModule, RawValue};
use proptest::collection::vec;
use proptest::prelude::*;

/// Doubles of each kind: NaNs with signs and payloads, quiet and signalling, and what makes more.
const CONSTANTS: [&str; 8] =
    ["nan", "-nan", "nan:0x4000000000001", "-nan:0x8000000000001", "inf", "-0", "0", "1.5"];

/// Returns the text of an expression that gives a double, of at most four levels.
fn double() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (0..4_u32).prop_map(|local| format!("(local.get {local})")),
        (0..CONSTANTS.len()).prop_map(|place| format!("(f64.const {})", CONSTANTS[place])),
        (0..4_u32).prop_map(|place| format!("(f64.load offset={} (i32.const 0))", 8 * place)),
        Just("(global.get $g)".to_string()),
        Just("(f64.promote_f32 (local.get $s))".to_string()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        let unary = ["neg", "abs", "sqrt", "ceil", "floor", "trunc", "nearest"];
        let binary = ["add", "sub", "mul", "div", "min", "max", "copysign"];
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (0..unary.len(), inner.clone())
                .prop_map(move |(op, x)| format!("(f64.{} {x})", unary[op])),
            (0..binary.len(), pair.clone())
                .prop_map(move |(op, (x, y))| format!("(f64.{} {x} {y})", binary[op])),
            pair.clone().prop_map(|(x, y)| format!("(select {x} {y} (f64.lt {y} {x}))")),
            pair.clone()
                .prop_map(|(x, y)| format!("(select (result f64) {x} {y} (f64.eq {x} {x}))")),
            (0..4_u32, inner.clone()).prop_map(|(local, x)| format!("(local.tee {local} {x})")),
            inner.clone().prop_map(|x| format!("(call $twice {x})")),
            inner.clone().prop_map(|x| format!("(f64.promote_f32 (f32.demote_f64 {x}))")),
            inner.clone().prop_map(|x| format!("(f64.convert_i64_s (i64.trunc_sat_f64_s {x}))")),
            inner.clone().prop_map(|x| format!("(f64.reinterpret_i64 (i64.reinterpret_f64 {x}))")),
            pair.clone().prop_map(|(x, y)| {
                format!("(block $b (result f64) (br_if $b {x} (f64.gt {y} {x})))")
            }),
            pair.prop_map(|(x, y)| {
                format!("(if (result f64) (f64.ge {x} {y}) (then {x}) (else {y}))")
            }),
        ]
    })
}

/// Returns the text of a statement.
fn statement() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => (0..4_u32, double()).prop_map(|(local, x)| format!("(local.set {local} {x})")),
        2 => (0..4_u32, double())
            .prop_map(|(place, x)| format!("(f64.store offset={} (i32.const 0) {x})", 8 * place)),
        1 => double().prop_map(|x| format!("(local.set $s (f32.demote_f64 {x}))")),
        1 => Just("(f32.store offset=64 (i32.const 0) (f32.mul (local.get $s) (local.get $s)))"
            .to_string()),
        1 => double().prop_map(|x| format!("(global.set $g {x})")),
        1 => double().prop_map(|x| format!("(drop {x})")),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        let several = vec(inner, 1..4).prop_map(|statements| statements.concat());
        prop_oneof![
            (double(), several.clone(), several.clone()).prop_map(|(x, then, other)| {
                format!("(if (f64.ne {x} (local.get 0)) (then {then}) (else {other}))")
            }),
            several.prop_map(|inside| {
                // At most three turns in all, since the counter is not set back.
                format!(
                    "(loop $l {inside} (br_if $l (i32.lt_u
                        (local.tee $turn (i32.add (local.get $turn) (i32.const 1)))
                        (i32.const 3))))"
                )
            }),
        ]
    })
}

/// Returns everything that a module leaves behind.
fn seen(backend: Backend, wasm: &[u8], args: &[RawValue]) -> (Vec<RawValue>, RawValue, Vec<u8>) {
    let module = RawModule::compile(wasm, backend).expect("a module");
    let mut instance = module.instantiate(&[]).expect("there are no imports");
    let results = instance.call("run", args).expect("nothing in it traps");
    let global = instance.global("g").expect("it is exported");
    (results, global, instance.memory("m").expect("it is exported")[..128].to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn both_backends_see_the_same_bits(
        statements in vec(statement(), 1..6),
        result in double(),
        first in prop::sample::select(vec![0x7ff4_0000_0000_0001, 0xfff8_0000_0000_0000, 0_u64]),
        second in prop::sample::select(vec![0xfff8_0000_0000_0007, 0x3ff0_0000_0000_0000_u64]),
    ) {
        let body = statements.concat();
        let wat = format!(
            "(module (memory (export \"m\") 1) (global $g (export \"g\") (mut f64) (f64.const -nan))
                (func $twice (param f64) (result f64) (f64.add (local.get 0) (local.get 0)))
                (func (export \"run\") (param f64 f64) (result f64)
                    (local f64 f64) (local $s f32) (local $turn i32) {body} {result}))"
        );
        let wasm = wat::parse_str(&wat).unwrap();
        let args = [RawValue::F64(first), RawValue::F64(second)];
        let expect = seen(Backend::Wasmi, &wasm, &args);
        for backend in Backend::ALL {
            prop_assert_eq!(seen(*backend, &wasm, &args), expect.clone(), "{}", backend);
        }
    }
}

#[test]
fn unreachable_code_and_values_across_blocks_are_followed() {
    let wat = "(module (memory (export \"m\") 1) (global (export \"g\") f64 (f64.const 0))
        (func (export \"run\") (param f64 f64) (result f64) (local f64)
            (block $out (result f64)
                (f64.sqrt (f64.const -1))
                (block (param f64) (result f64) (f64.neg))
                (br $out)
                (f64.add) (local.set 2) (f64.store))
            (loop (param f64) (result f64) (f64.abs))
            (if (param f64) (result f64) (f64.lt (local.get 0) (local.get 1))
                (then (f64.sqrt)) (else (f64.neg)))))";
    let wasm = wat::parse_str(wat).unwrap();
    for (first, second, expect) in [(0, 1, 0x7ff8_0000_0000_0000), (1, 0, 0xfff8_0000_0000_0000)] {
        let args = [RawValue::F64(first), RawValue::F64(second)];
        for backend in Backend::ALL {
            let (results, ..) = seen(*backend, &wasm, &args);
            assert_eq!(results, [RawValue::F64(expect)], "{backend}");
        }
    }
}
