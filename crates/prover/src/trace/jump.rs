//! Rows of `JUMP`.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Op, STACK_END, trap_pc};
use kapsule_proof::chips::jump::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, step) = (record.instr(), record.step);
    let enter = instr.op == Op::Enter;
    let top = step.fp + instr.a;
    let fits = enter && top <= STACK_END;
    let slack = match (enter, fits) {
        (false, _) => 0,
        (true, true) => STACK_END - top,
        (true, false) => top - STACK_END - 1,
    };
    let next = match instr.op {
        Op::Jmp => instr.a,
        Op::Enter if !fits => trap_pc(Trap::StackExhausted),
        _ => step.pc + 1,
    };
    Row {
        state: record.state(),
        a: element(instr.a),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        fits: F::from_bool(fits),
        slack: [slack & 0x3fff, slack >> 14].map(element),
        next: element(next),
    }
}
