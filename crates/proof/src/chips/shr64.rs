//! `SHR64`: shifts to the right of 64 bits.
//!
//! # Argument
//! That of [`shr`], for 8 bytes.

use kapsule_lower::isa::{Chip, Op};

use super::shr;
use crate::machine::Builder;

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Shr64.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 4] = [Op::ShrU64, Op::ShrU64I, Op::ShrS64, Op::ShrS64I];

/// Columns.
pub type Row<T> = shr::ShiftRight<T, 8, 4, 6>;

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    shr::eval(builder, row, OPS, DELTA);
}
