//! What chips with two operands share: reads of both, a write of the result, the step.
//!
//! # Argument
//! The first operand is the slot fp + b, the second the slot fp + c0 or, in an immediate form, the
//! constant of the instruction, limb by limb; the result goes to the slot fp + a.
//! A chip gives the limbs of both operands, its own columns or sums of them, and those of the
//! result, so what is read is what it computes with.

use p3_field::PrimeCharacteristicRing;

use crate::machine::{Access, Builder, Next, Operands, State, columns};

columns! {
    /// Columns.
    pub struct Binary {
        /// State before.
        state: State<T>,
        /// Operands.
        operands: Operands<T>,
        /// Access to the first operand.
        read_x: Access<T>,
        /// Access to the second operand.
        read_y: Access<T>,
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
    }
}

/// What the chip says of its row.
pub(super) struct Form<E> {
    /// Opcode.
    pub(super) op: E,
    /// 1 if the row is an instruction.
    pub(super) valid: E,
    /// 1 if the second operand is a constant; `None` if it never is.
    pub(super) immediate: Option<E>,
    /// 1 if the result is written.
    pub(super) written: E,
}

/// Constrains the accesses and the step; the opcode advances time by `delta` to `next`.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Binary<B::Var>,
    form: Form<B::Expr>,
    [x, y, z]: [[B::Expr; 4]; 3],
    (next, delta): (Next<B::Expr>, u32),
) {
    let Form { op, valid, immediate, written } = form;
    let operands = &row.operands;
    let mut second = valid.clone();
    if let Some(immediate) = immediate {
        for (limb, constant) in y.iter().zip(operands.c) {
            builder.assert_zero(immediate.clone() * (limb.clone() - constant));
        }
        second -= immediate;
    }
    let (ts, fp): (B::Expr, B::Expr) = (row.state.ts.into(), row.state.fp.into());
    builder.read(&row.read_x, ts.clone(), fp.clone() + operands.b, x, valid.clone());
    let (at, cell) = (ts.clone() + B::Expr::ONE, fp.clone() + operands.c[0]);
    builder.read(&row.read_y, at, cell, y, second);
    let write = [row.old.map(Into::into), z];
    builder.access(&row.write, ts + B::Expr::TWO, fp + operands.a, write, written);
    builder.step(&row.state, next, delta, B::instr(op, operands), valid);
}
