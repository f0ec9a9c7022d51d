//! What the arithmetic opcodes compute.
//!
//! An operand of a 32-bit opcode is zero-extended, and so is its result.

use kapsule_abi::Trap;

#[inline(always)]
pub(super) const fn low(x: u64) -> u32 {
    x as u32
}

#[inline(always)]
const fn signed32(x: u64) -> i32 {
    x as u32 as i32
}

#[inline(always)]
pub(super) const fn add32(x: u64, y: u64) -> u64 {
    low(x).wrapping_add(low(y)) as u64
}

#[inline(always)]
pub(super) const fn sub32(x: u64, y: u64) -> u64 {
    low(x).wrapping_sub(low(y)) as u64
}

#[inline(always)]
pub(super) const fn mul32(x: u64, y: u64) -> u64 {
    low(x).wrapping_mul(low(y)) as u64
}

#[inline(always)]
pub(super) const fn shl32(x: u64, y: u64) -> u64 {
    low(x).wrapping_shl(low(y)) as u64
}

#[inline(always)]
pub(super) const fn shl64(x: u64, y: u64) -> u64 {
    x.wrapping_shl(low(y))
}

#[inline(always)]
pub(super) const fn rotl32(x: u64, y: u64) -> u64 {
    low(x).rotate_left(low(y) & 31) as u64
}

#[inline(always)]
pub(super) const fn rotl64(x: u64, y: u64) -> u64 {
    x.rotate_left(low(y) & 63)
}

#[inline(always)]
pub(super) const fn rotr32(x: u64, y: u64) -> u64 {
    low(x).rotate_right(low(y) & 31) as u64
}

#[inline(always)]
pub(super) const fn rotr64(x: u64, y: u64) -> u64 {
    x.rotate_right(low(y) & 63)
}

#[inline(always)]
pub(super) const fn shru32(x: u64, y: u64) -> u64 {
    low(x).wrapping_shr(low(y)) as u64
}

#[inline(always)]
pub(super) const fn shru64(x: u64, y: u64) -> u64 {
    x.wrapping_shr(low(y))
}

#[inline(always)]
pub(super) const fn shrs32(x: u64, y: u64) -> u64 {
    signed32(x).wrapping_shr(low(y)).cast_unsigned() as u64
}

#[inline(always)]
pub(super) const fn shrs64(x: u64, y: u64) -> u64 {
    x.cast_signed().wrapping_shr(low(y)).cast_unsigned()
}

#[inline(always)]
pub(super) const fn slts32(x: u64, y: u64) -> bool {
    signed32(x) < signed32(y)
}

#[inline(always)]
pub(super) const fn slts64(x: u64, y: u64) -> bool {
    x.cast_signed() < y.cast_signed()
}

#[inline(always)]
pub(super) const fn ext8(x: u64) -> i64 {
    x as u8 as i8 as i64
}

#[inline(always)]
pub(super) const fn ext16(x: u64) -> i64 {
    x as u16 as i16 as i64
}

#[inline(always)]
pub(super) const fn ext32(x: u64) -> i64 {
    signed32(x) as i64
}

/// Returns a signed number as a 32-bit value.
#[inline(always)]
pub(super) const fn to32(x: i64) -> u64 {
    x as u32 as u64
}

#[inline(always)]
pub(super) fn divs32(x: u64, y: u64) -> Result<u64, Trap> {
    let (x, y) = (signed32(x), signed32(y));
    match y {
        0 => Err(Trap::DivisionByZero),
        _ => x.checked_div(y).map(|q| to32(i64::from(q))).ok_or(Trap::IntegerOverflow),
    }
}

#[inline(always)]
pub(super) fn divu32(x: u64, y: u64) -> Result<u64, Trap> {
    low(x).checked_div(low(y)).map(u64::from).ok_or(Trap::DivisionByZero)
}

#[inline(always)]
pub(super) fn rems32(x: u64, y: u64) -> Result<u64, Trap> {
    let (x, y) = (signed32(x), signed32(y));
    match y {
        0 => Err(Trap::DivisionByZero),
        _ => Ok(to32(i64::from(x.wrapping_rem(y)))),
    }
}

#[inline(always)]
pub(super) fn remu32(x: u64, y: u64) -> Result<u64, Trap> {
    low(x).checked_rem(low(y)).map(u64::from).ok_or(Trap::DivisionByZero)
}

#[inline(always)]
pub(super) fn divs64(x: u64, y: u64) -> Result<u64, Trap> {
    let (x, y) = (x.cast_signed(), y.cast_signed());
    match y {
        0 => Err(Trap::DivisionByZero),
        _ => x.checked_div(y).map(i64::cast_unsigned).ok_or(Trap::IntegerOverflow),
    }
}

#[inline(always)]
pub(super) fn divu64(x: u64, y: u64) -> Result<u64, Trap> {
    x.checked_div(y).ok_or(Trap::DivisionByZero)
}

#[inline(always)]
pub(super) fn rems64(x: u64, y: u64) -> Result<u64, Trap> {
    let (x, y) = (x.cast_signed(), y.cast_signed());
    match y {
        0 => Err(Trap::DivisionByZero),
        _ => Ok(x.wrapping_rem(y).cast_unsigned()),
    }
}

#[inline(always)]
pub(super) fn remu64(x: u64, y: u64) -> Result<u64, Trap> {
    x.checked_rem(y).ok_or(Trap::DivisionByZero)
}
