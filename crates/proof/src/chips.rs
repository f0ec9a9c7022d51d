//! Chips: tables whose rows are executed instructions.
//!
//! Each module has the same shape: the opcodes, `DELTA`, the columns `Row`, the constraints `eval`,
//! and an argument why a row that satisfies them does what the opcode says and nothing else.
//! Rows are independent of each other, and a row of zeros sends nothing.

pub mod alu;
pub mod brc;
pub mod call;
pub mod compare;
pub mod io;
pub mod jump;
pub mod movc;

use kapsule_lower::isa::Op;
use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::Builder;

/// Returns the sum of selectors times the numbers of their opcodes.
fn opcode<B: Builder, const N: usize>(selectors: [B::Var; N], ops: [Op; N]) -> B::Expr {
    selectors.into_iter().zip(ops).map(|(selector, op)| selector * F::from_u8(op as u8)).sum()
}
