//! `BOUNDARY`: one row for each cell of the image or of an access, in order of the addresses.
//!
//! # Argument
//! A row puts its cell on the memory bus at time 0 and takes it off at the end.
//! Addresses have 28 bits and each is greater than the one before, so every cell comes once.
//! A cell that is not of the image starts at zero, and a cell of the image is taken exactly once
//! with its value, so no initial value is free.
//! The rows in use are a prefix, and `more` says whether the next row is in use, because the
//! multiplicities of the range checks must be columns of this row.

use p3_air::AirBuilder;
use p3_field::{Field, PrimeCharacteristicRing};

use crate::field::F;
use crate::machine::{Builder, IMG, MEM, columns};

columns! {
    /// Columns.
    pub struct Row {
        /// 1 on rows in use.
        valid: T,
        /// 1 where the cell is of the image.
        image: T,
        /// 1 where the next row is in use.
        more: T,
        /// Address.
        addr: T,
        /// Low 14 bits of the address.
        addr_low: T,
        /// Low 14 bits of the distance to the next address, less one.
        gap_low: T,
        /// High 14 bits of it.
        gap_high: T,
        /// Value at the start.
        initial: [T; 4],
        /// Value at the end.
        last: [T; 4],
        /// Time of the last access, 0 if there is none.
        ts: T,
    }
}

/// Constraints.
pub fn eval<B: Builder>(builder: &mut B, row: &Row<B::Var>, next: &Row<B::Var>) {
    builder.booleans([row.valid, row.image, row.more]);
    let (valid, image, more): (B::Expr, B::Expr, B::Expr) =
        (row.valid.into(), row.image.into(), row.more.into());
    builder.assert_zero(image.clone() * (B::Expr::ONE - valid.clone()));
    for limb in row.initial {
        builder.assert_zero((valid.clone() - image.clone()) * limb);
    }

    builder.when_transition().assert_eq(row.more, next.valid);
    builder.when_last_row().assert_zero(row.more);
    builder.assert_zero(more.clone() * (B::Expr::ONE - valid.clone()));
    let gap = row.gap_low + row.gap_high * F::from_u32(1 << 14);
    let distance = next.addr - row.addr - B::Expr::ONE;
    builder.when_transition().assert_zero(more.clone() * (distance - gap));
    builder.range(row.gap_low.into(), 14, more.clone());
    builder.range(row.gap_high.into(), 14, more);

    let high = (row.addr - row.addr_low) * F::from_u32(1 << 14).inverse();
    builder.range(row.addr_low.into(), 14, valid.clone());
    builder.range(high, 14, valid.clone());

    let addr: B::Expr = row.addr.into();
    let [i0, i1, i2, i3] = row.initial.map(Into::into);
    let [l0, l1, l2, l3] = row.last.map(Into::into);
    let start = [addr.clone(), i0, i1, i2, i3];
    IMG.receive(builder, start.clone(), image);
    let [_, i0, i1, i2, i3] = start;
    MEM.send(builder, [addr.clone(), i0, i1, i2, i3, B::Expr::ZERO], valid.clone());
    MEM.receive(builder, [addr, l0, l1, l2, l3, row.ts.into()], valid);
}
