//! Which package processes a capsule, and running it.

use std::collections::BTreeMap;

use kapsule_abi::{ErrorCode, Outcome, guard};
use kapsule_engine::{CapsuleResult, Host, MemoryCapsule, MemoryHost, StorageChanges};
use kapsule_format::capsule::{Capsule, CapsuleId, Meta};
use kapsule_format::closure::Closure;
use kapsule_format::package::PackageId;
use kapsule_format::policy::Policy;
use kapsule_store::metadata;

use crate::closure::{self, Found, Library, Sources};
use crate::dispatch::{Dispatch, Target};
use crate::error::Failure;
use crate::execute::{self, Engine, Loaded, Ready, Request};
use crate::grants::GrantArgs;
use crate::opening::{self, Asked, Files, Opened, Verifier};
use crate::surroundings;

/// The packages that capsules ask for, and those that stand in them.
#[derive(Default)]
pub(crate) struct Wanted(BTreeMap<PackageId, Option<Vec<u8>>>);

impl Wanted {
    /// Notes what a capsule asks for.
    pub(crate) fn note(&mut self, dispatch: &Dispatch, capsule: &Capsule<'_>) {
        let Some(target) = dispatch.target(capsule.meta()) else { return };
        let own = capsule.meta().logic.as_ref().is_some_and(|own| own.package == target.package);
        let embedded = capsule.logic().filter(|_| own).map(<[u8]>::to_vec);
        let place = self.0.entry(target.package).or_default();
        *place = place.take().or(embedded);
    }

    /// Finds and verifies every package with all that it needs.
    pub(crate) fn open(self, sources: &Sources, verifier: &Verifier<'_>) -> Packages {
        let open = |(id, embedded): (PackageId, Option<Vec<u8>>)| {
            (id, open(&id, embedded, sources, verifier))
        };
        Packages(self.0.into_iter().map(open).collect())
    }
}

/// A verified package with its closure.
struct Prepared {
    name: String,
    opened: Opened,
    closure: Closure<Found>,
}

/// Every package that was asked for, or why it cannot be used.
pub(crate) struct Packages(BTreeMap<PackageId, Result<Prepared, Failure>>);

fn open(
    id: &PackageId,
    embedded: Option<Vec<u8>>,
    sources: &Sources,
    verifier: &Verifier<'_>,
) -> Result<Prepared, Failure> {
    let kept = sources.get(id)?;
    let files = kept.or_else(|| {
        embedded.map(|bytes| Files::inside("a capsule", kapsule_format::capsule::LOGIC, &bytes))
    });
    let files = files.ok_or_else(|| {
        let hint = "keep the package with `kapsule package add FILE`";
        Failure::new(ErrorCode::DependencyAbsent, format!("the package {id} is not here"), hint)
    })?;
    let package = opening::decode(&files)?;
    let closure = sources.closure(&package, verifier);
    let finding = Some(closure::finding(&closure));
    let opened = verifier.open(&files, Asked { closure: finding, hash: Some(*id) })?;
    let closure = closure.map_err(|error| closure::failure(&files.name(), &package, *error))?;
    Ok(Prepared { name: files.name(), opened, closure })
}

impl Packages {
    /// Meters every module and gives them, ready to run, to `then`.
    pub(crate) fn ready<T>(
        &self,
        grants: &GrantArgs,
        dispatch: &Dispatch,
        runs: u64,
        then: impl FnOnce(&Logics<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let refused = self.0.iter().filter_map(|(id, package)| {
            package.as_ref().err().map(|failure| (*id, failure.clone()))
        });
        let mut failed: BTreeMap<PackageId, Failure> = refused.collect();
        let prepared = self.0.iter().filter_map(|(id, package)| Some((id, package.as_ref().ok()?)));
        let mut libraries = BTreeMap::new();
        for (id, package) in prepared {
            match Library::new(&package.closure) {
                Ok(library) => drop(libraries.insert(*id, (package, library))),
                Err(failure) => drop(failed.insert(*id, failure)),
            }
        }
        let mut loaded: BTreeMap<PackageId, (Loaded<'_>, Policy)> = BTreeMap::new();
        for (id, (package, library)) in &libraries {
            let load = || {
                let module = package.opened.module.as_slice();
                let loaded = execute::load(&package.name, &package.opened.package, module)?;
                let policy =
                    dispatch.granted(id, grants).effective(package.opened.package.policy())?.policy;
                Ok((loaded.with_callees(library), policy))
            };
            match load() {
                Ok(one) => drop(loaded.insert(*id, one)),
                Err(failure) => drop(failed.insert(*id, failure)),
            }
        }
        let mut ready = BTreeMap::new();
        for (id, (loaded, policy)) in &loaded {
            let fuel = policy.limits.fuel.saturating_mul(runs);
            match loaded.compile(Engine::Auto, fuel) {
                Ok(compiled) => drop(ready.insert(*id, (loaded, compiled, policy))),
                Err(failure) => drop(failed.insert(*id, failure)),
            }
        }
        then(&Logics { dispatch, ready, failed })
    }
}

/// One package ready to run, with its policy.
type ReadyLogic<'a> = (&'a Loaded<'a>, Ready<'a>, &'a Policy);

/// What processes capsules.
pub(crate) struct Logics<'a> {
    dispatch: &'a Dispatch,
    ready: BTreeMap<PackageId, ReadyLogic<'a>>,
    failed: BTreeMap<PackageId, Failure>,
}

/// A run of the logic over one capsule.
#[derive(Clone)]
pub(crate) struct Ran {
    /// Package that ran.
    pub(crate) package: PackageId,
    /// Entry that was called.
    pub(crate) entry: String,
    /// Printed outcome.
    pub(crate) outcome: String,
    /// Fuel that it used.
    pub(crate) fuel: u64,
    /// What it wrote.
    pub(crate) output: Vec<u8>,
    /// What it changed in the storage of packages, if it completed with 0.
    pub(crate) storage: BTreeMap<PackageId, StorageChanges>,
    /// What it submitted for the capsule, if it completed with 0.
    pub(crate) submitted: Option<CapsuleResult>,
}

impl Logics<'_> {
    /// Tells whether what processes a capsule can ask the store something, so that it has to run
    /// in order.
    pub(crate) fn asks_store(&self, meta: &Meta) -> bool {
        let target = self.dispatch.target(meta);
        let ready = target.and_then(|target| self.ready.get(&target.package));
        ready.is_some_and(|(loaded, _, policy)| surroundings::asks_store(loaded, policy))
    }

    /// Tells whether anything here can ask for scores of trust.
    pub(crate) fn asks_scores(&self) -> bool {
        let mut ready = self.ready.values();
        ready.any(|(loaded, _, policy)| surroundings::asks_scores(loaded, policy))
    }

    /// Tells whether anything here can ask for trust statements.
    pub(crate) fn asks_statements(&self) -> bool {
        let mut ready = self.ready.values();
        ready.any(|(loaded, _, policy)| surroundings::asks_statements(loaded, policy))
    }

    /// Runs what processes a capsule, if anything does, with a host that `host` makes of what is
    /// in memory.
    ///
    /// The input is the body; the time is the one that the author claims, and the seed the id, so
    /// that everybody gets the same result.
    pub(crate) fn run<H: Host + Into<MemoryHost>>(
        &self,
        (id, meta): (CapsuleId, &Meta),
        body: &[u8],
        host: impl Fn(MemoryHost) -> H,
    ) -> Option<Result<Ran, Failure>> {
        let target = self.dispatch.target(meta)?;
        if let Some(failure) = self.failed.get(&target.package) {
            return Some(Err(failure.clone()));
        }
        let ready = self.ready.get(&target.package)?;
        Some(run((id, meta), body, target, ready, host))
    }
}

fn run<H: Host + Into<MemoryHost>>(
    (id, meta): (CapsuleId, &Meta),
    body: &[u8],
    target: Target,
    (loaded, ready, policy): &ReadyLogic<'_>,
    host: impl Fn(MemoryHost) -> H,
) -> Result<Ran, Failure> {
    if let Some(logic) = meta.logic.as_ref().filter(|own| own.package == target.package) {
        let stated = logic.policy;
        let other = stated != loaded.package.policy_hash();
        if guard!("cli.ingest.logic_policy", other) {
            let message = "the capsule names another policy than its logic has";
            let hint = "the author of the capsule has to name the package as it is";
            return Err(Failure::new(ErrorCode::FactsConflict, message, hint));
        }
    }
    let kinds = &policy.kinds;
    if guard!("cli.ingest.kind", !kinds.is_empty() && !kinds.contains(&meta.kind)) {
        let message = format!("the package {} does not process {}", target.package, meta.kind);
        let hint = "choose a package for this kind with `kapsule dispatch set`";
        return Err(Failure::new(ErrorCode::HostcallDenied, message, hint));
    }
    let capsules = vec![MemoryCapsule { metadata: metadata(meta), payload: Some(body.to_vec()) }];
    let memory = MemoryHost { capsules, now_ms: meta.time_ms, ..MemoryHost::default() };
    let request = Request {
        entry: Some(&target.entry),
        input: body,
        policy,
        fuel: None,
        seed: *id.as_bytes(),
        engine: Engine::Auto,
        states: false,
    };
    let (ran, host) = ready.run_with(&request, || host(memory.clone()))?;
    let completed = ran.run.outcome == Outcome::Completed(0);
    Ok(Ran {
        package: target.package,
        entry: target.entry,
        outcome: ran.run.outcome.to_string(),
        fuel: ran.run.usage.fuel,
        output: ran.run.output,
        storage: if completed { ran.run.effects.storage } else { BTreeMap::new() },
        submitted: host.into().results.remove(&0).filter(|_| completed),
    })
}
