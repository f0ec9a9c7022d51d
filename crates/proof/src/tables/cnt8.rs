//! `CNT8`: every byte with its leading zeros, trailing zeros and set bits.

use alloc::vec::Vec;

use p3_field::PrimeCharacteristicRing;

use super::pad;
use crate::field::F;
use crate::machine::{Builder, CNT, Trace, columns};

/// Fixed columns: x, leading zeros, trailing zeros, set bits.
pub const FIXED_WIDTH: usize = 4;

columns! {
    /// Main columns.
    pub struct Row {
        /// How often the byte is provided.
        mult: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let tuple = super::fixed_cells::<B, FIXED_WIDTH>(builder);
    CNT.provide(builder, tuple, row.mult.into());
}

/// Returns the fixed columns.
pub fn fixed() -> Trace {
    let cells: Vec<F> = (0..=u8::MAX)
        .flat_map(|x| [u32::from(x), x.leading_zeros(), x.trailing_zeros(), x.count_ones()])
        .map(F::from_u32)
        .collect();
    pad(cells, FIXED_WIDTH)
}
