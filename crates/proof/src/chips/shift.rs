//! Parts that shifts in both directions share.

use p3_field::PrimeCharacteristicRing;

use super::{marked, weighted};
use crate::field::F;
use crate::machine::Builder;

/// Requires one mark where `valid` is 1, at the number that the bits above the low three are.
pub(super) fn places<B: Builder>(
    builder: &mut B,
    bits: &[B::Var],
    marks: &[B::Var],
    valid: &B::Expr,
) {
    builder.booleans(marks.iter().copied());
    let count: B::Expr = marks.iter().map(|mark| -> B::Expr { (*mark).into() }).sum();
    builder.assert_eq(count, valid.clone());
    builder.assert_eq(marked::<B>(marks), weighted::<B>(&bits[3..]));
}

/// Requires bytes, and that each byte of x times `power` is the number of its low and high byte.
pub(super) fn split<B: Builder, const N: usize>(
    builder: &mut B,
    [x, low, high]: [&[B::Var; N]; 3],
    power: &B::Expr,
    valid: &B::Expr,
) {
    for pair in x.chunks(2) {
        builder.bytes(pair[0].into(), pair[1].into(), valid.clone());
    }
    for ((x, low), high) in x.iter().zip(low).zip(high) {
        builder.bytes((*low).into(), (*high).into(), valid.clone());
        builder.assert_eq(power.clone() * *x, *high * F::from_u32(1 << 8) + *low);
    }
}
