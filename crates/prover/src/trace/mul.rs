//! Rows of `MUL`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::mul::{OPS, Row};
use kapsule_proof::field::{F, element};

use super::binary;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, y) = (record.cell(0).value, binary::second(record));
    let limbs = if matches!(record.instr().op, Op::Mul64 | Op::Mul64I) { 4 } else { 2 };
    Row {
        binary: binary::columns(record),
        selectors: record.selectors(OPS),
        x: binary::bytes(x),
        y: binary::bytes(y),
        z: record.cell(2).new,
        carry: carries(x, y, [0; 4], limbs).map(element),
    }
}

/// Returns the carries out of the low limbs of the product plus `added`; those above `limbs` are 0.
pub(super) fn carries(x: u64, y: u64, added: [u32; 4], limbs: usize) -> [u32; 4] {
    let (x, y) = (x.to_le_bytes().map(u32::from), y.to_le_bytes().map(u32::from));
    let place = |sum: usize| (0..=sum).map(|low| x[low] * y[sum - low]).sum::<u32>();
    let mut carry = 0;
    core::array::from_fn(|limb| {
        carry = (place(2 * limb) + (place(2 * limb + 1) << 8) + added[limb] + carry) >> 16;
        if limb < limbs { carry } else { 0 }
    })
}
