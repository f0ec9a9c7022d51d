//! Tables that execute nothing: fixed ones, the frame of a run, and the hash of its transcript.

pub mod absorb;
pub mod boundary;
pub mod bytes;
pub mod cnt8;
pub mod connector;
pub mod image;
pub mod poseidon2;
pub mod program;
pub mod range;

use alloc::vec::Vec;

use p3_air::WindowAccess;
use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::{Builder, Trace};

/// Smallest height of a table: below it the low-degree test has nothing to fold.
pub const HEIGHT_MIN: usize = 64;

/// Fills rows of `width` cells with zero rows up to a power of two.
pub fn pad(mut cells: Vec<F>, width: usize) -> Trace {
    let height = (cells.len() / width).next_power_of_two().max(HEIGHT_MIN);
    cells.resize(height * width, F::ZERO);
    Trace::new(cells, width)
}

/// Returns the fixed cells of the current row.
///
/// # Panics
/// If the table has fewer, which is a mistake in its width.
fn fixed_cells<B: Builder, const W: usize>(builder: &B) -> [B::Expr; W] {
    let cells = builder.preprocessed().current_slice();
    core::array::from_fn(|column| cells[column].into())
}
