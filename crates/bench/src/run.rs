//! One run on an engine, as every section makes it.

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, compile, run};
use kapsule_format::hash::Digest;
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Filesystem, Limits, Network, Policy};
use kapsule_lower::isa::TAG_IN;
use kapsule_lower::words::{Record, of_run};
use kapsule_meter::{MeteredModule, Options, Profile};

/// Fuel that no program here uses up.
pub(crate) const FUEL: u64 = 1 << 50;
/// Memory that every program here fits in, in bytes.
pub(crate) const MEMORY_BYTES: u64 = 1 << 26;

/// Validates, plans and rewrites a module without floats.
pub(crate) fn meter(wasm: &[u8]) -> Result<MeteredModule, String> {
    kapsule_meter::meter(wasm, &Options::new(Profile::Integer1)).map_err(|error| error.to_string())
}

/// Returns a policy that grants nothing but the limits.
pub(crate) fn policy() -> Policy {
    Policy {
        filesystem: Filesystem::default(),
        hostcalls: Vec::new(),
        kinds: Vec::new(),
        limits: Limits {
            calls: 1_000_000,
            fuel: FUEL,
            log_bytes: 1 << 30,
            memory_bytes: MEMORY_BYTES,
            output_bytes: 1_024,
            storage_bytes: 0,
        },
        network: Network::default(),
    }
}

/// Returns a run of the entry `run` with an empty input.
pub(crate) fn job<'a>(policy: &'a Policy, evidence: bool) -> Job<'a> {
    Job {
        capsule_hash: PackageId::new(Digest::new([0; 32])),
        core_hash: CoreHash::new(Digest::new([0; 32])),
        profile: Profile::Integer1,
        entry: "run",
        input: &[],
        policy,
        fuel: FUEL,
        memory_bytes: MEMORY_BYTES,
        seed: [0; 32],
        deadline: None,
        compose: None,
        options: JobOptions { evidence, ..JobOptions::default() },
    }
}

/// Runs a module on the interpreter and returns the words that it read.
pub(crate) fn words(wasm: &[u8], input: &[u8]) -> Result<Vec<u64>, String> {
    let metered = meter(wasm)?;
    let compiled = compile(&metered, Backend::Wasmi).map_err(|error| error.to_string())?;
    let mut policy = policy();
    policy.limits.output_bytes = 1 << 20;
    policy.hostcalls = vec!["trust_edges".into()];
    let job = Job { input, ..job(&policy, true) };
    let run =
        run(&compiled, &job, &mut MemoryHost::default()).map_err(|error| error.to_string())?;
    let transcript = run.transcript.ok_or("a run has no transcript")?;
    let records = transcript.entries.iter().map(|entry| Record {
        hostcall: entry.hostcall,
        status: entry.status,
        request: entry.request,
        response: entry.response,
    });
    let Outcome::Completed(code) = run.outcome else { return Err(run.outcome.to_string()) };
    let events = of_run(records, Some(code)).ok_or("a record has no words")?;
    Ok(events.iter().filter(|event| event.tag == TAG_IN).map(|event| event.word).collect())
}
