//! `IO`: `IN` and `OUT`.
//!
//! # Argument
//! Both are one access to a slot: `OUT` leaves it as it is, `IN` puts any word with canonical limbs
//! there; the word and its tag go to the transcript with the time of the step, which no other step
//! has.

use kapsule_lower::isa::{Chip, Op, TAG_IN, TAG_OUT};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, Instr, State, TX, columns};

/// Steps of time: one access.
pub const DELTA: u32 = Chip::Io.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 2] = [Op::In, Op::Out];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot that is read.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 2],
        /// The cell.
        cell: T,
        /// What it held.
        old: [T; 4],
        /// The word.
        word: [T; 4],
        /// Access to the cell.
        access: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [input, output] = row.selectors;
    let valid = input + output;
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let state = &row.state;
    builder.assert_eq(row.cell, (row.a + state.fp) * input + (row.b + state.fp) * output);
    for (old, limb) in row.old.into_iter().zip(row.word) {
        builder.assert_zero((old - limb) * output);
        builder.range(limb.into(), 16, input.into());
    }

    let word: [B::Expr; 4] = row.word.map(Into::into);
    let access = [row.old.map(Into::into), word.clone()];
    builder.access(&row.access, state.ts.into(), row.cell.into(), access, valid.clone());
    let tag = output * F::from_u8(TAG_OUT) + input * F::from_u8(TAG_IN);
    let [w0, w1, w2, w3] = word;
    TX.send(builder, [state.ts.into(), tag, w0, w1, w2, w3], valid.clone());
    let op = opcode::<B, 2>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost);
    builder.step(state, B::following(state), DELTA, instr, valid);
}
