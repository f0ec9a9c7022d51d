//! `MOVC`: `CONST`, `MOV`, `GGET`, `GSET`.
//!
//! # Argument
//! At most one selector is 1, as all are boolean and so is their sum.
//! The addresses are columns because a frame address times a selector is not affine.
//! Except for `CONST`, the value is what the read yields; for `CONST` no read happens and the value
//! is the constant of the instruction.
//! The value is a canonical cell either way, so it needs no range check.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::machine::{Access, Builder, Operands, State, columns};

/// Steps of time: a read and a write.
pub const DELTA: u32 = Chip::Movc.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 4] = [Op::Const, Op::Mov, Op::Gget, Op::Gset];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Operands.
        operands: Operands<T>,
        /// One for each opcode.
        selectors: [T; 4],
        /// Cell that is read.
        source: T,
        /// Cell that is written.
        target: T,
        /// The value.
        value: [T; 4],
        /// Access to the source.
        read: Access<T>,
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the target.
        write: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [constant, mov, gget, gset] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let (fp, operands) = (row.state.fp, &row.operands);
    builder.assert_eq(row.source, (mov + gset) * fp + operands.b);
    builder.assert_eq(row.target, (constant + mov + gget) * fp + operands.a);
    for (value, limb) in row.value.into_iter().zip(operands.c) {
        builder.assert_zero((value - limb) * constant);
    }

    let ts: B::Expr = row.state.ts.into();
    let value = row.value.map(Into::into);
    let loaded = valid.clone() - constant.into();
    builder.read(&row.read, ts.clone(), row.source.into(), value.clone(), loaded);
    let write = [row.old.map(Into::into), value];
    builder.access(&row.write, ts + B::Expr::ONE, row.target.into(), write, valid.clone());
    let instr = B::instr(opcode::<B, 4>(row.selectors, OPS), operands);
    builder.step(&row.state, B::following(&row.state), DELTA, instr, valid);
}
