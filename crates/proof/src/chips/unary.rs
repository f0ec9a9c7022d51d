//! What chips with one operand share: its read, a write of the result, the step.
//!
//! # Argument
//! The operand is the slot fp + b and the result goes to the slot fp + a.
//! A chip gives the limbs of both, so what is read is what it computes with.

use p3_field::PrimeCharacteristicRing;

use crate::machine::{Access, Builder, Instr, State, columns};

columns! {
    /// Columns.
    pub struct Unary {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot that is read.
        b: T,
        /// Static fuel.
        cost: T,
        /// Access to the operand.
        read: Access<T>,
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
    }
}

/// Constrains the accesses and the step of an instruction that has no constant.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Unary<B::Var>,
    [op, valid]: [B::Expr; 2],
    [x, z]: [[B::Expr; 4]; 2],
    delta: u32,
) {
    let (ts, fp): (B::Expr, B::Expr) = (row.state.ts.into(), row.state.fp.into());
    builder.read(&row.read, ts.clone(), fp.clone() + row.b, x, valid.clone());
    let write = [row.old.map(Into::into), z];
    builder.access(&row.write, ts + B::Expr::ONE, fp + row.a, write, valid.clone());
    let instr = Instr::new(op, row.a, row.b, row.cost);
    builder.step(&row.state, B::following(&row.state), delta, instr, valid);
}
