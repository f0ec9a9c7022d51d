//! The address of any access to memory, which `LDX` and `STX` share.
//!
//! # Argument
//! The address is the low 32 bits of the base plus the offset, by limbs: the base is read as an
//! i32, so its limbs are canonical and the upper ones are 0, and the limbs of the offset are those
//! of the instruction.
//! Its low limb x0 + c0 - 2^16 carry is 8 q plus the marked byte, with q below 2^13, so it is below
//! 2^16, which leaves one carry, one q and one mark; its high limb is below 2^17.
//! The last byte is size - 1 further: its low limb has 16 bits, which leaves one `carry_last`, and
//! its high limb is at most 2^17.
//! `distance` is pages - 1 - high for an access that is claimed to be inside, and high - pages for
//! one that is claimed to be outside; it has 18 bits, which a negative number has not, so the claim
//! is true.
//! An access has two cells if it is inside and its bytes go beyond the eighth.

use kapsule_abi::Trap;
use kapsule_lower::isa::{MEMORY, PAGE_CELLS, trap_pc};
use p3_field::{Field, PrimeCharacteristicRing};

use super::{limbs, marked};
use crate::field::F;
use crate::machine::{Access, Builder, Instr, Next, State, columns};

columns! {
    /// Columns.
    pub struct Span {
        /// Low limbs of the base.
        base: [T; 2],
        /// Access to the base.
        read: Access<T>,
        /// Limbs of the offset.
        offset: [T; 2],
        /// Carry out of the low limb of the address.
        carry: T,
        /// Carry out of the low limb of the last byte.
        carry_last: T,
        /// Marks the first byte within its cell.
        byte: [T; 8],
        /// 1 if the last byte is outside memory.
        outside: T,
        /// 1 if there is a second cell.
        two: T,
        /// Low 16 bits and the others of the distance of the last page from the end of memory.
        distance: [T; 2],
    }
}

/// Constrains the address where the sum of `sizes`, which select 1, 2, 4 and 8 bytes, is 1.
///
/// Returns the first cell, which is affine.
pub(super) fn eval<B: Builder>(
    builder: &mut B,
    row: &Span<B::Var>,
    (state, slot): (&State<B::Var>, B::Var),
    sizes: &[B::Expr; 4],
) -> B::Expr {
    let valid: B::Expr = sizes.iter().cloned().sum();
    let outside: B::Expr = row.outside.into();
    builder.booleans([row.carry, row.carry_last, row.outside]);
    builder.booleans(row.byte);
    builder.assert_eq(B::sum(row.byte), valid.clone());
    builder.assert_zero((B::Expr::ONE - valid.clone()) * row.outside);

    let [b0, b1] = row.base.map(Into::into);
    let base = [b0.clone(), b1.clone(), B::Expr::ZERO, B::Expr::ZERO];
    builder.read(&row.read, state.ts.into(), state.fp + slot, base, valid.clone());
    let whole = F::from_u32(1 << 16);
    let low = b0 + row.offset[0] - row.carry * whole;
    let high = b1 + row.offset[1] + row.carry;
    let cell = (low.clone() - marked::<B>(&row.byte)) * F::from_u32(8).inverse();
    builder.range(cell.clone(), 13, valid.clone());
    let [_, size2, size4, size8] = sizes.clone();
    let further = size2 + size4 * F::from_u8(3) + size8 * F::from_u8(7);
    builder.range(low + further - row.carry_last * whole, 16, valid.clone());
    let last = high.clone() + row.carry_last;
    let beyond = last - state.pages;
    let inside = valid.clone() - row.outside;
    let distance = outside.clone() * beyond.clone() - inside * (beyond + B::Expr::ONE);
    builder.assert_eq(row.distance[1] * whole + row.distance[0], distance);
    builder.range(row.distance[0].into(), 16, valid.clone());
    builder.range(row.distance[1].into(), 2, valid);

    let crossing = |(log, size): (usize, &B::Expr)| -> B::Expr {
        let first = 9 - (1 << log);
        let bytes = row.byte[first.min(8)..].iter().map(|byte| -> B::Expr { (*byte).into() });
        size.clone() * bytes.sum::<B::Expr>()
    };
    let crosses: B::Expr = sizes.iter().enumerate().map(crossing).sum();
    builder.assert_eq(row.two, (B::Expr::ONE - outside) * crosses);
    B::constant(MEMORY) + high * F::from_u32(PAGE_CELLS) + cell
}

/// Returns the sum of the sizes that have this byte, counted from 0.
pub(super) fn reaches<B: Builder>(sizes: &[B::Expr; 4], byte: usize) -> B::Expr {
    let has = |(log, size): (usize, &B::Expr)| (byte < 1 << log).then(|| size.clone());
    sizes.iter().enumerate().filter_map(has).sum()
}

/// Requires bytes, and zeros in the second cell if there is none, and returns the limbs of both.
pub(super) fn window<B: Builder>(
    builder: &mut B,
    bytes: &[B::Var; 16],
    two: B::Var,
    valid: &B::Expr,
) -> ([B::Expr; 4], [B::Expr; 4]) {
    for pair in bytes.chunks(2) {
        builder.bytes(pair[0].into(), pair[1].into(), valid.clone());
    }
    let (first, second) = bytes.split_at(8);
    for byte in second {
        builder.assert_zero((B::Expr::ONE - two.into()) * *byte);
    }
    (limbs::<B>(first), limbs::<B>(second))
}

/// Returns the instruction with these fields `a`, `b` and `cost`.
pub(super) fn instr<B: Builder>(
    op: B::Expr,
    [a, b, cost]: [B::Var; 3],
    row: &Span<B::Var>,
) -> Instr<B::Expr> {
    Instr::new(op, a, b, cost).constant(row.offset)
}

/// Constrains the next program counter: that of the trap if the access is outside memory.
pub(super) fn next<B: Builder>(
    builder: &mut B,
    state: &State<B::Var>,
    next: B::Var,
    outside: B::Var,
    valid: &B::Expr,
) -> Next<B::Expr> {
    let following = B::following(state);
    let trap = B::constant(trap_pc(Trap::MemoryOutOfBounds)) - following.pc.clone();
    builder.assert_eq(next, trap * outside + state.pc + valid.clone());
    Next { pc: next.into(), ..following }
}
