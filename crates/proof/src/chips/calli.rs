//! `CALLI`: indirect calls.
//!
//! # Argument
//! At most one outcome is 1, as all are boolean and so is their sum.
//! Index and table size are read as i32; [`below`] proves that the index is outside
//! the table if the outcome says so, and inside otherwise, where the entry is read; a size is at
//! most 2^20, as nothing writes it, so the index is one field element and the entry is in the
//! table.
//! The last limb of an entry is 0 or 1, since nothing writes the table: it must be 0 for `null` and
//! 1 for the outcomes after it, and there the type must be the expected one for a call, and differ
//! from it, by an inverse, for a mismatch; so one outcome fits, the first in the order of the
//! traps.
//! A call writes the linkage of the instruction, whose limbs are canonical, into slot 0 of the
//! frame that it enters; a trap writes nothing.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Chip, Op, TABLE, TABLE_SIZE, trap_pc};
use p3_field::PrimeCharacteristicRing;

use super::below::{self, Below};
use crate::field::F;
use crate::machine::{Access, Builder, Instr, Next, State, columns};

/// Steps of time: three reads and a write.
pub const DELTA: u32 = Chip::Calli.delta();

/// Opcodes.
pub const OPS: [Op; 1] = [Op::Calli];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Expected type.
        a: T,
        /// Slot of the index.
        b: T,
        /// Linkage.
        c: [T; 4],
        /// Static fuel.
        cost: T,
        /// A call, an index outside the table, a null entry, another type.
        outcomes: [T; 4],
        /// Low limbs of the index.
        index: [T; 2],
        /// Access to it.
        read: Access<T>,
        /// Low limbs of the table size.
        size: [T; 2],
        /// Access to it.
        read_size: Access<T>,
        /// Proof that the index is inside or outside.
        proof: Below<T>,
        /// Table entry.
        entry: [T; 4],
        /// Access to it.
        read_entry: Access<T>,
        /// Inverse of the difference of the types, if it has one.
        inverse: T,
        /// What slot 0 of the frame that is entered held.
        old: [T; 4],
        /// Access to it.
        write: Access<T>,
        /// Next program counter.
        next: T,
        /// Next frame.
        frame: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [call, outside, null, other] = row.outcomes;
    let valid = B::sum(row.outcomes);
    builder.booleans(row.outcomes);
    builder.assert_bool(valid.clone());
    let inside = valid.clone() - outside;
    let numbers = [row.index.map(Into::into), row.size.map(Into::into)];
    below::eval(builder, &row.proof, numbers, [inside.clone(), outside.into()]);
    let [e0, e1, e2, e3] = row.entry;
    builder.assert_zero(null * e3);
    builder.assert_zero((call + other) * (B::Expr::ONE - e3.into()));
    let difference = e2 - row.a - B::Expr::ONE;
    builder.assert_zero(difference.clone() * call);
    builder.assert_zero((difference * row.inverse - B::Expr::ONE) * other);
    let trap = |outcome: B::Var, trap: Trap| outcome * F::from_u32(trap_pc(trap));
    let traps = trap(outside, Trap::UndefinedElement)
        + trap(null, Trap::UninitialisedElement)
        + trap(other, Trap::IndirectCallTypeMismatch);
    builder.assert_eq(row.next, (e1 * F::from_u32(1 << 16) + e0) * call + traps);
    let size = row.c[3] * F::from_u32(1 << 16) + row.c[2];
    builder.assert_eq(row.frame, size.clone() * call + row.state.fp);

    accesses(builder, row, size, [valid.clone(), inside]);
    let state = &row.state;
    let op = valid.clone() * F::from_u8(Op::Calli as u8);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant(row.c);
    let next = Next { pc: row.next.into(), fp: row.frame.into(), pages: state.pages.into() };
    builder.step(state, next, DELTA, instr, valid);
}

/// Reads index, size and entry, and writes the linkage `size` slots up.
fn accesses<B: Builder>(
    builder: &mut B,
    row: &Row<B::Var>,
    size: B::Expr,
    [valid, inside]: [B::Expr; 2],
) {
    let state = &row.state;
    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let time = |slot: u32| ts.clone() + B::constant(slot);
    let zero = || B::Expr::ZERO;
    let [low, high] = row.index.map(Into::into);
    let entry = high.clone() * F::from_u32(1 << 16) + low.clone() + B::constant(TABLE);
    let index = [low, high, zero(), zero()];
    builder.read(&row.read, time(0), fp.clone() + row.b, index, valid.clone());
    let [low, high] = row.size.map(Into::into);
    let held = [low, high, zero(), zero()];
    builder.read(&row.read_size, time(1), B::constant(TABLE_SIZE), held, valid);
    builder.read(&row.read_entry, time(2), entry, row.entry.map(Into::into), inside);
    let write = [row.old.map(Into::into), row.c.map(Into::into)];
    builder.access(&row.write, time(3), fp + size, write, row.outcomes[0].into());
}
