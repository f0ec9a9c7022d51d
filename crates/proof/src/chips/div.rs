//! `DIV`: quotients and remainders.
//!
//! # Argument
//! Let w be the width; in 32 bits the upper limbs of both operands are 0.
//! A sign is 0 unless the form is signed, and then the highest bit of the operand, since the rest
//! of its top limb has 15 bits.
//! A magnitude is the operand, or 2^w less it where the sign is 1, by limbs with boolean carries
//! and canonical limbs or bytes; so it is unique.
//! `quotient` times the divisor plus `remainder` is the dividend, in magnitudes: the low limbs by
//! the sums of [`mul`](super::mul), and all products above them, which are not negative and whose
//! sum is far below p, are 0 together with the last carry.
//! Unless the divisor is 0, divisor - 1 - remainder has canonical limbs with borrows and no last
//! borrow, so the remainder is the lesser, and quotient and remainder are unique.
//! `zero` is 1 exactly if the sum of the limbs of the divisor, below 2^18, has no inverse.
//! The quotient of a signed division has its highest bit, `high`, only if the dividend is -2^(w-1)
//! and the divisor 1 or -1, and it overflows where the signs are equal; with divisor 0 `high` is 0.
//! The result is the quotient or the remainder, with the sign of the signs' product or of the
//! dividend, again by limbs, modulo 2^w, and range-checked.
//! A trap writes nothing; at most one of the two happens.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Chip, Op, trap_pc};
use p3_field::PrimeCharacteristicRing;

use super::binary::{self, Binary, Form};
use super::mul::products;
use super::{limbs, opcode};
use crate::field::F;
use crate::machine::{Builder, Next, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Div.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 8] = [
    Op::DivS32,
    Op::DivU32,
    Op::RemS32,
    Op::RemU32,
    Op::DivS64,
    Op::DivU64,
    Op::RemS64,
    Op::RemU64,
];

/// Bits of a carry between sums of products.
const CARRY_BITS: u32 = 12;

columns! {
    /// A number that is another one or 2^w less it.
    pub struct Negation {
        /// 1 if it is 2^w less the other.
        negated: T,
        /// The same in 64 bits, 0 in 32.
        upper: T,
        /// Carries out of the limbs of the sum of both.
        carry: [T; 4],
    }
}

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// One for each opcode.
        selectors: [T; 8],
        /// Dividend.
        x: [T; 4],
        /// Divisor.
        y: [T; 4],
        /// Limbs that hold the signs of both; 0 if the form is not signed.
        tops: [T; 2],
        /// Sign of the dividend as a negation.
        sign_x: Negation<T>,
        /// Sign of the divisor as a negation.
        sign_y: Negation<T>,
        /// Magnitude of the dividend.
        dividend: [T; 4],
        /// Bytes of the magnitude of the divisor.
        divisor: [T; 8],
        /// Bytes of the magnitude of the quotient.
        quotient: [T; 8],
        /// Magnitude of the remainder.
        remainder: [T; 4],
        /// Carries out of the limbs of the product.
        carry: [T; 4],
        /// Borrows from the limbs of the divisor.
        borrow: [T; 3],
        /// 1 if the divisor is 0.
        zero: T,
        /// Inverse of the sum of the limbs of the divisor, if it has one.
        inverse: T,
        /// 1 if the signs differ.
        differ: T,
        /// Byte that has the highest bit of a quotient; 0 unless the form is a signed division.
        top: T,
        /// That bit.
        high: T,
        /// 1 if the quotient overflows.
        overflow: T,
        /// Magnitude of the result.
        magnitude: [T; 4],
        /// Result.
        z: [T; 4],
        /// Sign of the result as a negation.
        sign: Negation<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [divs32, divu32, rems32, remu32, divs64, divu64, rems64, remu64] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let wide = B::sum([divs64, divu64, rems64, remu64]);
    let narrow_signed = divs32 + rems32;
    signs(builder, row, &[narrow_signed, divs64 + rems64], &wide);
    quotient(builder, row, &valid);

    let divided = B::sum([divs32, divu32, divs64, divu64]);
    let rest = B::sum([rems32, remu32, rems64, remu64]);
    overflow(builder, row, [divs32, divs64]);
    let sign = divided.clone() * row.differ + rest.clone() * row.sign_x.negated;
    builder.assert_eq(row.sign.negated, sign);
    for (limb, whole) in limbs::<B>(&row.quotient).into_iter().enumerate() {
        let chosen = divided.clone() * whole + rest.clone() * row.remainder[limb];
        builder.assert_eq(row.magnitude[limb], chosen);
        builder.range(row.z[limb].into(), 16, valid.clone());
    }
    let (z, magnitude) = (row.z.map(Into::into), row.magnitude.map(Into::into));
    negation(builder, &row.sign, [&z, &magnitude], &wide);

    let following = B::following(&row.binary.state);
    let trap = |trap: Trap| B::constant(trap_pc(trap)) - following.pc.clone();
    let traps = trap(Trap::DivisionByZero) * row.zero + trap(Trap::IntegerOverflow) * row.overflow;
    builder.assert_eq(row.next, traps + row.binary.state.pc + valid.clone());
    let next = Next { pc: row.next.into(), ..following };
    let form = Form {
        op: opcode::<B, 8>(row.selectors, OPS),
        written: valid.clone() - row.zero - row.overflow,
        valid,
        immediate: None,
    };
    let operands = [row.x.map(Into::into), row.y.map(Into::into), z];
    binary::eval(builder, &row.binary, form, operands, (next, DELTA));
}

/// Constrains the signs of the operands and their magnitudes; `signed` selects 32 and 64 bits.
fn signs<B: Builder>(
    builder: &mut B,
    row: &Row<B::Var>,
    [narrow, wide]: &[B::Expr; 2],
    all_wide: &B::Expr,
) {
    let signed = narrow.clone() + wide.clone();
    let operands = [(row.x, row.tops[0], &row.sign_x), (row.y, row.tops[1], &row.sign_y)];
    for (value, top, sign) in operands {
        builder.assert_eq(top, narrow.clone() * value[1] + wide.clone() * value[3]);
        builder.assert_zero((B::Expr::ONE - signed.clone()) * sign.negated);
        builder.range(top - sign.negated * F::from_u32(1 << 15), 15, signed.clone());
    }
    let (x, dividend) = (row.x.map(Into::into), row.dividend.map(Into::into));
    negation(builder, &row.sign_x, [&x, &dividend], all_wide);
    let (y, divisor) = (row.y.map(Into::into), limbs::<B>(&row.divisor));
    negation(builder, &row.sign_y, [&y, &divisor], all_wide);
    let (x, y) = (row.sign_x.negated, row.sign_y.negated);
    builder.assert_eq(row.differ, (B::Expr::ONE - y - y) * x + y);
}

/// Requires that two numbers are equal, or add up to 2^w or to 0 where `negated` is 1.
fn negation<B: Builder>(
    builder: &mut B,
    row: &Negation<B::Var>,
    [x, y]: [&[B::Expr; 4]; 2],
    wide: &B::Expr,
) {
    builder.assert_bool(row.negated);
    builder.booleans(row.carry);
    builder.assert_eq(row.upper, wide.clone() * row.negated);
    let mut carried = B::Expr::ZERO;
    for limb in 0..4 {
        let negated = if limb < 2 { row.negated } else { row.upper };
        let out = row.carry[limb] * F::from_u32(1 << 16);
        let (x, y) = (x[limb].clone(), y[limb].clone());
        let sum = x.clone() + y.clone() + carried - out;
        builder.assert_zero((B::Expr::ONE - negated) * (x - y) + sum * negated);
        carried = row.carry[limb].into();
    }
}

/// Constrains quotient and remainder of the magnitudes, and whether the divisor is 0.
fn quotient<B: Builder>(builder: &mut B, row: &Row<B::Var>, valid: &B::Expr) {
    for bytes in [row.divisor, row.quotient] {
        for pair in bytes.chunks(2) {
            builder.bytes(pair[0].into(), pair[1].into(), valid.clone());
        }
    }
    let mut carried = B::Expr::ZERO;
    for (limb, sum) in products::<B>(&row.quotient, &row.divisor).into_iter().enumerate() {
        for value in [row.dividend[limb], row.remainder[limb]] {
            builder.range(value.into(), 16, valid.clone());
        }
        builder.range(row.carry[limb].into(), CARRY_BITS, valid.clone());
        let out = row.carry[limb] * F::from_u32(1 << 16);
        builder.assert_eq(sum + row.remainder[limb] + carried, out + row.dividend[limb]);
        carried = row.carry[limb].into();
    }
    let beyond = |low: usize| -> B::Expr {
        (8 - low..8).map(|high| -> B::Expr { row.quotient[low] * row.divisor[high] }).sum()
    };
    builder.assert_zero((1..8).map(beyond).sum::<B::Expr>() + carried);

    builder.assert_bool(row.zero);
    let sum = B::sum(row.y);
    builder.assert_zero(sum.clone() * row.zero);
    builder.assert_eq(sum * row.inverse, valid.clone() - row.zero);
    builder.booleans(row.borrow);
    let mut borrowed = B::Expr::ONE;
    for (limb, divisor) in limbs::<B>(&row.divisor).into_iter().enumerate() {
        let borrow = row.borrow.get(limb).map_or(B::Expr::ZERO, |borrow| (*borrow).into());
        let less = divisor - row.remainder[limb] - borrowed;
        let distance = less + borrow.clone() * F::from_u32(1 << 16);
        builder.range(distance, 16, valid.clone() - row.zero);
        borrowed = borrow;
    }
}

/// Constrains whether the quotient of a signed division, of 32 or of 64 bits, overflows.
fn overflow<B: Builder>(builder: &mut B, row: &Row<B::Var>, [narrow, wide]: [B::Var; 2]) {
    let signed = narrow + wide;
    builder.assert_eq(row.top, narrow * row.quotient[3] + wide * row.quotient[7]);
    builder.assert_bool(row.high);
    builder.assert_zero((B::Expr::ONE - signed.clone()) * row.high);
    builder.assert_zero(row.zero * row.high);
    builder.range(row.top - row.high * F::from_u32(1 << 7), 7, signed);
    builder.assert_eq(row.overflow, (B::Expr::ONE - row.differ.into()) * row.high);
}
