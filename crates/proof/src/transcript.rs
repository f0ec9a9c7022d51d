//! The digest of everything that entered and left a run.
//!
//! # Spec
//! `spec/proof.md` section 3.

use kapsule_lower::isa::{TAG_IN, TAG_OUT};
use kapsule_lower::words::Event;
use kapsule_lower::{EntryStub, LProgram};
use p3_field::{PrimeCharacteristicRing, PrimeField32};
use p3_koala_bear::{Poseidon2KoalaBear, default_koalabear_poseidon2_16};
use p3_symmetric::{PseudoCompressionFunction, TruncatedPermutation};

use crate::field::{F, draw, element, limbs};

/// Tag of the words that the verifier absorbs before the first event.
const TAG_PREAMBLE: u8 = 3;

/// Which way a word went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the guest to the host, tag 1.
    Out,
    /// From the host to the guest, tag 2.
    In,
}

impl Direction {
    /// Returns the tag that is absorbed with the word.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::Out => TAG_OUT,
            Self::In => TAG_IN,
        }
    }
}

/// What the digest starts from, all of it in the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    /// SHA-256 of the effective policy.
    pub policy_digest: [u8; 32],
    /// Position of the entry among all entries in order of their names.
    pub entry_index: u32,
    /// Granted fuel.
    pub fuel_limit: u64,
    /// Version of the instruction set.
    pub isa: u32,
    /// Whether the first four words are salt.
    pub salt_present: bool,
}

impl Preamble {
    /// Returns the preamble of a run of this entry.
    #[must_use]
    pub const fn of(
        program: &LProgram,
        entry: EntryStub,
        policy_digest: [u8; 32],
        fuel_limit: u64,
        salt_present: bool,
    ) -> Self {
        let isa = program.isa;
        Self { policy_digest, entry_index: entry.index, fuel_limit, isa, salt_present }
    }
}

/// A digest in progress.
///
/// # Examples
/// ```
/// use kapsule_proof::{Direction, Preamble, Transcript};
///
/// let preamble = Preamble {
///     policy_digest: [0; 32], entry_index: 0, fuel_limit: 1000, isa: 1, salt_present: false,
/// };
/// let mut transcript = Transcript::new(&preamble);
/// transcript.push(Direction::Out, 42);
/// assert_eq!(transcript.finish().events, 1);
/// ```
#[derive(Clone)]
pub struct Transcript {
    hash: Compression,
    state: [F; 8],
    pending: Option<[F; 4]>,
    events: u64,
}

/// The end of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TranscriptEnd {
    /// The digest, as canonical elements.
    pub digest: [u32; 8],
    /// Number of events.
    pub events: u64,
    /// Whether the last block was half empty.
    pub padded: bool,
}

impl Transcript {
    /// Returns the digest before the first event.
    #[must_use]
    pub fn new(preamble: &Preamble) -> Self {
        let state = draw(b"kapsule kp1 transcript").map(element);
        let mut this = Self { hash: Compression::new(), state, pending: None, events: 0 };
        for word in preamble.policy_digest.as_chunks::<8>().0 {
            this.absorb(TAG_PREAMBLE, u64::from_le_bytes(*word));
        }
        this.absorb(TAG_PREAMBLE, u64::from(preamble.entry_index));
        this.absorb(TAG_PREAMBLE, preamble.fuel_limit);
        this.absorb(TAG_PREAMBLE, u64::from(preamble.isa));
        this.absorb(TAG_PREAMBLE, u64::from(preamble.salt_present));
        this
    }

    /// Returns the digest so far, as canonical elements; half a block is not in it.
    #[must_use]
    pub fn state(&self) -> [u32; 8] {
        self.state.map(|element| element.as_canonical_u32())
    }

    /// Takes one event.
    pub fn push(&mut self, direction: Direction, word: u64) {
        self.events += 1;
        self.absorb(direction.tag(), word);
    }

    /// Takes all these events and returns the digest.
    #[must_use]
    pub fn of(mut self, events: &[Event]) -> TranscriptEnd {
        for event in events {
            let direction = if event.tag == TAG_IN { Direction::In } else { Direction::Out };
            self.push(direction, event.word);
        }
        self.finish()
    }

    /// Fills the last block and returns the digest.
    #[must_use]
    pub fn finish(mut self) -> TranscriptEnd {
        let padded = self.pending.is_some();
        if let Some(first) = self.pending.take() {
            self.state = self.hash.absorb(self.state, first, [F::ZERO; 4]);
        }
        TranscriptEnd { digest: self.state(), events: self.events, padded }
    }

    fn absorb(&mut self, tag: u8, word: u64) {
        let half = half_block(tag, word);
        match self.pending.take() {
            None => self.pending = Some(half),
            Some(first) => self.state = self.hash.absorb(self.state, first, half),
        }
    }
}

/// Returns the half of a block that holds one event.
pub fn half_block(tag: u8, word: u64) -> [F; 4] {
    let [u0, u1, u2, u3] = limbs(word);
    [u0, u1, u2, u3 + F::from_u32(u32::from(tag) << 16)]
}

/// The compression of 16 elements to 8: Poseidon2 of width 16, truncated.
#[derive(Clone)]
pub struct Compression(TruncatedPermutation<Poseidon2KoalaBear<16>, 2, 8, 16>);

impl Compression {
    /// Returns the compression with the constants of `spec/proof.md` section 3.
    #[must_use]
    pub fn new() -> Self {
        Self(TruncatedPermutation::new(default_koalabear_poseidon2_16()))
    }

    /// Returns the state after one block.
    pub fn absorb(&self, state: [F; 8], first: [F; 4], second: [F; 4]) -> [F; 8] {
        let [u0, u1, u2, u3] = first;
        let [v0, v1, v2, v3] = second;
        self.0.compress([state, [u0, u1, u2, u3, v0, v1, v2, v3]])
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::new()
    }
}
