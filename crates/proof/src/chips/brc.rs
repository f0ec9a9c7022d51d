//! `BRC`: compare and branch.
//!
//! # Argument
//! The opcode is 0x50 plus the number of the relation, plus 8 for an immediate form, and an
//! immediate form takes y from the instruction.
//! The next program counter is the target where the relation holds and the next instruction where
//! it does not; the comparison is that of [`compare`].

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::compare::{self, Compare};
use crate::field::F;
use crate::machine::{Access, Builder, Next, Operands, State, columns};

/// Steps of time: two reads.
pub const DELTA: u32 = Chip::Brc.delta();

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Operands.
        operands: Operands<T>,
        /// 1 for an immediate form.
        immediate: T,
        /// The comparison.
        compare: Compare<T>,
        /// First operand.
        x: [T; 4],
        /// Access to it.
        read_x: Access<T>,
        /// Second operand.
        y: [T; 4],
        /// Access to it.
        read_y: Access<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let taken = compare::eval(builder, &row.compare, &row.x, &row.y);
    let valid = B::sum(row.compare.relations);
    let instr = operands(builder, row, &valid);
    let (state, target) = (&row.state, row.operands.a);
    let jump = taken * (target - state.pc - B::Expr::ONE);
    builder.assert_eq(row.next, jump + state.pc + valid.clone());
    let next = Next { pc: row.next.into(), fp: state.fp.into(), pages: state.pages.into() };
    builder.step(state, next, DELTA, instr, valid);
}

/// Reads both operands and returns the instruction.
fn operands<B: Builder>(
    builder: &mut B,
    row: &Row<B::Var>,
    valid: &B::Expr,
) -> crate::machine::Instr<B::Expr> {
    let immediate: B::Expr = row.immediate.into();
    builder.assert_bool(row.immediate);
    builder.assert_zero(immediate.clone() * (B::Expr::ONE - valid.clone()));
    let operands = &row.operands;
    for (limb, constant) in row.y.into_iter().zip(operands.c) {
        builder.assert_zero(immediate.clone() * (limb - constant));
    }
    let (ts, fp): (B::Expr, B::Expr) = (row.state.ts.into(), row.state.fp.into());
    let x = row.x.map(Into::into);
    builder.read(&row.read_x, ts.clone(), fp.clone() + operands.b, x, valid.clone());
    let second = valid.clone() - immediate.clone();
    let y = row.y.map(Into::into);
    builder.read(&row.read_y, ts + B::Expr::ONE, fp + operands.c[0], y, second);
    let relation: B::Expr = (0u8..)
        .zip(row.compare.relations)
        .map(|(number, selector)| selector * F::from_u8(Op::Beq as u8 + number))
        .sum();
    B::instr(relation + immediate * F::from_u8(Op::BeqI as u8 - Op::Beq as u8), operands)
}
