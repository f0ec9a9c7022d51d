//! Every hostcall of the table through its stub.

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{Hostcall, Length, Outcome, Param, ValueType};

use super::Both;

/// Bytes of each buffer where it is inside memory; not a multiple of 8.
const BYTES: u32 = 37;
/// Where buffers lie, each a kilobyte behind the one before and at another alignment.
const STRIDE: u32 = 1_027;

/// How buffers are passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Buffers {
    Inside,
    Empty,
    Outside,
    TooLong,
}

fn argument(param: &Param, place: u32, buffers: Buffers, is_length: bool) -> String {
    let number = match (param, buffers) {
        (Param::Pointer(..), Buffers::Outside) => u32::MAX - 3,
        (Param::Pointer(..), Buffers::TooLong) => 0,
        (Param::Pointer(..), _) => 2_000 + STRIDE * place,
        (Param::Value(..), Buffers::Empty) if is_length => 0,
        (Param::Value(..), Buffers::TooLong) if is_length => (1 << 20) + 1,
        (Param::Value(..), _) if is_length => BYTES,
        (Param::Value(..), _) => 1,
    };
    let width = if param.value_type() == ValueType::I32 { "i32" } else { "i64" };
    format!("({width}.const {number})")
}

fn module(hostcall: &Hostcall, buffers: Buffers) -> String {
    let word = |value: ValueType| if value == ValueType::I32 { "i32" } else { "i64" };
    let params: String =
        hostcall.params.iter().map(|p| format!(" {}", word(p.value_type()))).collect();
    let result = hostcall.result.map(|value| format!("(result {})", word(value)));
    let lengths: Vec<usize> = hostcall
        .buffers()
        .filter_map(|(_, _, length)| match length {
            Length::Param(index) => Some(usize::from(index)),
            Length::Fixed(_) => None,
        })
        .collect();
    let args: String = (0..)
        .zip(hostcall.params)
        .map(|(place, param)| argument(param, place, buffers, lengths.contains(&(place as usize))))
        .collect();
    let call = format!("(call $it {args})");
    let kept = match hostcall.result {
        None => format!("{call} {call}"),
        Some(ValueType::I32) => {
            format!("(i32.store (i32.const 8) {call}) (i32.store (i32.const 16) {call})")
        }
        Some(ValueType::I64) => {
            format!("(i64.store (i32.const 8) {call}) (i64.store (i32.const 16) {call})")
        }
    };
    format!(
        r#"(import "kapsule_v1" "{}" (func $it (param{params}) {}))
        (memory (export "memory") 17)
        (data (i32.const 3027) "/data/a file, or a key, or an entry, or bytes")
        (func (export "run") (result i32) {kept} (i32.const 0))"#,
        hostcall.name,
        result.unwrap_or_default(),
    )
}

#[test]
fn every_hostcall_agrees_with_buffers_inside_empty_outside_and_too_long() {
    let mut traps = 0;
    for hostcall in HOSTCALLS {
        for buffers in [Buffers::Inside, Buffers::Empty, Buffers::Outside, Buffers::TooLong] {
            let both = Both::new(&module(hostcall, buffers), 17);
            let (run, _) = both.agree_with(super::FUEL);
            let has_buffer = hostcall.buffers().next().is_some();
            if buffers == Buffers::Outside && has_buffer {
                assert!(matches!(run.outcome, Outcome::Trapped(_)), "{}", hostcall.name);
                traps += 1;
            }
            // Around what each charge of the two calls takes.
            let total = run.usage.fuel;
            for fuel in [0, total / 4, total / 2, total.saturating_sub(1), total] {
                both.agree_with(fuel);
            }
        }
    }
    assert!(traps > 20, "most hostcalls have buffers");
}

#[test]
fn a_hostcall_is_reached_through_the_table_and_at_every_limit() {
    let fields = r#"(import "kapsule_v1" "input_read" (func $read (param i64 i32 i32) (result i32)))
      (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
      (type $reads (func (param i64 i32 i32) (result i32)))
      (memory (export "memory") 1) (table 1 funcref) (elem (i32.const 0) $read)
      (func (export "run") (result i32)
        (drop (call_indirect (type $reads)
          (i64.const 3) (i32.const 101) (i32.const 13) (i32.const 0)))
        (call $write (i32.const 99) (i32.const 16)))"#;
    let both = Both::new(fields, 1);
    assert_eq!(both.agree(), Outcome::Completed(0));
    assert!(both.agree_at_every_limit() > 40);
}
