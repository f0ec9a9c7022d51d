//! Rows of `BRC`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::brc::Row;
use kapsule_proof::field::{F, element, limbs};
use p3_field::PrimeCharacteristicRing;

use super::compare;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, y) = (record.cell(0), record.cell(1));
    let instr = record.instr();
    let number = instr.op as u8 - Op::Beq as u8;
    let (relation, immediate) = (number & 7, number >= 8);
    let second = if immediate { instr.imm() } else { y.value };
    let columns = compare::columns(relation, x.value, second);
    let (equal, less) = (x.value == second, columns.less == F::ONE);
    let taken = match relation {
        0 => equal,
        1 => !equal,
        2 | 4 | 6 => less,
        _ => !less,
    };
    Row {
        state: record.state(),
        operands: record.operands(),
        immediate: F::from_bool(immediate),
        compare: columns,
        x: x.old,
        read_x: x.access,
        y: limbs(second),
        read_y: y.access,
        next: element(if taken { instr.a } else { record.step.pc + 1 }),
    }
}
