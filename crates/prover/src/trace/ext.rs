//! Rows of `EXT`.

use kapsule_lower::isa::Op;
use kapsule_proof::chips::ext::{OPS, Row};
use kapsule_proof::field::F;
use p3_field::PrimeCharacteristicRing;

use super::binary;
use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let x = record.cell(0);
    let [lowest, next, ..] = kapsule_lower::limbs(x.value);
    let [low, high] = lowest.to_le_bytes();
    let (byte, top) = match record.instr().op {
        Op::Ext8S32 | Op::Ext8S64 => (true, u16::from(low) << 8),
        Op::Ext16S32 | Op::Ext16S64 => (false, lowest),
        Op::Ext32S64 => (false, next),
        _ => (false, 0),
    };
    Row {
        unary: binary::unary(record),
        selectors: record.selectors(OPS),
        x: x.old,
        bytes: if byte { [low, high].map(F::from_u8) } else { [F::ZERO; 2] },
        top: F::from_u16(top),
        sign: F::from_bool(top >= 1 << 15),
        z: record.cell(1).new,
    }
}
