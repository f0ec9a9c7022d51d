//! `SHL64`: shifts to the left and rotations of 64 bits.
//!
//! # Argument
//! That of [`shl`], for 8 bytes.

use kapsule_lower::isa::{Chip, Op};

use super::shl;
use crate::machine::Builder;

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Shl64.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 5] = [Op::Shl64, Op::Shl64I, Op::Rotl64, Op::Rotl64I, Op::Rotr64];

/// Columns.
pub type Row<T> = shl::ShiftLeft<T, 8, 4, 6>;

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    shl::eval(builder, row, OPS, DELTA);
}
