//! The standard modules as they are shipped, on both backends.

use std::path::Path;

use kapsule_abi::Outcome;
use kapsule_engine::{
    Backend, Compiled, Job, JobOptions, MemoryHost, ReplayOptions, Run, compile, replay, run,
};
use kapsule_format::hash::{sha3_256, sha256};
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Limits, Policy};
use kapsule_meter::{Options, Profile, meter};

/// Fuel that a run is granted; above what the greatest inputs of the tests take.
const FUEL: u64 = 20_000_000_000;
/// Memory that a run is granted, in bytes, as the example packages ask for.
const MEMORY_BYTES: u64 = 64 << 20;

/// A committed module, compiled for both backends.
pub struct StandardModule {
    wasm: Vec<u8>,
    profile: Profile,
    policy: Policy,
    wasmi: Compiled,
    jit: Compiled,
}

impl StandardModule {
    /// Returns the bytes of `modules/artifacts/NAME.wasm`.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn wasm(name: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../modules/artifacts")
            .join(name)
            .with_extension("wasm");
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Compiles a committed module; `hostcalls` are the imports that it is granted.
    ///
    /// # Panics
    /// If the module is not one of its profile.
    #[must_use]
    pub fn load(name: &str, profile: Profile, hostcalls: &[&str]) -> Self {
        let wasm = Self::wasm(name);
        let metered = meter(&wasm, &Options::new(profile)).expect("a module of its profile");
        let on = |backend| compile(&metered, backend).expect("what was metered compiles");
        let limits = Limits { fuel: FUEL, memory_bytes: MEMORY_BYTES, ..Limits::default() };
        let hostcalls = hostcalls.iter().map(|name| (*name).to_owned()).collect();
        let policy = Policy { hostcalls, limits, ..Policy::default() };
        Self { profile, policy, wasmi: on(Backend::Wasmi), jit: on(Backend::Jit), wasm }
    }

    /// Returns the job that runs the module once on an input.
    #[must_use]
    pub fn job<'a>(&'a self, input: &'a [u8]) -> Job<'a> {
        Job {
            capsule_hash: PackageId::new(sha3_256(&self.wasm)),
            core_hash: CoreHash::new(sha256(&self.wasm)),
            profile: self.profile,
            entry: "run",
            input,
            policy: &self.policy,
            fuel: FUEL,
            memory_bytes: MEMORY_BYTES,
            seed: [0; 32],
            deadline: None,
            compose: None,
            options: JobOptions::default(),
        }
    }

    /// Runs on one backend.
    ///
    /// # Panics
    /// If the run is refused or the host fails.
    #[must_use]
    pub fn run_on(&self, backend: Backend, input: &[u8], host: &mut MemoryHost) -> Run {
        let compiled = if backend == Backend::Wasmi { &self.wasmi } else { &self.jit };
        run(compiled, &self.job(input), host).expect("the module has every grant that it needs")
    }

    /// Runs on both backends, and returns the run that both agree on, replay included.
    ///
    /// # Panics
    /// If the backends disagree.
    #[must_use]
    pub fn run(&self, input: &[u8], host: &MemoryHost) -> Run {
        let [wasmi, jit] = [Backend::Wasmi, Backend::Jit].map(|backend| {
            let mut host = host.clone();
            (self.run_on(backend, input, &mut host), host)
        });
        assert_eq!(wasmi.0.output, jit.0.output, "the outputs differ");
        // Where a trap happened is known to one backend only.
        let plain = |run: &Run| Run { trap_site: None, ..run.clone() };
        assert!(plain(&wasmi.0) == plain(&jit.0), "the runs differ");
        assert!(wasmi.1 == jit.1, "the hosts differ afterwards");
        let transcript = wasmi.0.transcript.as_ref().expect("evidence is on");
        let replayed = replay(&self.jit, transcript, ReplayOptions::default());
        assert_eq!(replayed.expect("a run replays").difference, None);
        wasmi.0
    }

    /// Returns the output of a run that must complete with 0.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn output(&self, input: &[u8]) -> Vec<u8> {
        let run = self.run(input, &MemoryHost::default());
        assert_eq!(run.outcome, Outcome::Completed(0), "{:?}", run.logs);
        run.output
    }
}
