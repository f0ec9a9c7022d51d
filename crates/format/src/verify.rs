//! Verification: named checks over an artefact, and their report.
//!
//! # Spec
//! `spec/report.md`; vectors in `spec/vectors/mod/`.

mod capsule;
mod checks;
mod receipt;
mod report;
mod signer;

use core::ops::Deref;

pub use capsule::capsule;
pub use checks::{ClosureFinding, Options, load, package};
pub use receipt::{ProofFinding, ReceiptOptions, Reexecution, proof_items, receipt};
pub use report::{
    Artefact, CapsuleFacts, Check, CheckName, CheckResult, Facts, Level, ReceiptFacts, Report,
    RuleFact, SamplingFact, SignatureFact, SignatureState,
};

/// A value whose structure holds and whose signatures nobody has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unverified<T>(T);

impl<T> Unverified<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value, for tools that inspect or sign; never to run it.
    #[must_use]
    pub const fn peek(&self) -> &T {
        &self.0
    }

    /// Takes the value out, for tools that inspect or sign; never to run it.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// A value that a verifier accepted; only [`load`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
