//! `MEMG`: `MSIZE` and `MGROW`.
//!
//! # Argument
//! `MSIZE` yields the pages of the state, which one limb holds.
//! `MGROW` reads n as an i32; `refused` is boolean, and 0 for `MSIZE`.
//! A growth that is not refused has n below 2^16 and a rest, maximum - pages - n, of 16 bits, which
//! a negative rest has not; a growth that is refused has either an upper limb, proven by its
//! inverse, or an excess, pages + n - maximum - 1, of 16 bits; so a growth within the maximum
//! cannot be refused, and one beyond it must be, since pages are at most the maximum, which is at
//! most 2^14.
//! The result is the pages before, or -1, and the pages grow by n, or by nothing.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, Instr, Next, State, columns};

/// Steps of time: a read and a write.
pub const DELTA: u32 = Chip::Memg.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 2] = [Op::Msize, Op::Mgrow];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot of the number of pages.
        b: T,
        /// Memory maximum in pages.
        maximum: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 2],
        /// Low limbs of the number of pages.
        more: [T; 2],
        /// Access to it.
        read: Access<T>,
        /// 1 if the growth is refused.
        refused: T,
        /// 1 if it is refused because the upper limb is not 0.
        huge: T,
        /// Inverse of the upper limb, if it has one.
        inverse: T,
        /// Low limb of the result.
        z: T,
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
        /// Pages afterwards.
        pages: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [size, grow] = row.selectors;
    let valid = size + grow;
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.booleans([row.refused, row.huge]);
    builder.assert_zero((B::Expr::ONE - grow.into()) * row.refused);
    builder.assert_zero((B::Expr::ONE - row.refused.into()) * row.huge);
    let (state, [low, high]) = (&row.state, row.more);
    let grown = grow - row.refused;
    builder.assert_zero(grown.clone() * high);
    builder.assert_zero((high * row.inverse - B::Expr::ONE) * row.huge);
    let rest = row.maximum - state.pages - low;
    builder.range(rest.clone(), 16, grown.clone());
    builder.range(-rest - B::Expr::ONE, 16, row.refused - row.huge);
    let ones = F::from_u32(0xffff);
    let missing = B::Expr::from(ones) - state.pages;
    builder.assert_eq(row.z, valid.clone() * state.pages + missing * row.refused);
    builder.assert_eq(row.pages, grown * low + state.pages);

    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let zero = || B::Expr::ZERO;
    let more = [low.into(), high.into(), zero(), zero()];
    builder.read(&row.read, ts.clone(), fp.clone() + row.b, more, grow.into());
    let z = [row.z.into(), row.refused * ones, zero(), zero()];
    let write = [row.old.map(Into::into), z];
    builder.access(&row.write, ts + B::Expr::ONE, fp + row.a, write, valid.clone());
    let op = opcode::<B, 2>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant([row.maximum]);
    let following = B::following(state);
    let next = Next { pages: row.pages.into(), ..following };
    builder.step(state, next, DELTA, instr, valid);
}
