//! Validates a module against its profile, plans its metering and rewrites it.
//!
//! Three steps, each a pure function of the module bytes and the options:
//! 1. *validate*: the closed profile of `spec/profile.md`, with limits checked before allocation;
//! 2. *plan*: the metering blocks with their costs and the frame weight of every function, a
//!    public data structure ([`Plan`]) that the prover's lowering uses as it is;
//! 3. *rewrite*: the same module with a fuel counter, a stack-height counter, priced hostcall
//!    stubs and observable globals, which every backend runs.
//!
//! # Examples
//! ```
//! use kapsule_meter::{Imports, Options, Profile, meter};
//!
//! let wasm = b"\0asm\x01\0\0\0";
//! let options = Options { imports: Imports::Any, ..Options::new(Profile::Integer1) };
//! let metered = meter(wasm, &options)?;
//! assert!(metered.plan().functions.is_empty());
//! # Ok::<(), kapsule_meter::MeterError>(())
//! ```
//!
//! # Map
//! [`Profile`] and [`Limits`] say what is accepted, `scan` reads a module once, [`Plan`] is the
//! frozen `fuel-1` and `stack-1` data, `rewrite` emits the metered module.
//!
//! # Invariants
//! - Nothing is compiled, run or looked up here, and no step depends on the host.
//! - Plan and rewriting never disagree: the rewriting pass only places what the plan lists.
//!
//! # Spec
//! `spec/profile.md`, `spec/fuel.md`; vectors in `spec/vectors/profile` and `spec/vectors/fuel`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod abi_rules;
mod error;
mod limits;
mod plan;
mod profile;
mod rewrite;
mod scan;
pub mod tables;

pub use error::MeterError;
pub use limits::Limits;
pub use plan::{Charge, FunctionPlan, Plan, StubPlan};
pub use profile::Profile;
pub use rewrite::{GlobalExport, MemoryShape, MeteredModule, exports};
pub use tables::{FUEL_PER_MS, METERING};

/// Which imports a module may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imports {
    /// Only hostcalls of `kapsule_v1`, each behind a priced stub; the ABI exports are required.
    Kapsule,
    /// Any function, called directly and free of charge; for conformance suites only.
    Any,
}

/// What [`meter`] checks against.
#[derive(Clone, Debug)]
pub struct Options {
    /// Closed set of accepted features.
    pub profile: Profile,
    /// Sizes that a module may have.
    pub limits: Limits,
    /// Import rule.
    pub imports: Imports,
}

impl Options {
    /// Returns the options that packages are checked with: default limits, ABI imports.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        Self { profile, limits: Limits::default(), imports: Imports::Kapsule }
    }
}

/// Validates, plans and rewrites a module.
///
/// Takes a few milliseconds for 100 KB of code and allocates a small multiple of the module size.
///
/// # Errors
/// E004 for a limit, E005 for the ABI version, E401 for invalid wasm, E402 for a feature outside
/// the profile, E403 for a refused import, E404 for a missing export; each names function and byte
/// offset where there is one.
///
/// # Determinism
/// Depends on the module bytes and the options alone.
pub fn meter(wasm: &[u8], options: &Options) -> Result<MeteredModule, MeterError> {
    let scan = scan::scan(wasm, options)?;
    if options.imports == Imports::Kapsule {
        abi_rules::check(&scan)?;
    }
    rewrite::rewrite(wasm, scan, options.imports)
}
