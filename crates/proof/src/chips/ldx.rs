//! `LDX`: every load.
//!
//! # Argument
//! The address is that of [`span`].
//! The window is the bytes of the first cell and of the second, each proven by a query; they are
//! zeros where there is no second cell.
//! The loaded bytes begin at the marked byte of the window; `sign` is 0 unless the form extends by
//! sign, and then the highest bit of the last of them, since the rest of that byte has 7 bits.
//! The result consists of loaded bytes, of bytes 255 `sign` above them as far as the form extends,
//! and of zeros, so it is canonical.
//! An access outside memory touches no cell, writes nothing and traps.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::span::{self, Span};
use super::{joined, opcode};
use crate::field::F;
use crate::machine::{Access, Builder, State, columns};

/// Steps of time: three reads and a write.
pub const DELTA: u32 = Chip::Ldx.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 9] = [
    Op::Ld8U,
    Op::Ld8S32,
    Op::Ld8S64,
    Op::Ld16U,
    Op::Ld16S32,
    Op::Ld16S64,
    Op::Ld32U,
    Op::Ld32S64,
    Op::Ld64,
];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot that is written.
        a: T,
        /// Slot of the base.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 9],
        /// The address.
        span: Span<T>,
        /// Bytes of the cells.
        window: [T; 16],
        /// Access to the first cell.
        first: Access<T>,
        /// Access to the second cell.
        second: Access<T>,
        /// Byte that holds the sign; 0 if the form has none.
        top: T,
        /// The sign.
        sign: T,
        /// Result.
        z: [T; 4],
        /// Value that is overwritten.
        old: [T; 4],
        /// Access to the destination.
        write: Access<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let [ld8u, ld8s32, ld8s64, ld16u, ld16s32, ld16s64, ld32u, ld32s64, ld64] = row.selectors;
    let (size1, size2) = (B::sum([ld8u, ld8s32, ld8s64]), B::sum([ld16u, ld16s32, ld16s64]));
    let sizes = [size1, size2, ld32u + ld32s64, ld64.into()];
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let state = &row.state;
    let cell = span::eval(builder, &row.span, (state, row.b), &sizes);
    result(builder, row, &sizes);

    let outside = row.span.outside;
    let inside = valid.clone() - outside;
    let (first, second) = span::window(builder, &row.window, row.span.two, &valid);
    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let time = |slot: u32| ts.clone() + B::constant(slot);
    builder.read(&row.first, time(1), cell.clone(), first, inside.clone());
    builder.read(&row.second, time(2), cell + B::Expr::ONE, second, row.span.two.into());
    let write = [row.old.map(Into::into), row.z.map(Into::into)];
    builder.access(&row.write, time(3), fp + row.a, write, inside);
    let op = opcode::<B, 9>(row.selectors, OPS);
    let instr = span::instr::<B>(op, [row.a, row.b, row.cost], &row.span);
    let next = span::next(builder, state, row.next, outside, &valid);
    builder.step(state, next, DELTA, instr, valid);
}

/// Constrains the sign and the result.
fn result<B: Builder>(builder: &mut B, row: &Row<B::Var>, sizes: &[B::Expr; 4]) {
    let [_, ld8s32, ld8s64, _, ld16s32, ld16s64, _, ld32s64, _] = row.selectors;
    let loaded: [B::Expr; 8] = core::array::from_fn(|byte| {
        let window = row.span.byte.into_iter().zip(&row.window[byte..]);
        window.map(|(mark, value)| -> B::Expr { mark * *value }).sum()
    });
    let (eighth, quarter) = (ld8s32 + ld8s64, ld16s32 + ld16s64);
    let tops = eighth.clone() * loaded[0].clone() + quarter.clone() * loaded[1].clone();
    builder.assert_eq(row.top, tops + loaded[3].clone() * ld32s64);
    let signed = eighth.clone() + quarter.clone() + ld32s64;
    builder.assert_bool(row.sign);
    builder.assert_zero((B::Expr::ONE - signed.clone()) * row.sign);
    builder.range(row.top - row.sign * F::from_u32(1 << 7), 7, signed);

    let filled = |byte: usize| -> B::Expr {
        match byte {
            0 => B::Expr::ZERO,
            1 => eighth.clone(),
            2..4 => eighth.clone() + quarter.clone(),
            _ => B::sum([ld8s64, ld16s64, ld32s64]),
        }
    };
    let bytes: [B::Expr; 8] = core::array::from_fn(|byte| {
        let value = loaded[byte].clone() * span::reaches::<B>(sizes, byte);
        value + filled(byte) * row.sign * F::from_u8(u8::MAX)
    });
    for (limb, value) in row.z.into_iter().zip(joined::<B>(&bytes)) {
        builder.assert_eq(limb, value);
    }
}
