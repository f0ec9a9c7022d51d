//! Chips: tables whose rows are executed instructions.
//!
//! Each module has the same shape: the opcodes, `DELTA`, the columns `Row`, the constraints `eval`,
//! and an argument why a row that satisfies them does what the opcode says and nothing else.
//! Rows are independent of each other, and a row of zeros sends nothing.

pub mod aligned;
pub mod alu;
pub mod below;
pub mod binary;
pub mod bit;
pub mod brc;
pub mod brtab;
pub mod call;
pub mod calli;
pub mod chg;
pub mod cnt;
pub mod compare;
pub mod div;
pub mod ext;
pub mod io;
pub mod jump;
pub mod ldw;
pub mod ldx;
pub mod memg;
pub mod movc;
pub mod mul;
pub mod select;
pub mod setc;
mod shift;
pub mod shl;
pub mod shl32;
pub mod shl64;
pub mod shr;
pub mod shr32;
pub mod shr64;
pub mod span;
pub mod stw;
pub mod stx;
pub mod unary;

use alloc::vec::Vec;

use kapsule_lower::isa::Op;
use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::Builder;

/// Returns the sum of selectors times the numbers of their opcodes.
fn opcode<B: Builder, const N: usize>(selectors: [B::Var; N], ops: [Op; N]) -> B::Expr {
    selectors.into_iter().zip(ops).map(|(selector, op)| selector * F::from_u8(op as u8)).sum()
}

/// Returns the limbs that consist of these bytes, low first, and zeros above them.
fn joined<B: Builder>(bytes: &[B::Expr]) -> [B::Expr; 4] {
    let byte = |index: usize| bytes.get(index).cloned().unwrap_or(B::Expr::ZERO);
    let base = F::from_u32(1 << 8);
    core::array::from_fn(|limb| byte(2 * limb) + byte(2 * limb + 1) * base)
}

/// Returns the limbs that consist of these columns of bytes, low first, and zeros above them.
fn limbs<B: Builder>(bytes: &[B::Var]) -> [B::Expr; 4] {
    let bytes: Vec<B::Expr> = bytes.iter().map(|byte| (*byte).into()).collect();
    joined::<B>(&bytes)
}

/// Returns these limbs, low first, and zeros above them.
fn padded<B: Builder>(limbs: &[B::Var]) -> [B::Expr; 4] {
    core::array::from_fn(|limb| limbs.get(limb).map_or(B::Expr::ZERO, |limb| (*limb).into()))
}

/// Returns the number with these bits, low first.
fn weighted<B: Builder>(bits: &[B::Var]) -> B::Expr {
    (0..).zip(bits).map(|(place, bit)| *bit * F::from_u32(1 << place)).sum()
}

/// Returns the number of the column that is 1, if one is.
fn marked<B: Builder>(marks: &[B::Var]) -> B::Expr {
    (0..).zip(marks).map(|(number, mark)| *mark * F::from_u32(number)).sum()
}
