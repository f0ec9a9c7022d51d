//! `BRTAB`: jump tables.
//!
//! # Argument
//! The index is read as an i32; the greatest index is that of the instruction, below 2^22.
//! `below` claims that the index is below the greatest, which [`below`] proves either
//! way; the jump goes as many instructions behind the target as the lesser of the two, which is
//! below 2^22 and therefore one field element.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::below::{self, Below};
use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, Instr, Next, State, columns};

/// Steps of time: one read.
pub const DELTA: u32 = Chip::Brtab.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 1] = [Op::Brtab];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Target for index 0.
        a: T,
        /// Slot of the index.
        b: T,
        /// Limbs of the greatest index.
        c: [T; 2],
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 1],
        /// Low limbs of the index.
        index: [T; 2],
        /// Access to it.
        read: Access<T>,
        /// 1 if the index is below the greatest.
        below: T,
        /// Proof of that.
        proof: Below<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(row.below);
    builder.assert_zero((B::Expr::ONE - valid.clone()) * row.below);
    let other = valid.clone() - row.below;
    let numbers = [row.index.map(Into::into), row.c.map(Into::into)];
    below::eval(builder, &row.proof, numbers, [row.below.into(), other.clone()]);
    let number = |[low, high]: [B::Var; 2]| high * F::from_u32(1 << 16) + low;
    let taken = number(row.index) * row.below + other * number(row.c);
    builder.assert_eq(row.next, taken + row.a);

    let state = &row.state;
    let zero = || B::Expr::ZERO;
    let [low, high] = row.index.map(Into::into);
    let index = [low, high, zero(), zero()];
    builder.read(&row.read, state.ts.into(), state.fp + row.b, index, valid.clone());
    let op = opcode::<B, 1>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant(row.c);
    let next = Next { pc: row.next.into(), fp: state.fp.into(), pages: state.pages.into() };
    builder.step(state, next, DELTA, instr, valid);
}
