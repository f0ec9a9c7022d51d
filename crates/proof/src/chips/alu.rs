//! `ALU`: additions, subtractions and subtractions from a constant.
//!
//! # Argument
//! Each form is one addition of 16-bit limbs with boolean carries: x + y = z, z + y = x for x - y,
//! and z + x = y for y - x.
//! The limbs of z are range-checked, x and y are canonical, and both sides of an equation are below
//! 2^18, so nothing wraps and z is unique.
//! In 32 bits the equations of the upper limbs are replaced by zero, and the carry out of limb 1 is
//! free to be what the sum says, which drops it.
//! An immediate form reads no second operand and takes its limbs from the instruction.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use crate::field::F;
use crate::machine::{Access, Builder, Operands, State, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Alu.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 8] =
    [Op::Add32, Op::Add32I, Op::Add64, Op::Add64I, Op::Sub32, Op::Sub64, Op::Rsub32I, Op::Rsub64I];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Operands.
        operands: Operands<T>,
        /// One for each opcode.
        selectors: [T; 8],
        /// First operand.
        x: [T; 4],
        /// Access to it.
        read_x: Access<T>,
        /// Second operand.
        y: [T; 4],
        /// Access to it.
        read_y: Access<T>,
        /// Result.
        z: [T; 4],
        /// Carries out of the limbs.
        carry: [T; 4],
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [add32, add32i, add64, add64i, sub32, sub64, rsub32i, rsub64i] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.booleans(row.carry);
    let wide = [add64 + add64i, sub64.into(), rsub64i.into()];
    let all = [B::sum([add32, add32i, add64, add64i]), sub32 + sub64, rsub32i + rsub64i];
    equations(builder, row, &all, &wide);
    let narrow = B::sum([add32, add32i, sub32, rsub32i]);
    for limb in 2..4 {
        builder.assert_zero(narrow.clone() * row.z[limb]);
        builder.assert_zero(narrow.clone() * row.carry[limb]);
    }

    let immediate = B::sum([add32i, add64i, rsub32i, rsub64i]);
    let operands = &row.operands;
    for (limb, constant) in row.y.into_iter().zip(operands.c) {
        builder.assert_zero(immediate.clone() * (limb - constant));
    }
    let (ts, fp): (B::Expr, B::Expr) = (row.state.ts.into(), row.state.fp.into());
    let x = row.x.map(Into::into);
    builder.read(&row.read_x, ts.clone(), fp.clone() + operands.b, x, valid.clone());
    let (at, cell) = (ts.clone() + B::Expr::ONE, fp.clone() + operands.c[0]);
    let second = valid.clone() - immediate;
    builder.read(&row.read_y, at, cell, row.y.map(Into::into), second);
    let write = [row.old.map(Into::into), row.z.map(Into::into)];
    builder.access(&row.write, ts + B::Expr::TWO, fp + operands.a, write, valid.clone());
    for limb in row.z {
        builder.range(limb.into(), 16, valid.clone());
    }
    let instr = B::instr(opcode::<B, 8>(row.selectors, OPS), operands);
    builder.step(&row.state, B::following(&row.state), DELTA, instr, valid);
}

/// The sums of the limbs; `all` and `wide` select addition, subtraction and reverse subtraction.
fn equations<B: Builder>(
    builder: &mut B,
    row: &Row<B::Var>,
    all: &[B::Expr; 3],
    wide: &[B::Expr; 3],
) {
    let mut carried = B::Expr::ZERO;
    for limb in 0..4 {
        let (x, y, z): (B::Expr, B::Expr, B::Expr) =
            (row.x[limb].into(), row.y[limb].into(), row.z[limb].into());
        let out = row.carry[limb] * F::from_u32(1 << 16);
        let [add, sub, reverse] = if limb < 2 { all.clone() } else { wide.clone() };
        let sum = |p: &B::Expr, q: &B::Expr, r: &B::Expr| {
            p.clone() + q.clone() + carried.clone() - r.clone() - out.clone()
        };
        let equation = add * sum(&x, &y, &z) + sub * sum(&z, &y, &x) + reverse * sum(&z, &x, &y);
        builder.assert_zero(equation);
        carried = row.carry[limb].into();
    }
}
