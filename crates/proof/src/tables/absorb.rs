//! `ABSORB`: two transcript events a row, in order of time, hashed into the digest.
//!
//! # Argument
//! Rows in use are a prefix; each takes its events off the bus, and times increase within a row and
//! from row to row, so the events are absorbed once each and in order.
//! A row whose second event is missing is the last one in use, and that half of its block is zero.
//! `first` and `last` mark the ends of the prefix, whose digests go to `CONNECTOR`.

use p3_air::AirBuilder;
use p3_field::PrimeCharacteristicRing;

use crate::field::F;
use crate::machine::{Builder, P2, TX, TXS, columns};

columns! {
    /// One event.
    pub struct Event {
        /// Time.
        ts: T,
        /// Tag.
        tag: T,
        /// Limbs of the word.
        word: [T; 4],
    }
}

columns! {
    /// Columns.
    pub struct Row {
        /// 1 on rows in use.
        valid: T,
        /// 1 where there is no second event.
        pad: T,
        /// 1 on the first row in use.
        first: T,
        /// 1 on the last row in use.
        last: T,
        /// Events so far, with those of this row.
        events: T,
        /// Digest before.
        before: [T; 8],
        /// First event.
        one: Event<T>,
        /// Second event.
        two: Event<T>,
        /// Digest after.
        after: [T; 8],
        /// Time from the first event to the second, less one: low and high 14 bits.
        inner: [T; 2],
        /// Time from the second event to the next row's first, less one: low and high 14 bits.
        outer: [T; 2],
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>, next: &Row<B::Var>) {
    builder.booleans([row.valid, row.pad]);
    shape(builder, row, next);
    order(builder, row, next);

    let (valid, both) = (row.valid.into(), row.valid - row.pad);
    TX.receive(builder, event::<B>(&row.one), valid);
    TX.receive(builder, event::<B>(&row.two), both);
    let zero = || B::Expr::ZERO;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = row.before.map(Into::into);
    let start = [zero(), zero(), zero(), d0, d1, d2, d3, d4, d5, d6, d7];
    TXS.receive(builder, start, row.first.into());
    let (events, pad) = (row.events.into(), row.pad.into());
    let [e0, e1, e2, e3, e4, e5, e6, e7] = row.after.map(Into::into);
    let end = [B::Expr::ONE, events, pad, e0, e1, e2, e3, e4, e5, e6, e7];
    TXS.send(builder, end, row.last.into());
    compress(builder, row);
}

/// The rows in use are a prefix, counted, and the digest goes from row to row.
fn shape<B: Builder>(builder: &mut B, row: &Row<B::Var>, next: &Row<B::Var>) {
    let invalid = B::Expr::ONE - row.valid.into();
    builder.assert_zero(invalid.clone() * row.pad);
    builder.assert_zero(row.pad * row.two.tag);
    for limb in row.two.word {
        builder.assert_zero(row.pad * limb);
    }
    builder.when_transition().assert_zero(invalid * next.valid);
    builder.when_transition().assert_zero(row.pad * next.valid);
    builder.when_first_row().assert_eq(row.first, row.valid);
    builder.when_transition().assert_zero(next.first);
    let ends = row.valid * (B::Expr::ONE - next.valid.into());
    builder.when_transition().assert_eq(row.last, ends);
    builder.when_last_row().assert_eq(row.last, row.valid);

    let own = row.valid + row.valid - row.pad;
    builder.when_first_row().assert_eq(row.events, own);
    let more = next.events - row.events - B::Expr::TWO + next.pad;
    builder.when_transition().assert_zero(more * next.valid);
    for (after, before) in row.after.into_iter().zip(next.before) {
        builder.when_transition().assert_zero((before - after) * next.valid);
    }
}

/// Times increase.
fn order<B: Builder>(builder: &mut B, row: &Row<B::Var>, next: &Row<B::Var>) {
    let high = F::from_u32(1 << 14);
    let both = row.valid - row.pad;
    let inner = row.two.ts - row.one.ts - B::Expr::ONE - row.inner[0] - row.inner[1] * high;
    builder.assert_zero(both.clone() * inner);
    let outer = next.one.ts - row.two.ts - B::Expr::ONE - row.outer[0] - row.outer[1] * high;
    builder.when_transition().assert_zero(outer * next.valid);
    let goes_on = row.valid - row.last;
    for (limbs, count) in [(row.inner, both), (row.outer, goes_on)] {
        for limb in limbs {
            builder.range(limb.into(), 14, count.clone());
        }
    }
}

/// Looks the compression of the block up.
fn compress<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let half = |event: &Event<B::Var>| -> [B::Expr; 4] {
        let [u0, u1, u2, u3] = event.word;
        [u0.into(), u1.into(), u2.into(), u3 + event.tag * F::from_u32(1 << 16)]
    };
    let [d0, d1, d2, d3, d4, d5, d6, d7] = row.before.map(Into::into);
    let [u0, u1, u2, u3] = half(&row.one);
    let [v0, v1, v2, v3] = half(&row.two);
    let [e0, e1, e2, e3, e4, e5, e6, e7] = row.after.map(Into::into);
    let tuple = [
        d0, d1, d2, d3, d4, d5, d6, d7, u0, u1, u2, u3, v0, v1, v2, v3, e0, e1, e2, e3, e4, e5, e6,
        e7,
    ];
    P2.query(builder, tuple, row.valid.into());
}

fn event<B: Builder>(event: &Event<B::Var>) -> [B::Expr; 6] {
    let [w0, w1, w2, w3] = event.word.map(Into::into);
    [event.ts.into(), event.tag.into(), w0, w1, w2, w3]
}
