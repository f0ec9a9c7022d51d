//! Shifts to the left and rotations, which `SHL32` and `SHL64` share.
//!
//! # Argument
//! Let W be the width in bits, which is 8 `N`.
//! The amount is the low limb of y modulo W: y0 - amount is W times a number, and both have so few
//! bits that their sum stays below 2^16.
//! `left` is by how much bits move to the left: the amount itself or, in a rotation to the right,
//! W `turn` - amount; as amount and `left` are below W, one `turn` and one `left` fit.
//! `excess` is 2^k - 1 for the low three bits k of `left`, and `places` marks the number in the
//! others.
//! Each byte of x times 2^k is `low` + 2^8 `high` for bytes, which is below 2^15 and therefore
//! unique; `low` is a multiple of 2^k and `high` is below 2^k, so `low` and the `high` of the byte
//! below it add up to a byte.
//! The result is these bytes, as many places up as are marked; those that leave at the top enter at
//! the bottom in a rotation, and zeros do in a shift.
//! It consists of bytes, so it needs no range check.

use kapsule_lower::isa::Op;
use p3_field::{Field, PrimeCharacteristicRing};

use super::binary::{self, Binary, Form};
use super::shift::{places, split};
use super::{joined, limbs, opcode, padded, weighted};
use crate::field::F;
use crate::machine::{Builder, columns};

columns! {
    /// Columns, for `N` bytes in `L` limbs and amounts of `M` bits.
    pub struct ShiftLeft<const N: usize, const L: usize, const M: usize> {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// One for each opcode.
        selectors: [T; 5],
        /// Bytes of the first operand.
        x: [T; N],
        /// Second operand.
        y: [T; L],
        /// The amount.
        amount: T,
        /// Bits of the amount to the left.
        left: [T; M],
        /// 1 for a rotation to the right, unless by 0.
        turn: T,
        /// 2 to the number in the low three bits, less 1.
        excess: T,
        /// Marks the number in the other bits.
        places: [T; N],
        /// Low bytes of the products.
        low: [T; N],
        /// High bytes of the products.
        high: [T; N],
        /// The highest of them in a rotation, else 0.
        wrapped: T,
        /// Result.
        z: [T; L],
    }
}

/// Constrains a row; the opcodes are shift, shift by a constant, rotation, rotation by a constant,
/// and rotation to the right.
pub(super) fn eval<B: Builder, const N: usize, const L: usize, const M: usize>(
    builder: &mut B,
    row: &ShiftLeft<B::Var, N, L, M>,
    ops: [Op; 5],
    delta: u32,
) {
    let [_, shift_by, rotate, rotate_by, right] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    amount(builder, row, &valid);
    let cyclic = B::sum([rotate, rotate_by, right]);
    let moved = moved(builder, row, &valid, &cyclic);
    let place = |byte: usize| -> B::Expr {
        let from = |up: usize| -> B::Expr {
            let value = moved[(N + byte - up) % N].clone() * row.places[up];
            if up <= byte { value } else { value * cyclic.clone() }
        };
        (0..N).map(from).sum()
    };
    let bytes: [B::Expr; N] = core::array::from_fn(place);
    for (limb, value) in row.z.into_iter().zip(joined::<B>(&bytes)) {
        builder.assert_eq(limb, value);
    }

    let form = Form {
        op: opcode::<B, 5>(row.selectors, ops),
        written: valid.clone(),
        valid,
        immediate: Some(shift_by + rotate_by),
    };
    let operands = [limbs::<B>(&row.x), padded::<B>(&row.y), padded::<B>(&row.z)];
    let next = B::following(&row.binary.state);
    binary::eval(builder, &row.binary, form, operands, (next, delta));
}

/// Constrains by how much bits move.
fn amount<B: Builder, const N: usize, const L: usize, const M: usize>(
    builder: &mut B,
    row: &ShiftLeft<B::Var, N, L, M>,
    valid: &B::Expr,
) {
    builder.booleans(row.left);
    builder.assert_bool(row.turn);
    let bits = M as u32;
    let width = F::from_u32(1 << bits);
    builder.range(row.amount.into(), bits, valid.clone());
    let rest = (row.y[0] - row.amount) * width.inverse();
    builder.range(rest, 16 - bits, valid.clone());
    let right = row.selectors[4];
    let left = weighted::<B>(&row.left);
    let same = (valid.clone() - right) * (left.clone() - row.amount);
    let turned = row.turn * width - row.amount;
    builder.assert_zero(same + (left - turned) * right);
    places(builder, &row.left, &row.places, valid);
}

/// Constrains the products and returns the bytes before they change places.
fn moved<B: Builder, const N: usize, const L: usize, const M: usize>(
    builder: &mut B,
    row: &ShiftLeft<B::Var, N, L, M>,
    valid: &B::Expr,
    cyclic: &B::Expr,
) -> [B::Expr; N] {
    let one = B::Expr::ONE;
    let [e0, e1, e2] = [row.left[0], row.left[1], row.left[2]];
    let power = row.excess + one.clone();
    let second = e1 * F::from_u8(3) + one.clone();
    let third = e2 * F::from_u8(15) + one.clone();
    builder.assert_eq(power.clone(), (e0 + one) * second * third);
    split(builder, [&row.x, &row.low, &row.high], &power, valid);
    builder.assert_eq(row.wrapped, cyclic.clone() * row.high[N - 1]);
    core::array::from_fn(|byte| match byte {
        0 => row.low[0] + row.wrapped,
        _ => row.low[byte] + row.high[byte - 1],
    })
}
