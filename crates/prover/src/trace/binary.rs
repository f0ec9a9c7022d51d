//! The columns that chips with two operands, or with one, share.

use kapsule_lower::isa::C;
use kapsule_proof::chips::binary::Binary;
use kapsule_proof::chips::unary::Unary;
use kapsule_proof::field::{F, element};
use p3_field::{Field, PrimeCharacteristicRing};

use super::record::Record;

/// Returns the shared columns of a step with two operands.
pub(super) fn columns(record: &Record<'_>) -> Binary<F> {
    let write = record.cell(2);
    Binary {
        state: record.state(),
        operands: record.operands(),
        read_x: record.cell(0).access,
        read_y: record.cell(1).access,
        old: write.old,
        write: write.access,
    }
}

/// Returns the shared columns of a step with one operand.
pub(super) fn unary(record: &Record<'_>) -> Unary<F> {
    let (instr, write) = (record.instr(), record.cell(1));
    Unary {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        read: record.cell(0).access,
        old: write.old,
        write: write.access,
    }
}

/// Returns the second operand.
pub(super) fn second(record: &Record<'_>) -> u64 {
    let instr = record.instr();
    match instr.op.form().2 {
        C::Imm32 | C::Imm64 => instr.imm(),
        _ => record.cell(1).value,
    }
}

/// Returns the low bytes of a value, lowest first.
pub(super) fn bytes<const N: usize>(value: u64) -> [F; N] {
    let bytes = value.to_le_bytes();
    core::array::from_fn(|byte| F::from_u8(bytes[byte]))
}

/// Returns the low limbs of a value, lowest first.
pub(super) fn low_limbs<const N: usize>(value: u64) -> [F; N] {
    let limbs = kapsule_proof::field::limbs(value);
    core::array::from_fn(|limb| limbs[limb])
}

/// Returns the inverse, or 0 if there is none.
pub(super) fn inverse(value: F) -> F {
    value.try_inverse().unwrap_or(F::ZERO)
}
