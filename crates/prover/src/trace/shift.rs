//! Rows of `SHL32`, `SHL64`, `SHR32` and `SHR64`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::shl::ShiftLeft;
use kapsule_proof::chips::shr::ShiftRight;
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::binary;
use super::record::Record;

/// Returns the low and the high bytes of the products of bytes and a power of two.
fn products<const N: usize>(x: u64, power: u32) -> [[F; N]; 2] {
    let x = x.to_le_bytes();
    let product = |byte: usize| u32::from(x[byte]) * power;
    [
        core::array::from_fn(|byte| element(product(byte) & 0xff)),
        core::array::from_fn(|byte| element(product(byte) >> 8)),
    ]
}

/// Returns the bits of an amount, and marks for the number in those above the low three.
fn amount<const N: usize, const M: usize>(amount: u32) -> ([F; M], [F; N]) {
    (
        core::array::from_fn(|bit| F::from_bool(amount >> bit & 1 == 1)),
        core::array::from_fn(|place| F::from_bool(place == (amount >> 3) as usize)),
    )
}

pub(super) fn left<const N: usize, const L: usize, const M: usize>(
    record: &Record<'_>,
    ops: [Op; 5],
) -> ShiftLeft<F, N, L, M> {
    let (x, y) = (record.cell(0).value, binary::second(record));
    let width = 1_u32 << M;
    let by = y as u32 % width;
    let right = record.instr().op == ops[4];
    let cyclic = record.instr().op != ops[0] && record.instr().op != ops[1];
    let to_left = if right { (width - by) % width } else { by };
    let (bits, places) = amount(to_left);
    let power = 1 << (to_left & 7);
    let [low, high] = products(x, power);
    ShiftLeft {
        binary: binary::columns(record),
        selectors: record.selectors(ops),
        x: binary::bytes(x),
        y: binary::low_limbs(y),
        amount: element(by),
        left: bits,
        turn: F::from_bool(right && by != 0),
        excess: element(power - 1),
        places,
        low,
        high,
        wrapped: if cyclic { high[N - 1] } else { F::ZERO },
        z: binary::low_limbs(record.cell(2).written),
    }
}

pub(super) fn right<const N: usize, const L: usize, const M: usize>(
    record: &Record<'_>,
    ops: [Op; 4],
) -> ShiftRight<F, N, L, M> {
    let (x, y) = (record.cell(0).value, binary::second(record));
    let by = y as u32 % (1 << M);
    let (bits, places) = amount(by);
    let power = 1_u32 << (8 - (by & 7));
    let arithmetic = record.instr().op == ops[2] || record.instr().op == ops[3];
    let sign = arithmetic && x >> (8 * N - 1) & 1 == 1;
    let deficit = (1 << 8) - power;
    let [low, high] = products(x, power);
    ShiftRight {
        binary: binary::columns(record),
        selectors: record.selectors(ops),
        x: binary::bytes(x),
        y: binary::low_limbs(y),
        amount: bits,
        deficit: element(deficit),
        places,
        low,
        high,
        sign: F::from_bool(sign),
        above: if sign { element(deficit) } else { F::ZERO },
        z: binary::low_limbs(record.cell(2).written),
    }
}
