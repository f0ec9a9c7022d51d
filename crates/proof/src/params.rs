//! Named parameter sets.
//!
//! # Spec
//! `spec/proof.md` section 6.

/// A named set of parameters of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamSet {
    /// Number in statements.
    pub number: u16,
    /// Name.
    pub name: &'static str,
    /// Base-2 logarithm of the blowup.
    pub log_blowup: usize,
    /// Queries.
    pub queries: usize,
    /// Bits of work before the queries.
    pub query_work: usize,
    /// Bits of work before the challenges of the buses.
    pub lookup_work: usize,
    /// Bits of work before the openings are batched.
    pub batch_work: usize,
    /// Bits of work before each folding challenge.
    pub fold_work: usize,
    /// Bits of work before the out-of-domain point.
    pub ood_work: usize,
    /// Bits of security that are proven in the unique-decoding regime; 0 for the test set.
    pub proven_bits: u32,
}

impl ParamSet {
    /// The default: fastest to prove.
    pub const FAST: Self = Self {
        number: 1,
        name: "kp100-fast",
        log_blowup: 1,
        queries: 194,
        query_work: 20,
        lookup_work: 18,
        batch_work: 18,
        fold_work: 8,
        ood_work: 8,
        proven_bits: 100,
    };

    /// Smaller proofs for nearly twice the work.
    pub const SMALL: Self =
        Self { number: 2, name: "kp100-small", log_blowup: 2, queries: 120, ..Self::FAST };

    /// For tests: proves nothing, and [`verify`](crate::verify) refuses it unless told otherwise.
    pub const TEST: Self = Self {
        number: 0xffff,
        name: "kp-test",
        log_blowup: 1,
        queries: 8,
        query_work: 0,
        lookup_work: 0,
        batch_work: 0,
        fold_work: 0,
        ood_work: 0,
        proven_bits: 0,
    };

    /// Every set.
    pub const ALL: [Self; 3] = [Self::FAST, Self::SMALL, Self::TEST];

    /// Base-2 logarithm of the folding arity.
    pub const LOG_ARITY: usize = 3;
    /// Base-2 logarithm of the length of the last polynomial.
    pub const LOG_FINAL: usize = 5;
    /// Layers of the Merkle trees that a commitment leaves out.
    pub const CAP_HEIGHT: usize = 3;

    /// Returns the set with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.number == number)
    }

    /// Returns the set with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.name == name)
    }
}
