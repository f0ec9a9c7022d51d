//! `STX`: every store.
//!
//! # Argument
//! The address is that of [`span`].
//! The window is the bytes of the first cell and of the second, and the value is given by its
//! bytes, each proven by a query; the bytes of the window are zeros where there is no second cell.
//! Afterwards, a byte of the window that is as far behind the marked byte as the size reaches is
//! that byte of the value, and every other byte is what it was, so both cells are canonical.
//! An access outside memory touches no cell and traps.

use kapsule_lower::isa::{Chip, Op};
use p3_field::PrimeCharacteristicRing;

use super::span::{self, Span};
use super::{joined, limbs, opcode};
use crate::machine::{Access, Builder, State, columns};

/// Steps of time: three reads and a write.
pub const DELTA: u32 = Chip::Stx.delta();

/// Opcodes, in order of the selectors.
pub const OPS: [Op; 4] = [Op::St8, Op::St16, Op::St32, Op::St64];

columns! {
    /// Columns.
    pub struct Row {
        /// State before.
        state: State<T>,
        /// Slot of the value.
        a: T,
        /// Slot of the base.
        b: T,
        /// Static fuel.
        cost: T,
        /// One for each opcode.
        selectors: [T; 4],
        /// The address.
        span: Span<T>,
        /// Bytes of the value.
        value: [T; 8],
        /// Access to it.
        read: Access<T>,
        /// Bytes of the cells before.
        window: [T; 16],
        /// First cell afterwards.
        new_first: [T; 4],
        /// Access to it.
        first: Access<T>,
        /// Second cell afterwards.
        new_second: [T; 4],
        /// Access to it.
        second: Access<T>,
        /// Next program counter.
        next: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let valid = B::sum(row.selectors);
    builder.booleans(row.selectors);
    builder.assert_bool(valid.clone());
    let sizes = row.selectors.map(Into::into);
    let state = &row.state;
    let cell = span::eval(builder, &row.span, (state, row.b), &sizes);
    for pair in row.value.chunks(2) {
        builder.bytes(pair[0].into(), pair[1].into(), valid.clone());
    }
    stored(builder, row, &sizes);

    let outside = row.span.outside;
    let inside = valid.clone() - outside;
    let (first, second) = span::window(builder, &row.window, row.span.two, &valid);
    let (ts, fp): (B::Expr, B::Expr) = (state.ts.into(), state.fp.into());
    let time = |slot: u32| ts.clone() + B::constant(slot);
    builder.read(&row.read, time(1), fp + row.a, limbs::<B>(&row.value), valid.clone());
    let change = [first, row.new_first.map(Into::into)];
    builder.access(&row.first, time(2), cell.clone(), change, inside);
    let change = [second, row.new_second.map(Into::into)];
    builder.access(&row.second, time(3), cell + B::Expr::ONE, change, row.span.two.into());
    let op = opcode::<B, 4>(row.selectors, OPS);
    let instr = span::instr::<B>(op, [row.a, row.b, row.cost], &row.span);
    let next = span::next(builder, state, row.next, outside, &valid);
    builder.step(state, next, DELTA, instr, valid);
}

/// Constrains the cells afterwards.
fn stored<B: Builder>(builder: &mut B, row: &Row<B::Var>, sizes: &[B::Expr; 4]) {
    let bytes: [B::Expr; 16] = core::array::from_fn(|place| {
        let before = row.window[place];
        let change = |(byte, mark): (usize, &B::Var)| -> Option<B::Expr> {
            let value = *row.value.get(place.checked_sub(byte)?)?;
            Some(span::reaches::<B>(sizes, place - byte) * *mark * (value - before))
        };
        let changes = row.span.byte.iter().enumerate().filter_map(change);
        changes.sum::<B::Expr>() + before
    });
    let (first, second) = bytes.split_at(8);
    let cells = joined::<B>(first).into_iter().chain(joined::<B>(second));
    for (limb, value) in row.new_first.into_iter().chain(row.new_second).zip(cells) {
        builder.assert_eq(limb, value);
    }
}
