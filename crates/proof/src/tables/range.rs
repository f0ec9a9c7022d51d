//! `RANGE`: every x below 2^bits for bits from 0 to 16, and one more zero row.

use alloc::vec::Vec;

use p3_field::PrimeCharacteristicRing;

use super::pad;
use crate::field::F;
use crate::machine::{Builder, RNG, Trace, columns};

/// Fixed columns: x, bits.
pub const FIXED_WIDTH: usize = 2;
/// Greatest number of bits.
pub const BITS_MAX: u32 = 16;

columns! {
    /// Main columns.
    pub struct Row {
        /// How often the number is provided.
        mult: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let tuple = super::fixed_cells::<B, FIXED_WIDTH>(builder);
    RNG.provide(builder, tuple, row.mult.into());
}

/// Returns the row that provides `x < 2^bits`, or `None` if none does.
#[must_use]
pub fn position(x: u32, bits: u32) -> Option<usize> {
    (bits <= BITS_MAX && x < 1 << bits).then(|| ((1 << bits) - 1 + x) as usize)
}

/// Returns the fixed columns.
pub fn fixed() -> Trace {
    let cells: Vec<F> = (0..=BITS_MAX)
        .flat_map(|bits| (0..1u32 << bits).flat_map(move |x| [x, bits]))
        .map(F::from_u32)
        .collect();
    pad(cells, FIXED_WIDTH)
}
