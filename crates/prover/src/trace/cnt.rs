//! Rows of `CNT`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::cnt::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let bytes = record.cell(0).value.to_le_bytes();
    let mark = match record.instr().op {
        Op::Clz32 | Op::Clz64 => bytes.iter().rposition(|byte| *byte != 0),
        Op::Ctz32 | Op::Ctz64 => bytes.iter().position(|byte| *byte != 0),
        _ => None,
    };
    let counts = !matches!(record.instr().op, Op::Pop32 | Op::Pop64);
    let [z, ..] = record.cell(1).new;
    let each = |count: fn(u8) -> u32| bytes.map(|byte| element(count(byte)));
    Row {
        unary: binary::unary(record),
        selectors: record.selectors(OPS),
        x: bytes.map(F::from_u8),
        leading: each(u8::leading_zeros),
        trailing: each(u8::trailing_zeros),
        set: each(u8::count_ones),
        marks: core::array::from_fn(|byte| F::from_bool(mark == Some(byte))),
        zero: F::from_bool(counts && mark.is_none()),
        inverse: mark.map_or(F::ZERO, |mark| binary::inverse(F::from_u8(bytes[mark]))),
        z,
    }
}
