//! Verifies a package and runs it on the interpreter: all that an embedding program needs.
//!
//! It needs no operating system: files, arguments and printing are its caller's.
#![no_std]

extern crate alloc;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, run_once};
use kapsule_format::verify::{self, Options};
use kapsule_meter::{Options as MeterOptions, Profile, meter};

/// Runs the default entry of a package file and returns its output.
///
/// Nothing of the package is executed before its form, hashes and signatures were checked.
///
/// # Errors
/// What was refused, or how the run ended if not with success.
pub fn run(file: &[u8], input: &[u8]) -> Result<Vec<u8>, String> {
    let (package, _) = verify::load(file, None, None, &Options::default())
        .map_err(|report| String::from_utf8_lossy(&report.encode()).into_owned())?;
    let exec = &package.manifest().exec;
    let profile: Profile = exec.profile.name().parse().map_err(text)?;
    let metered = meter(package.payload(), &MeterOptions::new(profile)).map_err(text)?;
    let policy = package.policy();
    let job = Job {
        capsule_hash: package.capsule_hash(),
        core_hash: package.core_hash(),
        profile,
        entry: &exec.entry,
        input,
        policy,
        fuel: policy.limits.fuel,
        memory_bytes: policy.limits.memory_bytes,
        seed: [0; 32],
        deadline: None,
        compose: None,
        options: JobOptions::default(),
    };
    let run = run_once(&metered, Backend::Wasmi, &job, &mut MemoryHost::default()).map_err(text)?;
    match run.outcome {
        Outcome::Completed(0) => Ok(run.output),
        outcome => Err(text(outcome)),
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
