//! `CALL` and `RET`.
//!
//! # Argument
//! A call writes the linkage of the instruction into slot 0 of the frame that it enters; a return
//! reads slot 0 of its own frame and leaves it as it is.
//! The linkage has canonical limbs either way, from the program or from memory.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, Instr, Next, State, columns};

/// Steps of time: one access.
pub const DELTA: u32 = Chip::Call.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 2] = [Op::Call, Op::Ret];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Target of a call.
        a: T,
        /// Linkage of a call.
        c: [T; 4],
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 2],
        /// Cell of the linkage.
        cell: T,
        /// What it held.
        old: [T; 4],
        /// What it holds.
        new: [T; 4],
        /// Access to it.
        access: Access<T>,
        /// Next program counter.
        next: T,
        /// Next frame.
        frame: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [call, ret] = row.selectors;
    let valid = call + ret;
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let state = &row.state;
    let high = F::from_u32(1 << 16);
    let [_, _, c2, c3] = row.c;
    let [l0, l1, l2, l3] = row.old;
    let entered = c2 + c3 * high + state.fp;
    let left = -(l2 + l3 * high) + state.fp;
    builder.assert_eq(row.cell, entered.clone() * call + ret * state.fp);
    builder.assert_eq(row.frame, entered * call + left * ret);
    builder.assert_eq(row.next, call * row.a + (l0 + l1 * high) * ret);
    for ((new, old), linkage) in row.new.into_iter().zip(row.old).zip(row.c) {
        builder.assert_eq(new, call * linkage + ret * old);
    }

    let access = [row.old.map(Into::into), row.new.map(Into::into)];
    builder.access(&row.access, state.ts.into(), row.cell.into(), access, valid.clone());
    let op = opcode::<B, 2>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, B::Expr::ZERO, row.cost).constant(row.c);
    let next = Next { pc: row.next.into(), fp: row.frame.into(), pages: state.pages.into() };
    builder.step(state, next, DELTA, instr, valid);
}
