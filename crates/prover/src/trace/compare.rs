//! The columns of a comparison.

use kapsule_lower::limbs;
use kapsule_proof::chips::compare::Compare;
use kapsule_proof::field::{F, element};
use p3_field::PrimeCharacteristicRing;

/// Compares `x` and `y` by the relation with this number, 0 to 7.
pub(super) fn columns(relation: u8, x: u64, y: u64) -> Compare<F> {
    let top = match relation {
        4 | 5 => Some(1),
        6 | 7 => Some(3),
        _ => None,
    };
    let parts = |value: u64| {
        let mut limbs = limbs(value);
        let whole = top.map_or(0, |top: usize| limbs[top]);
        if let Some(top) = top {
            limbs[top] ^= 0x8000;
        }
        (limbs, whole)
    };
    let ((x, top_x), (y, top_y)) = (parts(x), parts(y));
    let mark = (0..4).rev().find(|limb| x[*limb] != y[*limb]);
    let less = mark.is_some_and(|limb| x[limb] < y[limb]);
    let difference = mark.map_or(F::ZERO, |limb| F::from_u16(y[limb]) - F::from_u16(x[limb]));
    let distance = if less { difference } else { -difference };
    Compare {
        relations: core::array::from_fn(|number| F::from_bool(number == usize::from(relation))),
        marks: core::array::from_fn(|limb| F::from_bool(mark == Some(limb))),
        less: F::from_bool(less),
        difference,
        distance,
        tops: [top_x, top_y].map(|top| element(u32::from(top))),
        signs: [top_x, top_y].map(|top| F::from_bool(top >= 0x8000)),
    }
}
