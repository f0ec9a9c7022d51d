//! Rows of `CALLI`.

use kapsule_abi::Trap;
use kapsule_lower::isa::trap_pc;
use kapsule_proof::chips::calli::Row;
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary::{inverse, low_limbs};
use super::brtab::below;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, step) = (record.instr(), record.step);
    let [index, size, entry, write] = [0, 1, 2, 3].map(|slot| record.cell(slot));
    // Index and size are i32, which are zero-extended.
    let (inside, proof) = below(index.value as u32, size.value as u32);
    let [_, _, held, some] = kapsule_lower::limbs(entry.value).map(u32::from);
    let expected = instr.a + 1;
    let outcome = match (inside, some, held == expected) {
        (false, ..) => 1,
        (true, 0, _) => 2,
        (true, _, false) => 3,
        (true, _, true) => 0,
    };
    let (next, frame) = match outcome {
        0 => (entry.value as u32, step.fp + instr.high()),
        1 => (trap_pc(Trap::UndefinedElement), step.fp),
        2 => (trap_pc(Trap::UninitialisedElement), step.fp),
        _ => (trap_pc(Trap::IndirectCallTypeMismatch), step.fp),
    };
    Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        c: instr.c.map(F::from_u16),
        cost: F::from_u8(instr.cost),
        outcomes: core::array::from_fn(|number| F::from_bool(number == outcome)),
        index: low_limbs(index.value),
        read: index.access,
        size: low_limbs(size.value),
        read_size: size.access,
        proof,
        entry: entry.old,
        read_entry: entry.access,
        inverse: inverse(element(held) - element(expected)),
        old: write.old,
        write: write.access,
        next: element(next),
        frame: element(frame),
    }
}
