//! The address of an aligned access inside memory, which `LDW` and `STW` share.
//!
//! # Argument
//! The address is the low 32 bits of the base plus the offset, by limbs: the base is read as an
//! i32, so its limbs are canonical and the upper ones are 0, and the limbs of the offset are those
//! of the instruction.
//! Its low limb x0 + c0 - 2^16 carry is 8 q + 4 half with q below 2^13, so it is below 2^16 and a
//! multiple of 4; this leaves one carry, one q and one half, since both sides are small integers.
//! Its high limb is below 2^17, and `pages - 1 - high` has 16 bits, which a negative number has
//! not, so the page of the address is in memory, and with it the whole cell.
//! An access of 8 bytes is not in the upper half.

use kapsule_lower::isa::{MEMORY, PAGE_CELLS};
use p3_field::{Field, PrimeCharacteristicRing};

use crate::field::F;
use crate::machine::{Access, Builder, State, columns};

columns! {
    /// Columns.
    pub struct Aligned {
        /// Low limbs of the base.
        base: [T; 2],
        /// Access to the base.
        read: Access<T>,
        /// Limbs of the offset.
        offset: [T; 2],
        /// Carry out of the low limb.
        carry: T,
        /// 1 if the address is in the upper half of its cell.
        half: T,
    }
}

/// Constrains the selectors, of 4 bytes and of 8, and the address where one of them is 1.
///
/// Returns the cell, which is affine.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Aligned<B::Var>,
    (state, slot): (&State<B::Var>, B::Var),
    selectors: [B::Var; 2],
) -> B::Expr {
    let [narrow, wide] = selectors;
    let valid = narrow + wide;
    builder.booleans(selectors);
    builder.assert_bool(valid.clone());
    builder.booleans([row.carry, row.half]);
    let [b0, b1] = row.base.map(Into::into);
    let base = [b0.clone(), b1.clone(), B::Expr::ZERO, B::Expr::ZERO];
    builder.read(&row.read, state.ts.into(), state.fp + slot, base, valid.clone());
    let low = b0 + row.offset[0] - row.carry * F::from_u32(1 << 16);
    let cell = (low - row.half * F::from_u32(4)) * F::from_u32(8).inverse();
    builder.range(cell.clone(), 13, valid.clone());
    let high = b1 + row.offset[1] + row.carry;
    builder.range(state.pages - B::Expr::ONE - high.clone(), 16, valid);
    builder.assert_zero(wide * row.half);
    B::constant(MEMORY) + high * F::from_u32(PAGE_CELLS) + cell
}
