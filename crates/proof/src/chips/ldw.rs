//! `LDW`: loads of 4 and 8 bytes from aligned addresses inside memory.
//!
//! # Argument
//! The address is that of [`aligned`]; an address that is not aligned to 4 bytes,
//! or to 8 for `LD64`, which requires `half` to be 0, or that is not inside memory satisfies no
//! row, and is left to `LDX`.
//! The result is made of limbs that were read, the upper ones of the cell if `half` is 1, and of
//! zeros, so it is canonical.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::aligned::{self, Aligned};
use super::opcode;
use crate::machine::{Access, Builder, Instr, State, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Ldw.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 2] = [Op::Ld32U, Op::Ld64];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot of the base.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 2],
        /// The address.
        address: Aligned<T>,
        /// The cell.
        cell: [T; 4],
        /// Access to it.
        load: Access<T>,
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
    let [narrow, wide] = row.selectors;
    let valid = narrow + wide;
    let (state, address) = (&row.state, &row.address);
    let cell = aligned::eval(builder, address, (state, row.b), row.selectors);
    for limb in 0..2 {
        let moved = (row.cell[limb + 2] - row.cell[limb]) * address.half;
        builder.assert_eq(row.z[limb], moved + row.cell[limb]);
        builder.assert_eq(row.z[limb + 2], wide * row.cell[limb + 2]);
    }

    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let value = row.cell.map(Into::into);
    builder.read(&row.load, ts.clone() + B::Expr::ONE, cell, value, valid.clone());
    let write = [row.old.map(Into::into), row.z.map(Into::into)];
    builder.access(&row.write, ts + B::Expr::TWO, fp + row.a, write, valid.clone());
    let op = opcode::<B, 2>(row.selectors, OPS);
    let instr = Instr::new(op, row.a, row.b, row.cost).constant(address.offset);
    builder.step(state, B::following(state), DELTA, instr, valid);
}
