//! `BYTES`: every pair of bytes, with its conjunction.

use alloc::vec::Vec;

use p3_field::PrimeCharacteristicRing;

use super::pad;
use crate::field::F;
use crate::machine::{AND, BYTE2, Builder, Trace, columns};

/// Fixed columns: x, y, x and y.
pub const FIXED_WIDTH: usize = 3;

columns! {
    /// Main columns.
    pub struct Row {
        /// How often the pair is provided.
        mult_pair: T,
        /// How often the pair is provided with its conjunction.
        mult_and: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [x, y, and] = super::fixed_cells::<B, FIXED_WIDTH>(builder);
    BYTE2.provide(builder, [x.clone(), y.clone()], row.mult_pair.into());
    AND.provide(builder, [x, y, and], row.mult_and.into());
}

/// Returns the row that provides a pair.
#[must_use]
pub fn position(x: u8, y: u8) -> usize {
    usize::from(x) << 8 | usize::from(y)
}

/// Returns the fixed columns.
pub fn fixed() -> Trace {
    let cells: Vec<F> = (0..=u8::MAX)
        .flat_map(|x| (0..=u8::MAX).flat_map(move |y| [x, y, x & y]))
        .map(F::from_u8)
        .collect();
    pad(cells, FIXED_WIDTH)
}
