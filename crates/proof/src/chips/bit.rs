//! `BIT`: and, or, xor.
//!
//! # Argument
//! Both operands are columns of bytes, whose limbs are what is read; a query of `AND` for each pair
//! of bytes proves that they are bytes and yields their conjunction n.
//! For bytes x and y the disjunction is x + y - n and the difference x + y - 2n, again bytes, so
//! the limbs of the result are canonical without a range check.
//! The operation serves both widths, because upper limbs of zeros yield zeros.

use kapsule_lower::isa::{Chip, Op};

use super::binary::{self, Binary, Form};
use super::{limbs, opcode};
use crate::machine::{AND, Builder, columns};

/// Steps of time: two reads and a write.
pub const DELTA: u32 = Chip::Bit.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 6] = [Op::And, Op::AndI, Op::Or, Op::OrI, Op::Xor, Op::XorI];

columns! {
    /// Columns.
    pub struct Row {
        /// State, operands and accesses.
        binary: Binary<T>,
        /// One for each opcode.
        selectors: [T; 6],
        /// Bytes of the first operand.
        x: [T; 8],
        /// Bytes of the second operand.
        y: [T; 8],
        /// Bytes of the conjunction.
        both: [T; 8],
        /// Result.
        z: [T; 4],
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [and, andi, or, ori, xor, xori] = row.selectors;
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    for ((x, y), both) in row.x.into_iter().zip(row.y).zip(row.both) {
        AND.query(builder, [x.into(), y.into(), both.into()], valid.clone());
    }
    let (and, or, xor) = (and + andi, or + ori, xor + xori);
    let [x, y, both] = [row.x, row.y, row.both].map(|bytes| limbs::<B>(&bytes));
    for limb in 0..4 {
        let (sum, both) = (x[limb].clone() + y[limb].clone(), both[limb].clone());
        let either = or.clone() * (sum.clone() - both.clone());
        let differ = xor.clone() * (sum - both.clone() - both.clone());
        builder.assert_eq(row.z[limb], and.clone() * both + either + differ);
    }
    let form = Form {
        op: opcode::<B, 6>(row.selectors, OPS),
        written: valid.clone(),
        valid,
        immediate: Some(B::sum([andi, ori, xori])),
    };
    let next = B::following(&row.binary.state);
    let z = row.z.map(Into::into);
    binary::eval(builder, &row.binary, form, [x, y, z], (next, DELTA));
}
