//! Rows of `MOVC`.

use kapsule_proof::chips::movc::{OPS, Row};
use kapsule_proof::field::F;
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (read, write) = (record.cell(0), record.cell(1));
    let [constant, ..] = record.selectors(OPS);
    let source = if constant == F::ONE { record.operands().b } else { read.addr };
    Row {
        state: record.state(),
        operands: record.operands(),
        selectors: record.selectors(OPS),
        source,
        target: write.addr,
        value: write.new,
        read: read.access,
        old: write.old,
        write: write.access,
    }
}
