//! `CONNECTOR`: ties the buses to the public values, on its first row.
//!
//! # Argument
//! `live` is 1 on the first row and 0 on all others, and every other multiplicity is 0 where `live`
//! is, so the start is sent once and the end is taken once.
//! Every column of `public` is equal to a public value on the first row.
//! The dynamic fuel is read after the last step, by an access at the final time.

use alloc::vec::Vec;

use kapsule_lower::isa::FUEL_DYN;
use p3_air::AirBuilder;
use p3_field::PrimeCharacteristicRing;

use crate::machine::{Access, Builder, Columns, DYN, EXEC, PROG, TXS, columns};
use crate::publics::{TIED, TIED_FIRST};

columns! {
    /// The public values that columns are equal to, in their order.
    pub struct Public {
        /// Program counter, frame and pages at the start.
        start: [T; 3],
        /// Program counter, frame and pages at the end.
        end: [T; 3],
        /// Final time.
        ts: T,
        /// Static fuel.
        fuel_static: T,
        /// Dynamic fuel.
        fuel_dyn: [T; 4],
        /// 1 if the fuel did not cover the instruction at the end.
        oof: T,
        /// The cost of that instruction.
        oof_cost: T,
        /// 1 if the fuel did not cover a dynamic charge.
        dyn_flag: T,
        /// Units of that charge.
        dyn_n: [T; 2],
        /// 1 if the last block of the transcript is half empty.
        tx_pad: T,
        /// Number of events.
        tx_events: T,
        /// Transcript digest at the start.
        tx_in: [T; 8],
        /// Transcript digest at the end.
        tx_out: [T; 8],
    }
}

columns! {
    /// Columns.
    pub struct Row {
        /// 1 on the first row.
        live: T,
        /// Public values.
        public: Public<T>,
        /// 1 if there are no events.
        tx_none: T,
        /// Opcode, a, b, c0 to c3 of the instruction that the fuel did not cover.
        instr: [T; 7],
        /// Access to the dynamic fuel.
        fuel: Access<T>,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>, next: &Row<B::Var>) {
    let public = &row.public;
    builder.when_first_row().assert_one(row.live);
    builder.when_transition().assert_zero(next.live);
    let dead = B::Expr::ONE - row.live.into();
    for flag in [public.oof, public.dyn_flag, row.tx_none] {
        builder.assert_bool(flag);
        builder.assert_zero(dead.clone() * flag);
    }
    tie(builder, public);
    transcript(builder, row);

    let live: B::Expr = row.live.into();
    let [pc, fp, pages] = public.start.map(Into::into);
    EXEC.send(builder, [pc, fp, B::Expr::ONE, B::Expr::ZERO, pages], live.clone());
    let [pc, fp, pages] = public.end.map(Into::into);
    let end = [pc.clone(), fp, public.ts.into(), public.fuel_static.into(), pages];
    EXEC.receive(builder, end, live.clone());

    let [op, a, b, c0, c1, c2, c3] = row.instr.map(Into::into);
    let instr = [pc, op, a, b, c0, c1, c2, c3, public.oof_cost.into()];
    PROG.query(builder, instr, public.oof.into());
    DYN.receive(builder, public.dyn_n.map(Into::into), public.dyn_flag.into());
    let value = public.fuel_dyn.map(Into::into);
    builder.read(&row.fuel, public.ts.into(), B::constant(FUEL_DYN), value, live);
}

/// Makes the columns equal to the public values on the first row.
fn tie<B: Builder>(builder: &mut B, public: &Public<B::Var>) {
    let mut columns: Vec<B::Var> = Vec::with_capacity(TIED);
    Columns::write(public, &mut columns);
    for (index, column) in columns.into_iter().enumerate() {
        let value: B::Expr = builder.public_values()[TIED_FIRST + index].into();
        builder.when_first_row().assert_eq(column, value);
    }
}

/// Hands the digest to `ABSORB` and back, or requires that nothing changed.
fn transcript<B: Builder>(builder: &mut B, row: &Row<B::Var>) {
    let public = &row.public;
    for (before, after) in public.tx_in.into_iter().zip(public.tx_out) {
        builder.assert_zero(row.tx_none * (after - before));
    }
    builder.assert_zero(row.tx_none * public.tx_events);
    builder.assert_zero(row.tx_none * public.tx_pad);
    let some = row.live - row.tx_none;
    let zero = || B::Expr::ZERO;
    let [d0, d1, d2, d3, d4, d5, d6, d7] = public.tx_in.map(Into::into);
    let start = [zero(), zero(), zero(), d0, d1, d2, d3, d4, d5, d6, d7];
    TXS.send(builder, start, some.clone());
    let (events, pad) = (public.tx_events.into(), public.tx_pad.into());
    let [d0, d1, d2, d3, d4, d5, d6, d7] = public.tx_out.map(Into::into);
    TXS.receive(builder, [B::Expr::ONE, events, pad, d0, d1, d2, d3, d4, d5, d6, d7], some);
}
