//! Bytes of the hostcall `random`: the same for the same seed, everywhere.

use crate::Digest;
use crate::hash::{Tag, tagged};

/// Generator of the hostcall `random`.
///
/// # Examples
/// ```
/// use kapsule_format::random::Random;
///
/// let mut whole = [0; 40];
/// Random::new([0; 32]).fill(&mut whole);
/// let mut random = Random::new([0; 32]);
/// let (mut head, mut tail) = ([0; 3], [0; 37]);
/// random.fill(&mut head);
/// random.fill(&mut tail);
/// assert_eq!(whole, [&head[..], &tail[..]].concat()[..]);
/// ```
///
/// # Determinism
/// Depends on the seed and on how many bytes were taken before.
///
/// # Spec
/// `spec/transcript.md`, section "Random".
#[derive(Clone, Debug)]
pub struct Random {
    seed: [u8; 32],
    /// Number of the next byte, counted from the first byte of block 0.
    position: u64,
}

impl Random {
    /// Starts at block 0.
    #[must_use]
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, position: 0 }
    }

    /// Fills `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        let mut filled = 0;
        while filled < out.len() {
            let block = block(&self.seed, self.position / 32);
            let rest = &block.as_bytes()[(self.position % 32) as usize..];
            let count = rest.len().min(out.len() - filled);
            out[filled..filled + count].copy_from_slice(&rest[..count]);
            filled += count;
            self.position += count as u64;
        }
    }
}

/// Returns block `index` of the generator.
#[must_use]
pub fn block(seed: &[u8; 32], index: u64) -> Digest {
    tagged(Tag::Random, &[seed, &index.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn block_0_of_the_zero_seed_is_the_fixed_value() {
        let fixed = "30e8ae19b991a7b2d93d2a26f40f412a665d5b963045d46893f4c98ea1aaefa8";
        assert_eq!(block(&[0; 32], 0).to_string(), fixed);
    }

    #[test]
    fn bytes_do_not_depend_on_how_they_are_asked_for() {
        let mut whole = [0; 100];
        Random::new([7; 32]).fill(&mut whole);
        assert_eq!(whole[32..64], block(&[7; 32], 1).as_bytes()[..]);
        for step in [1, 31, 32, 33, 64] {
            let mut random = Random::new([7; 32]);
            let mut parts = [0; 100];
            parts.chunks_mut(step).for_each(|part| random.fill(part));
            assert_eq!(parts, whole, "step {step}");
        }
    }
}
