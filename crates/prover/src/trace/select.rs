//! Rows of `SELECT`.

use kapsule_proof::chips::select::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary::inverse;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let instr = record.instr();
    let [condition, x, y, write] = [0, 1, 2, 3].map(|slot| record.cell(slot));
    let [low, high, ..] = condition.old;
    Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        c: [instr.c[0], instr.c[1]].map(F::from_u16),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        condition: [low, high],
        read: condition.access,
        inverse: inverse(low + high),
        chosen: F::from_bool(condition.value != 0),
        x: x.old,
        read_x: x.access,
        y: y.old,
        read_y: y.access,
        z: write.new,
        old: write.old,
        write: write.access,
    }
}
