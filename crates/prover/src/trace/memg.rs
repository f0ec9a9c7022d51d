//! Rows of `MEMG`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::memg::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary::inverse;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, pages) = (record.instr(), record.step.pages);
    let (more, write) = (record.cell(0), record.cell(1));
    let [low, high, ..] = more.old;
    // The number is an i32, which is zero-extended.
    let fits = more.value as u32 <= u32::from(instr.c[0]).saturating_sub(pages);
    let grow = instr.op == Op::Mgrow;
    let [z, ..] = write.new;
    Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        maximum: F::from_u16(instr.c[0]),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        more: [low, high],
        read: more.access,
        refused: F::from_bool(grow && !fits),
        huge: F::from_bool(grow && high != F::ZERO),
        inverse: inverse(high),
        z,
        old: write.old,
        write: write.access,
        pages: element(pages) + if grow && fits { low } else { F::ZERO },
    }
}
