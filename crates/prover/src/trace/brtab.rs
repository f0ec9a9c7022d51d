//! Rows of `BRTAB`.

use kapsule_proof::chips::below::Below;
use kapsule_proof::chips::brtab::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary::low_limbs;
use super::record::Record;

/// Returns whether the number is below the bound, and the columns that prove it.
pub(super) fn below(number: u32, bound: u32) -> (bool, Below<F>) {
    let below = number < bound;
    let (from, less) = if below { (bound, number) } else { (number, bound) };
    let distance = from - less - u32::from(below);
    let borrow = (from >> 16) - (less >> 16) - (distance >> 16);
    let distance = [distance & 0xffff, distance >> 16].map(element);
    (below, Below { borrow: element(borrow), distance })
}

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, index) = (record.instr(), record.cell(0));
    // The index is an i32, which is zero-extended.
    let (number, greatest) = (index.value as u32, instr.low());
    let (below, proof) = below(number, greatest);
    Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        c: low_limbs(instr.imm()),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        index: low_limbs(index.value),
        read: index.access,
        below: F::from_bool(below),
        proof,
        next: element(instr.a + number.min(greatest)),
    }
}
