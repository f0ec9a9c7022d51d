//! Rows of `ALU`.

use kapsule_lower::isa::Op;
use kapsule_lower::limbs;
use kapsule_proof::chips::alu::{OPS, Row};
use kapsule_proof::field::F;
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, y, z) = (record.cell(0), record.cell(1), record.cell(2));
    let instr = record.instr();
    let (immediate, wide) = match instr.op {
        Op::Add32I | Op::Rsub32I => (true, false),
        Op::Add64I | Op::Rsub64I => (true, true),
        Op::Add64 | Op::Sub64 => (false, true),
        _ => (false, false),
    };
    let second = if immediate { instr.imm() } else { y.value };
    // Each form is an addition of the first two numbers.
    let (p, q) = match instr.op {
        Op::Sub32 | Op::Sub64 => (z.written, second),
        Op::Rsub32I | Op::Rsub64I => (z.written, x.value),
        _ => (x.value, second),
    };
    Row {
        state: record.state(),
        operands: record.operands(),
        selectors: record.selectors(OPS),
        x: x.old,
        read_x: x.access,
        y: kapsule_proof::field::limbs(second),
        read_y: y.access,
        z: z.new,
        carry: carries(p, q, wide).map(F::from_bool),
        old: z.old,
        write: z.access,
    }
}

/// Returns the carries out of the limbs of a sum; those above 32 bits are 0 in a narrow one.
fn carries(p: u64, q: u64, wide: bool) -> [bool; 4] {
    let mut carry = 0;
    let mut limb = 0;
    limbs(p).map(|p| {
        let sum = u32::from(p) + u32::from(limbs(q)[limb]) + carry;
        limb += 1;
        carry = if wide || limb <= 2 { sum >> 16 } else { 0 };
        carry == 1
    })
}
