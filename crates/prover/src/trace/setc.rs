//! Rows of `SETC`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::setc::Row;
use kapsule_proof::field::{F, limbs};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;
use super::{binary, compare};

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, second) = (record.cell(0), binary::second(record));
    let number = record.instr().op as u8 - Op::Seq as u8;
    let [holds, ..] = record.cell(2).new;
    Row {
        binary: binary::columns(record),
        immediate: F::from_bool(number >= 8),
        compare: compare::columns(number & 7, x.value, second),
        x: x.old,
        y: limbs(second),
        holds,
    }
}
