//! The one source of chance in tests.

/// A small deterministic generator, xorshift64* over a mixed seed.
///
/// # Determinism
/// The same seed gives the same numbers on every machine and in every release of this crate:
/// a seed in a failure report stays good.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// Starts the sequence of a seed; neighbouring seeds give unrelated sequences.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // The finaliser of splitmix64 spreads the bits; xorshift must not start at zero.
        let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Self { state: if mixed == 0 { 1 } else { mixed } }
    }

    /// Returns the next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Returns a number below `bound`, or 0 if that is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }

    /// Returns a position in something of this length, or 0 if it is empty.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// Tells whether an event of probability one in `odds` happens.
    pub const fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    /// Returns this many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_is_frozen() {
        let mut random = Random::new(1);
        let found = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(
            found,
            [5_424_204_624_148_110_235, 15_555_979_849_632_202_484, 6_851_360_858_507_811_590]
        );
        assert_eq!(Random::new(1).bytes(3), Random::new(1).bytes(8)[..3]);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut random = Random::new(7);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!((random.below(0), random.index(0)), (0, 0));
        assert!((0..100).any(|_| random.one_in(4)) && random.one_in(1));
    }
}
