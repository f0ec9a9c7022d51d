//! The field and how constants are drawn from it.

use p3_field::{PrimeCharacteristicRing, PrimeField32};

/// The base field, KoalaBear.
pub type F = p3_koala_bear::KoalaBear;

/// p = 2^31 - 2^24 + 1.
pub const PRIME: u32 = F::ORDER_U32;

/// Returns the element with this canonical value, which must be below [`PRIME`].
pub fn element(value: u32) -> F {
    debug_assert!(value < PRIME);
    F::from_u32(value)
}

/// Draws eight elements from BLAKE3 in its extendable-output mode over `seed`.
///
/// The output is read as little-endian 32-bit numbers, and those that are not below p are skipped,
/// so that every element is equally likely.
#[must_use]
pub fn draw(seed: &[u8]) -> [u32; 8] {
    let mut reader = blake3::Hasher::new().update(seed).finalize_xof();
    core::array::from_fn(|_| {
        loop {
            let mut bytes = [0; 4];
            reader.fill(&mut bytes);
            let value = u32::from_le_bytes(bytes);
            if value < PRIME {
                return value;
            }
        }
    })
}

/// Returns the four 16-bit limbs of a word as elements, low first.
pub fn limbs(word: u64) -> [F; 4] {
    kapsule_lower::limbs(word).map(F::from_u16)
}
