//! `PROGRAM`: one row for each instruction, provided as often as it was executed.
//!
//! Unused rows have program counter 0 and opcode 0, which no chip asks for.

use alloc::vec::Vec;

use kapsule_lower::LProgram;
use kapsule_lower::isa::PC_CODE;
use p3_field::PrimeCharacteristicRing;

use super::pad;
use crate::field::F;
use crate::machine::{Builder, PROG, Trace, columns};

/// Fixed columns: pc, op, a, b, c0 to c3, cost.
pub const FIXED_WIDTH: usize = 9;

columns! {
    /// Main columns.
    pub struct Row {
        /// How often the instruction is provided.
        mult: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let tuple = super::fixed_cells::<B, FIXED_WIDTH>(builder);
    PROG.provide(builder, tuple, row.mult.into());
}

/// Returns the fixed columns.
pub fn fixed(program: &LProgram) -> Trace {
    let mut cells = Vec::with_capacity(program.code.len() * FIXED_WIDTH);
    for (pc, instr) in (PC_CODE..).zip(&program.code) {
        cells.extend([pc, instr.op as u32, instr.a, instr.b].map(F::from_u32));
        cells.extend(instr.c.map(F::from_u16));
        cells.push(F::from_u8(instr.cost));
    }
    pad(cells, FIXED_WIDTH)
}
