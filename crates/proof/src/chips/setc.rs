//! `SETC`: comparisons that yield 1 or 0.
//!
//! # Argument
//! The opcode is 0x40 plus the number of the relation, plus 8 for an immediate form.
//! The result is the value of the relation, which is that of [`compare`], in the
//! lowest limb, and 0 in the others.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::binary::{self, Binary, Form};
use super::compare::{self, Compare};
use crate::field::F;
use crate::machine::{Builder, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Setc.delta();

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// 1 for an immediate form.
        immediate: T,
        /// The comparison.
        compare: Compare<T>,
        /// First operand.
        x: [T; 4],
        /// Second operand.
        y: [T; 4],
        /// 1 if the relation holds.
        holds: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let holds = compare::eval(builder, &row.compare, &row.x, &row.y);
    builder.assert_eq(row.holds, holds);
    let relations = row.compare.relations;
    let valid = B::sum(relations);
    let immediate: B::Expr = row.immediate.into();
    builder.assert_bool(row.immediate);
    builder.assert_zero(immediate.clone() * (B::Expr::ONE - valid.clone()));
    let numbers = (0u8..).map(|number| F::from_u8(Op::Seq as u8 + number));
    let relation: B::Expr =
        relations.into_iter().zip(numbers).map(|(selector, number)| selector * number).sum();
    let shift = F::from_u8(Op::SeqI as u8 - Op::Seq as u8);
    let form = Form {
        op: relation + immediate.clone() * shift,
        written: valid.clone(),
        valid,
        immediate: Some(immediate),
    };
    let zero = || B::Expr::ZERO;
    let z = [row.holds.into(), zero(), zero(), zero()];
    let next = B::following(&row.binary.state);
    let operands = [row.x.map(Into::into), row.y.map(Into::into), z];
    binary::eval(builder, &row.binary, form, operands, (next, DELTA));
}
