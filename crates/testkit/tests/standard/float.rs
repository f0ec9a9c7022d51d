//! Profile `float-1`: a program in doubles, and the bits of a NaN.

use std::fmt::Write as _;

use kapsule_abi::ErrorCode;
use kapsule_engine::{Backend, Job, MemoryHost, compile, run};
use kapsule_format::cbor::{Value, decode, encode};
use kapsule_meter::{Options, Profile, meter};
use kapsule_testkit::{Random, StandardModule};

/// The NaN of doubles and of floats that arithmetic gives under the profile.
const NAN_64: u64 = 0x7ff8_0000_0000_0000;
const NAN_32: u64 = 0x7fc0_0000;

/// Returns an input of `regression` for rows of three doubles.
fn table(rows: &[[f64; 3]]) -> Vec<u8> {
    let cells: Vec<u8> = rows.iter().flatten().flat_map(|cell| cell.to_le_bytes()).collect();
    encode(&Value::Map(vec![(0, 1_u64.into()), (1, 2_u64.into()), (2, cells.into())]))
}

/// Returns every double of an output of `regression`.
fn doubles(output: &[u8]) -> Vec<f64> {
    let Value::Map(fields) = decode(output).unwrap() else { panic!("an output is a map") };
    let bits = fields.into_iter().filter_map(|(_, value)| match value {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    });
    let bytes: Vec<u8> = bits.flatten().collect();
    bytes.chunks(8).map(|cell| f64::from_le_bytes(cell.try_into().unwrap())).collect()
}

fn module() -> StandardModule {
    StandardModule::load("regression", Profile::Float1, &[])
}

#[test]
fn a_program_in_doubles_gives_the_same_bits_on_both_backends() {
    let module = module();
    let mut random = Random::new(1);
    let mut noise = |scale: f64| (random.next_u64() >> 11) as f64 / 2_f64.powi(53) * scale;
    for size in [3, 10, 1_000] {
        let row = |_| {
            let (x, z) = (noise(100.0), noise(1e-3));
            [4.0 - 3.0 * x + 1e5 * z + noise(1e-6), x, z]
        };
        let rows: Vec<[f64; 3]> = (0..size).map(row).collect();
        let found = doubles(&module.output(&table(&rows)));
        for (found, expect) in found.iter().zip([4.0, -3.0, 1e5]) {
            assert!((found - expect).abs() < 0.01, "{found} and {expect}");
        }
    }
}

#[test]
fn a_nan_of_the_program_has_the_bits_of_the_profile() {
    let rows = [[1.0, 5.0, 1.0], [2.0, 5.0, 3.0], [3.0, 5.0, 2.0], [5.0, 5.0, 8.0]];
    let found = doubles(&module().output(&table(&rows)));
    assert_eq!(found.len(), 5);
    for value in found {
        assert_eq!(value.to_bits(), NAN_64);
    }
}

#[test]
fn the_program_is_refused_under_integers() {
    let wasm = StandardModule::wasm("regression");
    let error = meter(&wasm, &Options::new(Profile::Integer1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::ModuleFeatureRefused, "{}", error.detail);
    assert!(meter(&wasm, &Options::new(Profile::Float1)).is_ok());
}

/// Each expression with the bits that it gives; `$a` is a NaN with a sign and a payload.
const EXPRESSIONS: [(&str, u64); 20] = [
    ("f64.div (f64.const 0) (f64.const 0)", NAN_64),
    ("f64.sqrt (f64.const -1)", NAN_64),
    ("f64.sub (f64.const inf) (f64.const inf)", NAN_64),
    ("f64.mul (f64.const 0) (f64.const -inf)", NAN_64),
    ("f64.add (local.get $a) (f64.const 1)", NAN_64),
    ("f64.sub (f64.const 1) (local.get $a)", NAN_64),
    ("f64.mul (local.get $a) (local.get $a)", NAN_64),
    ("f64.min (local.get $a) (f64.const 1)", NAN_64),
    ("f64.max (f64.const 1) (local.get $a)", NAN_64),
    ("f64.sqrt (local.get $a)", NAN_64),
    ("f64.ceil (local.get $a)", NAN_64),
    ("f64.floor (local.get $a)", NAN_64),
    ("f64.trunc (local.get $a)", NAN_64),
    ("f64.nearest (local.get $a)", NAN_64),
    ("f64.promote_f32 (f32.demote_f64 (local.get $a))", NAN_64),
    ("f64.promote_f32 (f32.div (f32.const 0) (f32.const 0))", NAN_64),
    // What only moves bits leaves them alone.
    ("local.get $a", 0xfff4_0000_0000_0123),
    ("f64.neg (local.get $a)", 0x7ff4_0000_0000_0123),
    ("f64.abs (local.get $a)", 0x7ff4_0000_0000_0123),
    ("f64.copysign (f64.abs (local.get $a)) (f64.const -1)", 0xfff4_0000_0000_0123),
];

/// A module that writes the bits of every expression, eight bytes each.
fn bits_module() -> Vec<u8> {
    let mut body = String::new();
    let mut line = |place: usize, value: String| {
        writeln!(body, "(i64.store (i32.const {}) ({value}))", place * 8).unwrap();
    };
    for (place, (expression, _)) in EXPRESSIONS.iter().enumerate() {
        line(place, format!("i64.reinterpret_f64 ({expression})"));
    }
    let float = "f32.add (f32.reinterpret_i32 (i32.const 0xffa00001)) (f32.const 1)";
    let float = format!("i64.extend_i32_u (i32.reinterpret_f32 ({float}))");
    line(EXPRESSIONS.len(), float);
    let length = (EXPRESSIONS.len() + 1) * 8;
    let text = format!(
        r#"(module
          (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
          (memory (export "memory") 1 1)
          (func (export "kapsule_abi_version") (result i32) (i32.const 1))
          (func (export "run") (result i32) (local $a f64)
            (local.set $a (f64.reinterpret_i64 (i64.const 0xfff4000000000123)))
            {body}
            (call $write (i32.const 0) (i32.const {length}))))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_nan_made_by_any_operation_has_the_bits_of_the_profile() {
    let metered = meter(&bits_module(), &Options::new(Profile::Float1)).unwrap();
    let module = module();
    for backend in Backend::ALL {
        let compiled = compile(&metered, *backend).unwrap();
        let job = Job { ..module.job(b"") };
        let ran = run(&compiled, &job, &mut MemoryHost::default()).unwrap();
        let bits = ran.output.chunks(8).map(|cell| u64::from_le_bytes(cell.try_into().unwrap()));
        let expected = EXPRESSIONS.iter().copied().chain([("f32.add", NAN_32)]);
        let mut count = 0;
        for (found, (expression, expect)) in bits.zip(expected) {
            assert_eq!(found, expect, "{backend}: {expression} gives {found:016x}");
            count += 1;
        }
        assert_eq!(count, EXPRESSIONS.len() + 1);
    }
}
