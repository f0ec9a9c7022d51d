//! Rows of `IO`.

use kapsule_proof::chips::io::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, cell) = (record.instr(), record.cell(0));
    Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        cell: cell.addr,
        old: cell.old,
        word: cell.new,
        access: cell.access,
    }
}
