//! `CNT`: leading zeros, trailing zeros, set bits.
//!
//! # Argument
//! The operand is a column of bytes, and a query of `CNT` for each yields the counts of the byte
//! and proves that it is one.
//! To count zeros, either `zero` is 1 or one byte is marked: bytes that come before the marked one,
//! from the top for leading zeros and from the bottom for trailing ones, and with `zero` all bytes,
//! are 0, and the marked byte has an inverse, so it is the first that is not 0.
//! In 32 bits the upper bytes are 0, so they are never marked, and leading zeros are counted from
//! byte 4.
//! A count is at most 64, so it is a limb.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::unary::{self, Unary};
use super::{limbs, opcode};
use crate::field::F;
use crate::machine::{Builder, CNT, columns};

/// Steps of time: a read and a write.
pub const DELTA: u32 = Chip::Cnt.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 6] = [Op::Clz32, Op::Ctz32, Op::Pop32, Op::Clz64, Op::Ctz64, Op::Pop64];

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        unary: Unary<T>,
        /// One for each opcode.
        selectors: [T; 6],
        /// Bytes of the operand.
        x: [T; 8],
        /// Leading zeros of each byte.
        leading: [T; 8],
        /// Trailing zeros of each byte.
        trailing: [T; 8],
        /// Set bits of each byte.
        set: [T; 8],
        /// Marks the first byte that is not 0.
        marks: [T; 8],
        /// 1 if zeros are counted and all bytes are 0.
        zero: T,
        /// Inverse of the marked byte, if there is one.
        inverse: T,
        /// Result.
        z: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [clz32, ctz32, pop32, clz64, ctz64, pop64] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.booleans(row.marks);
    builder.assert_bool(row.zero);
    for byte in 0..8 {
        let counts = [row.x[byte], row.leading[byte], row.trailing[byte], row.set[byte]];
        CNT.query(builder, counts.map(Into::into), valid.clone());
    }
    let narrow = B::sum([clz32, ctz32, pop32]);
    for byte in &row.x[4..] {
        builder.assert_zero(narrow.clone() * *byte);
    }

    let (first, last) = (clz32 + clz64, ctz32 + ctz64);
    let marked = B::sum(row.marks);
    builder.assert_eq(marked.clone() + row.zero, first.clone() + last.clone());
    let mut pointed = B::Expr::ZERO;
    let mut count = B::Expr::ZERO;
    for byte in 0..8_usize {
        let (x, mark) = (row.x[byte], row.marks[byte]);
        let sum = |marks: &[B::Var]| -> B::Expr { marks.iter().map(|mark| (*mark).into()).sum() };
        let before = first.clone() * (sum(&row.marks[..byte]) + row.zero)
            + last.clone() * (sum(&row.marks[byte + 1..]) + row.zero);
        builder.assert_zero(before * x);
        pointed += x * mark;
        let places = |places: usize| B::constant(8 * places as u32);
        let leading = first.clone() * (places(7 - byte) + row.leading[byte]);
        let trailing = last.clone() * (places(byte) + row.trailing[byte]);
        count += (leading + trailing) * mark;
    }
    builder.assert_eq(pointed * row.inverse, marked.clone());
    let short = marked * clz32 * F::from_u8(32);
    let all = (narrow * F::from_u8(32) + (clz64 + ctz64) * F::from_u8(64)) * row.zero;
    let set = (pop32 + pop64) * B::sum(row.set);
    builder.assert_eq(row.z, count - short + all + set);

    let op = opcode::<B, 6>(row.selectors, OPS);
    let zero = || B::Expr::ZERO;
    let values = [limbs::<B>(&row.x), [row.z.into(), zero(), zero(), zero()]];
    unary::eval(builder, &row.unary, [op, valid], values, DELTA);
}
