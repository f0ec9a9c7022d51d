//! `STW`: stores of 4 and 8 bytes to aligned addresses inside memory.
//!
//! # Argument
//! The address is that of [`aligned`], as for `LDW`.
//! Each limb of the cell afterwards is a limb of the value or of the cell before, so it is
//! canonical: `ST64` takes all limbs of the value, `ST32` puts its low ones into the half that the
//! address selects and keeps the others.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::aligned::{self, Aligned};
use super::opcode;
use crate::machine::{Access, Builder, Instr, State, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Stw.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 2] = [Op::St32, Op::St64];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot of the value.
        a: T,
        /// Slot of the base.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 2],
        /// The address.
        address: Aligned<T>,
        /// The value.
        value: [T; 4],
        /// Access to it.
        read: Access<T>,
        /// The cell before.
        old: [T; 4],
        /// The cell afterwards.
        new: [T; 4],
        /// Access to it.
        store: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [narrow, wide] = row.selectors;
    let valid = narrow + wide;
    let (state, address) = (&row.state, &row.address);
    let cell = aligned::eval(builder, address, (state, row.b), row.selectors);
    for limb in 0..2 {
        let (value, upper) = (row.value[limb], row.value[limb + 2]);
        let kept = (row.old[limb] - value) * address.half;
        builder.assert_eq(row.new[limb], kept + value);
        let moved = (value - row.old[limb + 2]) * address.half;
        let stored = narrow * row.old[limb + 2] + moved + wide * upper;
        builder.assert_eq(row.new[limb + 2], stored);
    }

    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let value = row.value.map(Into::into);
    builder.read(&row.read, ts.clone() + B::Expr::ONE, fp + row.a, value, valid.clone());
    let change = [row.old.map(Into::into), row.new.map(Into::into)];
    builder.access(&row.store, ts + B::Expr::TWO, cell, change, valid.clone());
    let op = opcode::<B, 2>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant(address.offset);
    builder.step(state, B::following(state), DELTA, instr, valid);
}
