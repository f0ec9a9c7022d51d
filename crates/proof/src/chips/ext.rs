//! `EXT`: sign extensions, and the low 32 bits of a value.
//!
//! # Argument
//! `top` is what has the sign: the limb that is extended, or 2^8 times its low byte for the 8-bit
//! forms, whose bytes are proven by a query.
//! `top - 2^15 sign` has 15 bits, so the boolean `sign` is the highest bit of `top`; for `WRAP` it
//! is 0 by a constraint.
//! Each limb of the result is a limb that was read, a byte, 0, or ones where the sign is, so it is
//! canonical.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::opcode;
use super::unary::{self, Unary};
use crate::field::F;
use crate::machine::{Builder, columns};

/// Steps of time: a read and a write.
pub const DELTA: u32 = Chip::Ext.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 6] =
    [Op::Ext8S32, Op::Ext16S32, Op::Ext8S64, Op::Ext16S64, Op::Ext32S64, Op::Wrap];

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        unary: Unary<T>,
        /// One for each opcode.
        selectors: [T; 6],
        /// Operand.
        x: [T; 4],
        /// Low and high byte of its lowest limb; 0 unless the form is 8-bit.
        bytes: [T; 2],
        /// What has the sign.
        top: T,
        /// The sign.
        sign: T,
        /// Result.
        z: [T; 4],
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [byte32, half32, byte64, half64, word64, wrap] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.assert_bool(row.sign);
    builder.assert_zero(wrap * row.sign);
    let (byte, half) = (byte32 + byte64, half32 + half64);
    let [low, high] = row.bytes;
    let split = low + high * F::from_u32(1 << 8) - row.x[0];
    builder.assert_zero(byte.clone() * split);
    builder.bytes(low.into(), high.into(), byte.clone());
    let eighth = byte.clone() * low * F::from_u32(1 << 8);
    builder.assert_eq(row.top, eighth + half.clone() * row.x[0] + word64 * row.x[1]);
    let rest = row.top - row.sign * F::from_u32(1 << 15);
    builder.range(rest, 15, valid.clone() - wrap);

    let ones = row.sign * F::from_u32(0xffff);
    let extended = byte.clone() * (low + row.sign * F::from_u32(0xff00));
    builder.assert_eq(row.z[0], extended + (half.clone() + word64 + wrap) * row.x[0]);
    builder.assert_eq(row.z[1], (byte + half) * ones.clone() + (word64 + wrap) * row.x[1]);
    let wide = B::sum([byte64, half64, word64]);
    for limb in 2..4 {
        builder.assert_eq(row.z[limb], wide.clone() * ones.clone());
    }
    let op = opcode::<B, 6>(row.selectors, OPS);
    let values = [row.x.map(Into::into), row.z.map(Into::into)];
    unary::eval(builder, &row.unary, [op, valid], values, DELTA);
}
