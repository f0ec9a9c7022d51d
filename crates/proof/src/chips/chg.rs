//! `CHG`: dynamic fuel.
//!
//! # Argument
//! The units n are read as an i32.
//! With n0 + 7 = 8 q + r and n1 = 8 h + s, where q has 14 bits, r and s have 3 and h has 13, so
//! that all four are unique, the charge, n / 8 rounded up, is q + 2^13 s + 2^16 h, whose first part
//! is at most 2^16.
//! Without `stopped`, the charge is added to the cell `FUEL_DYN`, limb by limb with boolean carries
//! and range-checked limbs, and no carry leaves the highest limb.
//! With `stopped`, nothing is added, the program counter is that of a run out of fuel, where no
//! instruction is, and the units go to `CONNECTOR`, which makes them public: whether the fuel was
//! short of them is for the verifier to see, so a stop at a wrong place is a wrong statement.

use kapsule_lower::isa::{Chip, FUEL_DYN, Op, PC_OUT_OF_FUEL};
use p3_field::{Field, PrimeCharacteristicRing};

use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, DYN, Instr, Next, State, columns};

/// Steps of time: a read and a change of the fuel.
pub const DELTA: u32 = Chip::Chg.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 1] = [Op::Charge];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot of the units.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 1],
        /// Low limbs of the units.
        units: [T; 2],
        /// Access to them.
        read: Access<T>,
        /// Low limb plus 7, divided by 8.
        quotient: T,
        /// Low three bits of the high limb.
        rest: T,
        /// 1 if the fuel does not cover the charge.
        stopped: T,
        /// Dynamic fuel before.
        old: [T; 4],
        /// Carries out of its limbs.
        carry: [T; 3],
        /// Access to it.
        fuel: Access<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(row.stopped);
    builder.assert_zero((B::Expr::ONE - valid.clone()) * row.stopped);
    let new = charged(builder, row, &valid);

    let (state, [low, high]) = (&row.state, row.units);
    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let zero = || B::Expr::ZERO;
    let units = [low.into(), high.into(), zero(), zero()];
    builder.read(&row.read, ts.clone(), fp + row.b, units, valid.clone());
    let change = [row.old.map(Into::into), new];
    let covered = valid.clone() - row.stopped;
    let fuel = B::constant(FUEL_DYN);
    builder.access(&row.fuel, ts + B::Expr::ONE, fuel, change, covered);
    DYN.send(builder, row.units.map(Into::into), row.stopped.into());
    let op = opcode::<B, 1>(row.selectors, OPS);
    let instr = Instr::new(op, zero(), row.b, row.cost);
    let following = B::following(state);
    let stop = B::constant(PC_OUT_OF_FUEL) - following.pc.clone();
    builder.assert_eq(row.next, stop * row.stopped + state.pc + valid.clone());
    let next = Next { pc: row.next.into(), ..following };
    builder.step(state, next, DELTA, instr, valid);
}

/// Returns the dynamic fuel afterwards.
fn charged<B: Builder>(builder: &mut B, row: &Row<B::Var>, valid: &B::Expr) -> [B::Expr; 4] {
    builder.booleans(row.carry);
    let [low, high] = row.units;
    let eighth = F::from_u8(8).inverse();
    let remainder = low + B::constant(7) - row.quotient * F::from_u8(8);
    let hundreds = (high - row.rest) * eighth;
    builder.range(row.quotient.into(), 14, valid.clone());
    builder.range(remainder, 3, valid.clone());
    builder.range(hundreds.clone(), 13, valid.clone());
    builder.range(row.rest.into(), 3, valid.clone());

    let [k0, k1, k2] = row.carry;
    let [f0, f1, f2, f3] = row.old;
    let base = F::from_u32(1 << 16);
    let new = [
        row.quotient + row.rest * F::from_u32(1 << 13) + f0 - k0 * base,
        hundreds + f1 + k0 - k1 * base,
        f2 + k1 - k2 * base,
        f3 + k2,
    ];
    for limb in &new {
        builder.range(limb.clone(), 16, valid.clone() - row.stopped);
    }
    new
}
