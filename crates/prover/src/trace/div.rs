//! Rows of `DIV`.

use kapsule_lower::isa::{Op, trap_pc};
use kapsule_proof::chips::div::{Negation, OPS, Row};
use kapsule_proof::field::{F, element, limbs};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;
use super::{binary, mul};

/// Returns the magnitude of a number of `bits` bits whose sign is this.
const fn magnitude(value: u64, negative: bool, bits: u32) -> u64 {
    if negative { value.wrapping_neg() & (u64::MAX >> (64 - bits)) } else { value }
}

/// Returns the columns of a sign, for a number of `bits` bits and its magnitude.
fn negation(negated: bool, x: u64, y: u64, bits: u32) -> Negation<F> {
    let (x, y) = (kapsule_lower::limbs(x), kapsule_lower::limbs(y));
    let mut carry = 0;
    let carries = core::array::from_fn(|limb| {
        carry = (u32::from(x[limb]) + u32::from(y[limb]) + carry) >> 16;
        let used = negated && limb < bits as usize / 16;
        if used { element(carry) } else { F::ZERO }
    });
    let upper = F::from_bool(negated && bits == 64);
    Negation { negated: F::from_bool(negated), upper, carry: carries }
}

/// Returns the borrows from the low limbs in `divisor - 1 - remainder`.
fn borrows(divisor: u64, remainder: u64) -> [F; 3] {
    let (divisor, remainder) = (kapsule_lower::limbs(divisor), kapsule_lower::limbs(remainder));
    let mut borrow = 1;
    core::array::from_fn(|limb| {
        borrow = u32::from(u32::from(divisor[limb]) < u32::from(remainder[limb]) + borrow);
        element(borrow)
    })
}

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, y, op) = (record.cell(0), record.cell(1), record.instr().op);
    let number = op as u8 - Op::DivS32 as u8;
    let (bits, divides, signed) =
        (if number < 4 { 32 } else { 64 }, number & 2 == 0, number & 1 == 0);
    let negative = |value: u64| signed && value >> (bits - 1) & 1 == 1;
    let (sign_x, sign_y) = (negative(x.value), negative(y.value));
    let dividend = magnitude(x.value, sign_x, bits);
    let divisor = magnitude(y.value, sign_y, bits);
    let quotient = dividend.checked_div(divisor).unwrap_or(0);
    let remainder = dividend.checked_rem(divisor).unwrap_or(dividend);
    let top_limb = bits as usize / 16 - 1;
    let top = |limbs: [F; 4]| if signed { limbs[top_limb] } else { F::ZERO };
    let highest = if signed && divides { (quotient >> (bits - 8)) as u8 } else { 0 };
    let (differ, zero) = (sign_x != sign_y, divisor == 0);
    let overflow = highest >= 1 << 7 && !differ;
    let (chosen, negated) = if divides { (quotient, differ) } else { (remainder, sign_x) };
    let result = magnitude(chosen, negated, bits);
    let next = match (zero, overflow) {
        (true, _) => trap_pc(kapsule_abi::Trap::DivisionByZero),
        (_, true) => trap_pc(kapsule_abi::Trap::IntegerOverflow),
        _ => record.step.pc + 1,
    };
    let added = kapsule_lower::limbs(remainder).map(u32::from);
    Row {
        binary: binary::columns(record),
        selectors: record.selectors(OPS),
        x: x.old,
        y: y.old,
        tops: [top(x.old), top(y.old)],
        sign_x: negation(sign_x, x.value, dividend, bits),
        sign_y: negation(sign_y, y.value, divisor, bits),
        dividend: limbs(dividend),
        divisor: binary::bytes(divisor),
        quotient: binary::bytes(quotient),
        remainder: limbs(remainder),
        carry: mul::carries(quotient, divisor, added, 4).map(element),
        borrow: if zero { [F::ZERO; 3] } else { borrows(divisor, remainder) },
        zero: F::from_bool(zero),
        inverse: binary::inverse(y.old.into_iter().sum()),
        differ: F::from_bool(differ),
        top: F::from_u8(highest),
        high: F::from_bool(highest >= 1 << 7),
        overflow: F::from_bool(overflow),
        magnitude: limbs(chosen),
        z: limbs(result),
        sign: negation(negated, result, chosen, bits),
        next: element(next),
    }
}
