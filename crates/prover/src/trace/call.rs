//! Rows of `CALL`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::call::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, step) = (record.instr(), record.step);
    let access = record.cell(0);
    let (next, frame) = if instr.op == Op::Call {
        (instr.a, step.fp + instr.high())
    } else {
        let [pc, width] = [access.value & 0xffff_ffff, access.value >> 32];
        // Linkage is written by calls alone, whose halves are below 2^22.
        (pc as u32, step.fp - width as u32)
    };
    Row {
        state: record.state(),
        a: element(instr.a),
        c: instr.c.map(F::from_u16),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        cell: access.addr,
        old: access.old,
        new: access.new,
        access: access.access,
        next: element(next),
        frame: element(frame),
    }
}
