//! `SHR32`: shifts to the right of 32 bits.
//!
//! # Argument
//! That of [`shr`], for 4 bytes.

use kapsule_lower::isa::{Chip, Op};

use super::shr;
use crate::machine::Builder;

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Shr32.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 4] = [Op::ShrU32, Op::ShrU32I, Op::ShrS32, Op::ShrS32I];

/// Columns.
pub type Row<T> = shr::ShiftRight<T, 4, 2, 5>;

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    shr::eval(builder, row, OPS, DELTA);
}
