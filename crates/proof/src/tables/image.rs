//! `IMAGE`: every cell that is not zero at the start, each of which `BOUNDARY` must take once.

use alloc::vec::Vec;

use kapsule_lower::LProgram;
use p3_field::PrimeCharacteristicRing;

use super::pad;
use crate::field::{F, limbs};
use crate::machine::{Builder, IMG, Trace, columns};

/// Fixed columns: address, four limbs, 1 on rows in use.
pub const FIXED_WIDTH: usize = 6;

columns! {
    /// Main columns: a table needs one.
    pub struct Row {
        /// Always 0.
        zero: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    builder.assert_zero(row.zero);
    let [addr, v0, v1, v2, v3, used] = super::fixed_cells::<B, FIXED_WIDTH>(builder);
    IMG.send(builder, [addr, v0, v1, v2, v3], used);
}

/// Returns the fixed columns.
pub fn fixed(program: &LProgram) -> Trace {
    let mut cells = Vec::new();
    for (addr, value) in program.image() {
        cells.push(F::from_u32(addr));
        cells.extend(limbs(value));
        cells.push(F::ONE);
    }
    pad(cells, FIXED_WIDTH)
}
