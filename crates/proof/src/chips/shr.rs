//! Shifts to the right, which `SHR32` and `SHR64` share.
//!
//! # Argument
//! Let W be the width in bits, which is 8 `N`.
//! The amount, given by its bits, is the low limb of y modulo W: y0 less the amount is W times a
//! number of so few bits that the sum stays below 2^16.
//! `deficit` is 2^8 - 2^(8 - k) for the low three bits k of the amount, and `places` marks the
//! number in the others.
//! Each byte of x times 2^(8 - k) is `low` + 2^8 `high` for bytes, which is below 2^16 and
//! therefore unique; `high` is below 2^(8 - k) and `low` a multiple of it, so `high` and the `low`
//! of the byte above it add up to a byte.
//! `sign` is 0 unless the shift is arithmetic, and then the highest bit of the top byte, since the
//! rest of that byte has 7 bits; above the top byte there are bytes 255 `sign`, whose `low` is
//! `deficit` where `sign` is 1.
//! The result is these bytes, as many places down as are marked, and bytes 255 `sign` above them;
//! it needs no range check.

use kapsule_lower::isa::Op;
use p3_field::{Field, PrimeCharacteristicRing};

use super::binary::{self, Binary, Form};
use super::shift::{places, split};
use super::{joined, limbs, opcode, padded, weighted};
use crate::field::F;
use crate::machine::{Builder, columns};

columns! {
    /// Columns, for `N` bytes in `L` limbs and amounts of `M` bits.
    pub struct ShiftRight<const N: usize, const L: usize, const M: usize> {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// One for each opcode.
        selectors: [T; 4],
        /// Bytes of the first operand.
        x: [T; N],
        /// Second operand.
        y: [T; L],
        /// Bits of the amount.
        amount: [T; M],
        /// 2^8, less 2 to 8 less the number in the low three bits.
        deficit: T,
        /// Marks the number in the other bits.
        places: [T; N],
        /// Low bytes of the products.
        low: [T; N],
        /// High bytes of the products.
        high: [T; N],
        /// 1 if ones enter at the top.
        sign: T,
        /// Low byte of the product of the byte above the top.
        above: T,
        /// Result.
        z: [T; L],
    }
}

/// Constrains a row; the opcodes are logical and arithmetic shift, each also by a constant.
pub(super) fn eval<B: Builder, const N: usize, const L: usize, const M: usize>(
    builder: &mut B,
    row: &ShiftRight<B::Var, N, L, M>,
    ops: [Op; 4],
    delta: u32,
) {
    let [_, logical_by, arithmetic, arithmetic_by] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    builder.booleans(row.amount);
    let (bits, width) = (M as u32, F::from_u32(1 << M));
    let rest = (-weighted::<B>(&row.amount) + row.y[0]) * width.inverse();
    builder.range(rest, 16 - bits, valid.clone());
    places(builder, &row.amount, &row.places, &valid);
    let signed = arithmetic + arithmetic_by;
    builder.assert_bool(row.sign);
    builder.assert_zero((B::Expr::ONE - signed.clone()) * row.sign);
    builder.range(row.x[N - 1] - row.sign * F::from_u32(1 << 7), 7, signed);

    let moved = moved(builder, row, &valid);
    let place = |byte: usize| -> B::Expr {
        let from = |down: usize| -> B::Expr {
            let value = match moved.get(byte + down) {
                Some(value) => value.clone(),
                None => row.sign * F::from_u8(u8::MAX),
            };
            value * row.places[down]
        };
        (0..N).map(from).sum()
    };
    let bytes: [B::Expr; N] = core::array::from_fn(place);
    for (limb, value) in row.z.into_iter().zip(joined::<B>(&bytes)) {
        builder.assert_eq(limb, value);
    }

    let form = Form {
        op: opcode::<B, 4>(row.selectors, ops),
        written: valid.clone(),
        valid,
        immediate: Some(logical_by + arithmetic_by),
    };
    let operands = [limbs::<B>(&row.x), padded::<B>(&row.y), padded::<B>(&row.z)];
    let next = B::following(&row.binary.state);
    binary::eval(builder, &row.binary, form, operands, (next, delta));
}

/// Constrains the products and returns the bytes before they change places.
fn moved<B: Builder, const N: usize, const L: usize, const M: usize>(
    builder: &mut B,
    row: &ShiftRight<B::Var, N, L, M>,
    valid: &B::Expr,
) -> [B::Expr; N] {
    let [e0, e1, e2] = [row.amount[0], row.amount[1], row.amount[2]];
    let power = B::constant(1 << 8) - row.deficit;
    let factor = |bit: B::Var, whole: u32, less: u32| B::constant(whole) - bit * F::from_u32(less);
    builder.assert_eq(power.clone(), factor(e0, 2, 1) * factor(e1, 4, 3) * factor(e2, 32, 30));
    split(builder, [&row.x, &row.low, &row.high], &power, valid);
    builder.assert_eq(row.above, row.sign * row.deficit);
    core::array::from_fn(|byte| match row.low.get(byte + 1) {
        Some(low) => row.high[byte] + *low,
        None => row.high[byte] + row.above,
    })
}
