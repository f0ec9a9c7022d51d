//! Rows of `CHG`.

use kapsule_lower::isa::PC_OUT_OF_FUEL;
use kapsule_proof::chips::chg::{OPS, Row};
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

use super::record::Record;

pub(super) fn row(record: &Record<'_>) -> Row<F> {
    let (instr, units, fuel) = (record.instr(), record.cell(0), record.cell(1));
    let [low, high, ..] = kapsule_lower::limbs(units.value).map(u32::from);
    let stopped = !record.has(1);
    let charge = u64::from(units.value as u32).div_ceil(8);
    let first = u64::from(low.div_ceil(8) + ((high & 7) << 13));
    let second = u64::from(high >> 3);
    let limbs = kapsule_lower::limbs(fuel.value).map(u64::from);
    let k0 = (limbs[0] + first) >> 16;
    let k1 = (limbs[1] + second + k0) >> 16;
    let k2 = (limbs[2] + k1) >> 16;
    debug_assert_eq!(charge, first + (second << 16));
    Row {
        state: record.state(),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(OPS),
        units: [low, high].map(element),
        read: units.access,
        quotient: element(low.div_ceil(8)),
        rest: element(high & 7),
        stopped: F::from_bool(stopped),
        old: fuel.old,
        carry: [k0, k1, k2].map(|carry| F::from_bool(carry == 1)),
        fuel: fuel.access,
        next: element(if stopped { PC_OUT_OF_FUEL } else { record.step.pc + 1 }),
    }
}
