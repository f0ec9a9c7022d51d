//! Rows of `BIT`.

use kapsule_proof::chips::bit::{OPS, Row};
use kapsule_proof::field::F;

use super::binary;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (x, y) = (record.cell(0).value, binary::second(record));
    Row {
        binary: binary::columns(record),
        selectors: record.selectors(OPS),
        x: binary::bytes(x),
        y: binary::bytes(y),
        both: binary::bytes(x & y),
        z: record.cell(2).new,
    }
}
