//! `MUL`: low products.
//!
//! # Argument
//! Both operands are columns of bytes, proven by queries, whose limbs are what is read.
//! Limb m of the result is the sum of the products of bytes whose places add up to 2m, and 2^8
//! times that for 2m + 1, plus the carry from below, less 2^16 times the carry out.
//! There are at most 7 products of the first kind and 8 of the second, so with a carry below 2^12
//! the sum is below 8 * 2^24 + 7 * 2^16 + 2^12 < 2^28 < p, its carry out is again below 2^12, and
//! nothing wraps; as the limb has 16 bits, limb and carry are unique.
//! In 32 bits the equations of the upper limbs are replaced by zero.

use alloc::vec::Vec;

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::binary::{self, Binary, Form};
use super::{limbs, opcode};
use crate::field::F;
use crate::machine::{Builder, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Mul.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 4] = [Op::Mul32, Op::Mul32I, Op::Mul64, Op::Mul64I];

/// Bits of a carry.
const CARRY_BITS: u32 = 12;

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// One for each opcode.
        selectors: [T; 4],
        /// Bytes of the first operand.
        x: [T; 8],
        /// Bytes of the second operand.
        y: [T; 8],
        /// Result.
        z: [T; 4],
        /// Carries out of the limbs.
        carry: [T; 4],
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [mul32, mul32i, mul64, mul64i] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    for (x, y) in row.x.into_iter().zip(row.y) {
        builder.bytes(x.into(), y.into(), valid.clone());
    }
    for (z, carry) in row.z.into_iter().zip(row.carry) {
        builder.range(z.into(), 16, valid.clone());
        builder.range(carry.into(), CARRY_BITS, valid.clone());
    }
    let (narrow, wide) = (mul32 + mul32i, mul64 + mul64i);
    let mut carried = B::Expr::ZERO;
    for (limb, sum) in products::<B>(&row.x, &row.y).into_iter().enumerate() {
        let out = row.carry[limb] * F::from_u32(1 << 16);
        let equation = sum + carried - row.z[limb] - out;
        if limb < 2 {
            builder.assert_zero(equation);
        } else {
            builder.assert_zero(wide.clone() * equation);
            builder.assert_zero(narrow.clone() * row.z[limb]);
            builder.assert_zero(narrow.clone() * row.carry[limb]);
        }
        carried = row.carry[limb].into();
    }
    let form = Form {
        op: opcode::<B, 4>(row.selectors, OPS),
        written: valid.clone(),
        valid,
        immediate: Some(mul32i + mul64i),
    };
    let operands = [limbs::<B>(&row.x), limbs::<B>(&row.y), row.z.map(Into::into)];
    let next = B::following(&row.binary.state);
    binary::eval(builder, &row.binary, form, operands, (next, DELTA));
}

/// Returns the sums of products that the four low limbs of a product of bytes consist of.
pub(super) fn products<B: Builder>(x: &[B::Var; 8], y: &[B::Var; 8]) -> Vec<B::Expr> {
    let place =
        |sum: usize| -> B::Expr { (0..=sum).map(|low| -> B::Expr { x[low] * y[sum - low] }).sum() };
    let limb = |limb: usize| place(2 * limb) + place(2 * limb + 1) * F::from_u32(1 << 8);
    (0..4).map(limb).collect()
}
