//! The engine: what metering costs, what a first run costs, what a warm call costs; and how
//! fast the executor of lowered programs is beside it.

mod cold;
mod hostcall;
mod large;
pub(crate) mod lowered;
mod metering;
mod programs;
mod resident;
mod signatures;
mod warm;

use kapsule_engine::{Backend, Job, JobOptions};
use kapsule_format::hash::Digest;
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_format::policy::{Filesystem, Limits, Network, Policy};
use kapsule_meter::{MeteredModule, Options, Profile};

/// Fuel that no program here uses up.
const FUEL: u64 = 1 << 50;
/// Memory that every program here fits in, in bytes.
const MEMORY_BYTES: u64 = 1 << 26;

/// One part of the report.
type Section = (&'static str, fn() -> Result<Vec<String>, String>);

const SECTIONS: &[Section] = &[
    ("metering", metering::measure),
    ("cold", cold::measure),
    ("warm", warm::measure),
    ("hostcall", hostcall::measure),
    ("resident", resident::measure),
    ("signatures", signatures::measure),
    ("lowered", lowered::measure),
];

/// Runs the measurements with these names, or every one, and returns the lines of the report.
pub(crate) fn measure(names: &[&str]) -> Result<Vec<String>, String> {
    let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("found section {unknown:?}, allowed are {known:?}"));
    }
    let mut lines = vec![
        "All ratios: ours over the peer, measured in turn in this run; lower is better.".to_owned(),
    ];
    for (name, section) in SECTIONS {
        if names.is_empty() || names.contains(name) {
            lines.extend(section()?);
        }
    }
    Ok(lines)
}

fn meter(wasm: &[u8]) -> Result<MeteredModule, String> {
    kapsule_meter::meter(wasm, &Options::new(Profile::Integer1)).map_err(|error| error.to_string())
}

/// Returns a policy that grants nothing but the limits.
fn policy() -> Policy {
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

fn job<'a>(policy: &'a Policy, evidence: bool) -> Job<'a> {
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

fn heading(title: &str) -> [String; 2] {
    [String::new(), title.to_owned()]
}

fn name(backend: Backend) -> String {
    format!("{:<6}", backend.name())
}
