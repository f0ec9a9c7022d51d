//! What hostile modules get: a stable code or outcome, equal on both backends, within bounds that
//! follow from the limits and not from the patience of the host.

mod compile_bombs;
mod floods;
mod recursion;

use kapsule_engine::{
    Backend, Compiled, HostError, Job, JobOptions, Run, RunError, compile, run, run_auto,
};
use kapsule_format::Digest;
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Limits, Policy};
use kapsule_meter::{MeterError, MeteredModule, Options, Profile, meter};
use kapsule_testkit::full_host;

/// Meters a module of profile `integer-1` as a package would be.
fn metered(wasm: &[u8]) -> Result<MeteredModule, MeterError> {
    meter(wasm, &Options::new(Profile::Integer1))
}

/// Meters a module text whose parts stand between memory, ABI version and entry.
fn metered_wat(fields: &str) -> MeteredModule {
    let text = format!(
        r#"(module {fields}
            (func (export "kapsule_abi_version") (result i32) i32.const 1))"#
    );
    metered(&wat::parse_str(text).unwrap()).unwrap()
}

/// A policy with the default limits and a few changes.
fn policy(change: impl FnOnce(&mut Limits)) -> Policy {
    let mut policy = Policy::default();
    change(&mut policy.limits);
    policy
}

/// Asks for the entry `run` with everything that the policy allows.
fn job(policy: &Policy) -> Job<'_> {
    Job {
        capsule_hash: PackageId::new(Digest::new([1; 32])),
        core_hash: CoreHash::new(Digest::new([2; 32])),
        profile: Profile::Integer1,
        entry: "run",
        input: b"input",
        policy,
        fuel: policy.limits.fuel,
        memory_bytes: policy.limits.memory_bytes,
        seed: [0; 32],
        deadline: None,
        compose: None,
        options: JobOptions::default(),
    }
}

fn run_on(compiled: &Compiled, policy: &Policy) -> Result<Run, RunError> {
    run(compiled, &job(policy), &mut full_host())
}

/// Runs where the engine chooses the backend.
fn run_alone(metered: &MeteredModule, policy: &Policy) -> Run {
    run_auto(metered, &job(policy), &mut full_host()).unwrap().1
}

/// Runs on both backends, which must agree, and returns what they agree on.
fn run_both(metered: &MeteredModule, policy: &Policy) -> Run {
    let [wasmi, jit] = [Backend::Wasmi, Backend::Jit]
        .map(|backend| run_on(&compile(metered, backend).unwrap(), policy).unwrap());
    assert_eq!(Run { trap_site: None, ..wasmi.clone() }, Run { trap_site: None, ..jit });
    wasmi
}

/// Runs on both backends where the JIT may give up for want of native stack, and nothing else.
fn run_where_the_jit_may_give_up(metered: &MeteredModule, policy: &Policy) -> (Run, bool) {
    let wasmi = run_on(&compile(metered, Backend::Wasmi).unwrap(), policy).unwrap();
    match run_on(&compile(metered, Backend::Jit).unwrap(), policy) {
        Ok(jit) => {
            assert_eq!(Run { trap_site: None, ..wasmi.clone() }, Run { trap_site: None, ..jit });
            (wasmi, false)
        }
        Err(error) => {
            assert_eq!(error, RunError::Host(HostError::NativeStack(Backend::Jit)));
            (wasmi, true)
        }
    }
}
