//! Rows of `LDW` and `STW`.

use kapsule_lower::Instr;
use kapsule_proof::chips::aligned::Aligned;
use kapsule_proof::chips::{ldw, stw};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::record::{Cell, Record};

/// Returns the columns of the address of this base.
fn address(base: &Cell, instr: &Instr) -> Aligned<F> {
    let [low, high, ..] = base.old;
    let [b0, ..] = kapsule_lower::limbs(base.value);
    let sum = u32::from(b0) + u32::from(instr.c[0]);
    Aligned {
        base: [low, high],
        read: base.access,
        offset: [instr.c[0], instr.c[1]].map(F::from_u16),
        carry: element(sum >> 16),
        half: F::from_bool(sum & 4 != 0),
    }
}

pub(super) fn load(record: &Record<'_>) -> ldw::Row<F> {
    let (instr, cell, write) = (record.instr(), record.cell(1), record.cell(2));
    ldw::Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(ldw::OPS),
        address: address(&record.cell(0), instr),
        cell: cell.old,
        load: cell.access,
        z: write.new,
        old: write.old,
        write: write.access,
    }
}

pub(super) fn store(record: &Record<'_>) -> stw::Row<F> {
    let (instr, value, cell) = (record.instr(), record.cell(1), record.cell(2));
    stw::Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(stw::OPS),
        address: address(&record.cell(0), instr),
        value: value.old,
        read: value.access,
        old: cell.old,
        new: cell.new,
        store: cell.access,
    }
}
