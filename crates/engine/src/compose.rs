//! Runs inside a run: packages that a guest calls.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kapsule_abi::{ABI_NAME, ErrorCode, Limit, Outcome, guard};
use kapsule_format::Digest;
use kapsule_format::manifest::Abi;
use kapsule_format::package::{CoreHash, Package, PackageId};
use kapsule_format::policy::Policy;
use kapsule_format::receipt;
use kapsule_format::transcript::{Entries, empty_storage_root};
use kapsule_format::verify::Verified;
use kapsule_meter::Profile;

use crate::run::Run;
use crate::{Backend, Compiled, HostError, Refusal};

/// Greatest number of runs that one run may start by `call`.
///
/// A receipt lists the execution hashes of the runs inside a run, and has room for this many.
pub const NESTED_RUNS_MAX: u64 = 256;

/// Greatest number of runs that may be inside each other, the outermost not counted.
///
/// The hard limit on the depth of a dependency closure, which no honest chain of calls exceeds.
pub const NESTING_MAX: u32 = 32;

/// What a run may call.
#[derive(Clone, Copy)]
pub struct Compose<'a> {
    /// Dependency list of the package that runs; it may call these and no others.
    pub dependencies: &'a [PackageId],
    /// Where the packages come from.
    pub callees: &'a dyn Callees,
}

/// The packages of a closure, verified and compiled.
pub trait Callees {
    /// Returns the package with this `capsule_hash`, or `None` if the closure lacks it.
    ///
    /// It is asked at every `call`, so an implementation that compiles on demand keeps the result.
    /// `backend` is that of the caller; a callee for another one gives the same results.
    ///
    /// # Errors
    /// [`HostError`] if the package cannot be compiled.
    fn callee(
        &self,
        package: &PackageId,
        backend: Backend,
    ) -> Result<Option<Arc<Callee>>, HostError>;
}

impl Callees for BTreeMap<PackageId, Arc<Callee>> {
    fn callee(&self, package: &PackageId, _: Backend) -> Result<Option<Arc<Callee>>, HostError> {
        Ok(self.get(package).cloned())
    }
}

/// A package that can be called.
#[derive(Clone, Debug)]
pub struct Callee {
    pub(crate) capsule_hash: PackageId,
    pub(crate) core_hash: CoreHash,
    pub(crate) profile: Profile,
    /// Entries of the manifest, the default one first.
    pub(crate) entries: Vec<String>,
    pub(crate) policy: Policy,
    pub(crate) dependencies: Vec<PackageId>,
    pub(crate) compiled: Compiled,
}

impl Callee {
    /// Joins a verified package and its compiled module.
    ///
    /// That the module is that of the package is for the caller to see to.
    ///
    /// # Errors
    /// E005 for another ABI or profile than this build runs.
    pub fn new(package: &Verified<Package>, compiled: Compiled) -> Result<Self, Refusal> {
        let exec = &package.manifest().exec;
        let unsupported = |what: &str, found: &str, allowed: &str| Refusal {
            code: ErrorCode::VersionUnsupported,
            detail: format!("found {what} {found:?}, allowed is {allowed:?}"),
        };
        if guard!("engine.compose.abi", exec.abi != Abi::KapsuleV1) {
            return Err(unsupported("abi", exec.abi.name(), ABI_NAME));
        }
        let profile = exec.profile.name();
        let profile =
            profile.parse().map_err(|_| unsupported("profile", profile, "integer-1 or float-1"))?;
        let entries = [&exec.entry].into_iter().chain(exec.entries.iter().flatten());
        Ok(Self {
            capsule_hash: package.capsule_hash(),
            core_hash: package.core_hash(),
            profile,
            entries: entries.cloned().collect(),
            policy: package.policy().clone(),
            dependencies: package.dependencies().to_vec(),
            compiled,
        })
    }
}

/// A run that another run started by `call`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nested {
    /// Sequence number of the `call` in the transcript of the caller.
    pub call: u64,
    /// Package that was called.
    pub package: PackageId,
    /// Fuel that it was granted: what the caller had left, or less if its own policy says so.
    pub fuel_granted: u64,
    /// Fuel limit of its effective policy.
    pub(crate) fuel_limit: u64,
    /// What came of it.
    pub run: Run,
}

/// A run that another run started by `call`, as far as a replay of the outermost one is told of it.
///
/// Whatever else there is to know of it follows from its package and from the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded<'a> {
    /// Its hostcalls with their answers.
    pub entries: &'a Entries,
    /// Storage root before it.
    pub storage_before: Digest,
    /// Storage root at its end, with its changes; absent if the storage is empty.
    pub storage_root: Option<Digest>,
    /// Runs that it started by `call`, in the order of the calls.
    pub nested: Vec<Recorded<'a>>,
}

impl<'a> Recorded<'a> {
    /// Takes runs over from the audit bundle of a receipt.
    #[must_use]
    pub fn all(nested: &'a [receipt::Nested<'_>]) -> Vec<Self> {
        let one = |one: &'a receipt::Nested<'_>| {
            let after = one.exec.storage_after;
            Self {
                entries: &one.entries,
                storage_before: one.exec.storage_before,
                storage_root: (after != empty_storage_root()).then_some(after),
                nested: Self::all(&one.nested),
            }
        };
        nested.iter().map(one).collect()
    }
}

impl Nested {
    /// Tells whether more fuel for the outermost run could have let this one go on.
    fn is_starved(&self) -> bool {
        let out = self.run.outcome == Outcome::LimitReached(Limit::Fuel);
        let short = self.fuel_granted < self.fuel_limit;
        // A grant of nothing may have left a part of the price of setting up unpaid.
        (short && (out || self.fuel_granted == 0)) || is_starved(&self.run)
    }

    /// Names the grant that a caller with `more` fuel would have made.
    fn regrant(&mut self, more: u64) {
        let granted = self.fuel_granted.saturating_add(more).min(self.fuel_limit);
        let more = granted.saturating_sub(self.fuel_granted);
        self.fuel_granted = granted;
        if let Some(transcript) = &mut self.run.transcript {
            transcript.header.fuel = granted;
        }
        regrant(&mut self.run, more);
    }
}

/// Tells whether any run inside `run` ended for want of fuel that its caller did not have.
pub(crate) fn is_starved(run: &Run) -> bool {
    run.nested.iter().any(Nested::is_starved)
}

/// Names in every run inside `run` the grants that a caller with `more` fuel would have made.
///
/// Only for a run that is not starved, which does the same with more fuel.
pub(crate) fn regrant(run: &mut Run, more: u64) {
    run.nested.iter_mut().for_each(|nested| nested.regrant(more));
}
