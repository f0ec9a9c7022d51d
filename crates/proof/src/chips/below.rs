//! Whether one 32-bit number is below another, which `BRTAB` and `CALLI` share.
//!
//! # Argument
//! `distance` is bound - 1 - number where the row claims that the number is below the bound, and
//! number - bound where it claims that it is not, subtracted limb by limb with one borrow from the
//! low limb and none from the high one.
//! Both its limbs have 16 bits, so it is not negative, and the claim is true; all limbs are
//! canonical, so nothing comes near p.

use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::{Builder, columns};

columns! {
    /// Columns.
    pub struct Below {
        /// Borrow from the high limb.
        borrow: T,
        /// Limbs of the distance.
        distance: [T; 2],
    }
}

/// Proves that the number is below the bound where `below` is 1, and that it is not where `other`
/// is.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Below<B::Var>,
    [number, bound]: [[B::Expr; 2]; 2],
    [below, other]: [B::Expr; 2],
) {
    builder.assert_bool(row.borrow);
    let ([n0, n1], [b0, b1]) = (number, bound);
    let (low, high) = (b0 - n0, b1 - n1);
    let one = B::Expr::ONE;
    let low = below.clone() * (low.clone() - one) - other.clone() * low;
    let high = below.clone() * high.clone() - other.clone() * high;
    builder.assert_eq(row.distance[0], low + row.borrow * F::from_u32(1 << 16));
    builder.assert_eq(row.distance[1], high - row.borrow);
    for limb in row.distance {
        builder.range(limb.into(), 16, below.clone() + other.clone());
    }
}
