//! `SELECT`.
//!
//! # Argument
//! The condition is read as an i32, so the sum of its limbs is an integer below 2^17, which is 0
//! exactly if the condition is.
//! If the sum is not 0, the second constraint makes `chosen` 1; if it is, the first makes it 0; so
//! `chosen` is boolean, and the result is one of two canonical cells.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::machine::{Access, Builder, Instr, State, columns};

/// Steps of time: three reads and a write.
pub const DELTA: u32 = Chip::Select.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 1] = [Op::Select];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot of the first value.
        b: T,
        /// Slots of the second value and of the condition.
        c: [T; 2],
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 1],
        /// Low limbs of the condition.
        condition: [T; 2],
        /// Access to it.
        read: Access<T>,
        /// Inverse of the sum of these limbs, if it has one.
        inverse: T,
        /// 1 if the first value is chosen.
        chosen: T,
        /// First value.
        x: [T; 4],
        /// Access to it.
        read_x: Access<T>,
        /// Second value.
        y: [T; 4],
        /// Access to it.
        read_y: Access<T>,
        /// Result.
        z: [T; 4],
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    let sum = B::sum(row.condition);
    builder.assert_eq(row.chosen, sum.clone() * row.inverse);
    builder.assert_zero((B::Expr::ONE - row.chosen.into()) * sum);
    for limb in 0..4 {
        let (x, y) = (row.x[limb], row.y[limb]);
        builder.assert_eq(row.z[limb], (x - y) * row.chosen + y);
    }

    let state = &row.state;
    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let time = |slot: u32| ts.clone() + B::constant(slot);
    let [c0, c1] = row.c;
    let [low, high] = row.condition.map(Into::into);
    let condition = [low, high, B::Expr::ZERO, B::Expr::ZERO];
    builder.read(&row.read, time(0), fp.clone() + c1, condition, valid.clone());
    let (x, y) = (row.x.map(Into::into), row.y.map(Into::into));
    builder.read(&row.read_x, time(1), fp.clone() + row.b, x, valid.clone());
    builder.read(&row.read_y, time(2), fp.clone() + c0, y, valid.clone());
    let write = [row.old.map(Into::into), row.z.map(Into::into)];
    builder.access(&row.write, time(3), fp + row.a, write, valid.clone());
    let op = opcode::<B, 1>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant(row.c);
    builder.step(state, B::following(state), DELTA, instr, valid);
}
