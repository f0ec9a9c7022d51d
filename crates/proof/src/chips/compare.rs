//! The comparison of two cells that `BRC` and `SETC` share.
//!
//! # Argument
//! At most one marker is 1, and limbs above it are equal; with none, all limbs are equal.
//! The limbs are those of the operands, except that a signed comparison moves the top limb by 2^15
//! modulo 2^16, which turns signed order into unsigned order; the sign bit is proven by a range
//! check of the top limb without it.
//! At the marker the difference y - x, negated unless `less`, is `distance`, and `distance - 1` has
//! 16 bits; as the difference is between -2^16 and 2^16 and p is far above, `less` is the true
//! order and the limbs differ.

use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::{Builder, columns};

columns! {
    /// Columns.
    pub struct Compare {
        /// One for each relation: eq, ne, ltu, geu, lts32, ges32, lts64, ges64.
        relations: [T; 8],
        /// Marks the highest limb that differs.
        marks: [T; 4],
        /// 1 if x is less than y.
        less: T,
        /// y - x at the mark.
        difference: T,
        /// Its magnitude.
        distance: T,
        /// Limbs that hold the signs of x and y; 0 if the comparison is not signed.
        tops: [T; 2],
        /// Signs of x and y; 0 if the comparison is not signed.
        signs: [T; 2],
    }
}

/// Constrains the comparison of x and y where the sum of the relations is 1.
///
/// Returns the value of the relation, of degree 2, and 0 where no relation is selected.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Compare<B::Var>,
    x: &[B::Var; 4],
    y: &[B::Var; 4],
) -> B::Expr {
    let [eq, ne, ltu, geu, lts32, ges32, lts64, ges64] = row.relations;
    let valid = B::sum(row.relations);
    builder.booleans(row.relations);
    builder.assert_bool(valid.clone());
    builder.booleans(row.marks);
    builder.booleans(row.signs);
    builder.assert_bool(row.less);
    let differ = B::sum(row.marks);
    builder.assert_bool(differ.clone());
    builder.assert_zero(differ.clone() * (B::Expr::ONE - valid));
    builder.assert_zero((B::Expr::ONE - differ.clone()) * row.less);

    let (narrow, wide) = (lts32 + ges32, lts64 + ges64);
    let signed = narrow.clone() + wide.clone();
    for ((value, top), sign) in [x, y].into_iter().zip(row.tops).zip(row.signs) {
        let selected = narrow.clone() * value[1] + wide.clone() * value[3];
        builder.assert_eq(top, selected);
        builder.assert_zero((B::Expr::ONE - signed.clone()) * sign);
        builder.range(top - sign * F::from_u32(1 << 15), 15, signed.clone());
    }
    let shifted = |value: &[B::Var; 4], sign: B::Var| -> [B::Expr; 4] {
        let moved = B::constant(1 << 15) - sign * F::from_u32(1 << 16);
        let [v0, v1, v2, v3] = *value;
        let low = narrow.clone() * moved.clone() + v1;
        let high = wide.clone() * moved + v3;
        [v0.into(), low, v2.into(), high]
    };
    let (x, y) = (shifted(x, row.signs[0]), shifted(y, row.signs[1]));
    let mut above = B::Expr::ZERO;
    let mut difference = B::Expr::ZERO;
    for limb in (0..4).rev() {
        above += row.marks[limb].into();
        let delta = y[limb].clone() - x[limb].clone();
        builder.assert_zero((B::Expr::ONE - above.clone()) * delta.clone());
        difference += delta * row.marks[limb];
    }
    builder.assert_eq(row.difference, difference);
    let direction = row.less + row.less - B::Expr::ONE;
    builder.assert_eq(row.distance, direction * row.difference);
    builder.range(row.distance - B::Expr::ONE, 16, differ.clone());

    let less: B::Expr = row.less.into();
    (B::Expr::ONE - differ.clone()) * eq
        + differ * ne
        + less.clone() * (B::sum([ltu, lts32, lts64]))
        + (B::Expr::ONE - less) * (B::sum([geu, ges32, ges64]))
}
