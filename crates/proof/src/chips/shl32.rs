//! `SHL32`: shifts to the left and rotations of 32 bits.
//!
//! # Argument
//! That of [`shl`], for 4 bytes.

use kapsule_lower::isa::{Chip, Op};

use super::shl;
use crate::machine::Builder;

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Shl32.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 5] = [Op::Shl32, Op::Shl32I, Op::Rotl32, Op::Rotl32I, Op::Rotr32];

/// Columns.
pub type Row<T> = shl::ShiftLeft<T, 4, 2, 5>;

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    shl::eval(builder, row, OPS, DELTA);
}
