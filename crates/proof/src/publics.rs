//! The public values of a segment, in their order.
//!
//! # Spec
//! `spec/proof.md` section 4.

use alloc::vec::Vec;

use kapsule_lower::LProgram;
use kapsule_lower::isa::STACK_BASE;
use p3_field::PrimeCharacteristicRing;

use crate::field::{F, draw, limbs};
use crate::statement::SegmentPublic;

/// Number of public values.
pub const COUNT: usize = 61;

/// Position of the first public value that a column of `CONNECTOR` is equal to.
pub const TIED_FIRST: usize = 2;
/// Number of public values from there that columns are equal to.
pub const TIED: usize = 35;

/// The state that a segment starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Program counter of the entry stub.
    pub pc: u32,
    /// Initial pages.
    pub pages: u32,
    /// Transcript digest after the preamble.
    pub transcript: [u32; 8],
}

impl Start {
    /// Returns the start of a run of `program` at `pc` with this transcript.
    #[must_use]
    pub const fn new(program: &LProgram, pc: u32, transcript: [u32; 8]) -> Self {
        Self { pc, pages: program.memory.pages_initial, transcript }
    }
}

/// Returns the public values of the only segment of a run.
pub fn values(start: &Start, end: &SegmentPublic, program_digest: &[u8; 32]) -> Vec<F> {
    let mut values = Vec::with_capacity(COUNT);
    let [seg_index, is_final] = [0, 1];
    values.extend([seg_index, is_final].map(F::from_u32));
    values.extend([start.pc, STACK_BASE, start.pages].map(F::from_u32));
    values.extend([end.pc_out, end.fp_out, end.pages_out].map(F::from_u32));
    values.extend([end.ts_out, end.fuel_static].map(F::from_u32));
    values.extend(limbs(end.fuel_dyn));
    values.push(F::from_bool(end.oof_cost.is_some()));
    values.push(F::from_u8(end.oof_cost.unwrap_or(0)));
    let units = end.dyn_n.unwrap_or(0);
    values.push(F::from_bool(end.dyn_n.is_some()));
    values.extend([units & 0xffff, units >> 16].map(F::from_u32));
    values.push(F::from_bool(end.tx_pad));
    values.push(F::from_u32(end.tx_events));
    values.extend(start.transcript.map(F::from_u32));
    values.extend(end.tx_out.map(F::from_u32));
    let roots = [F::ZERO; 16];
    values.extend(roots);
    values.extend(draw(program_digest).map(F::from_u32));
    values
}
