//! A run through a pool equals a run on a fresh instance, whatever ran there before.

use kapsule_abi::Outcome;
use kapsule_engine::{Backend, Job, JobOptions, Pool, Run, RunError, compile, run, run_once};
use kapsule_format::hash::{sha3_256, sha256};
use kapsule_format::package::{CoreHash, PackageId};
use kapsule_meter::{Options, meter};
use kapsule_testkit::{FUEL_GRANTED, Sample, full_host};

/// Samples of one test run.
const SEEDS: u64 = 200;

/// What the runs of all samples showed, so that the test knows what it covered.
#[derive(Default)]
struct Seen {
    completed: u32,
    stopped: u32,
    grown: u32,
    kept: u32,
    with_globals: u32,
}

fn without_site(run: Result<Run, RunError>) -> Result<Run, RunError> {
    // Where a trap happened is a diagnostic.
    run.map(|run| Run { trap_site: None, ..run })
}

fn check(seed: u64, seen: &mut Seen) {
    let Some(sample) = Sample::generate(seed) else { return };
    let Ok(metered) = meter(&sample.wasm, &Options::new(sample.profile)) else { return };
    for &backend in Backend::ALL {
        let compiled = compile(&metered, backend).unwrap_or_else(|error| panic!("{error}"));
        let mut pool = Pool::new(compiled.clone(), 1);
        let whole = job(&sample, FUEL_GRANTED, true);
        let used = run(&compiled, &whole, &mut full_host()).map_or(0, |run| run.usage.fuel);
        // Runs that end by themselves and runs that are cut in the middle take turns.
        for (fuel, evidence) in
            [(FUEL_GRANTED, true), (used / 2, false), (used / 3, true), (FUEL_GRANTED, true)]
        {
            let job = job(&sample, fuel, evidence);
            let expected = without_site(run(&compiled, &job, &mut full_host()));
            let once = without_site(run_once(&metered, backend, &job, &mut full_host()));
            assert_eq!(once, expected, "seed {seed} on {backend}, compiled for one run");
            let found = without_site(pool.run(&job, &mut full_host()));
            assert_eq!(found, expected, "seed {seed} on {backend} with {fuel} fuel");
            let Ok(run) = found else { return };
            let initial = metered.memory().map_or(0, |memory| u64::from(memory.pages_min)) << 16;
            let grown = run.usage.memory_bytes_peak > initial;
            assert_eq!(pool.idle(), usize::from(!grown), "seed {seed} on {backend}");
            match run.outcome {
                Outcome::Completed(_) => seen.completed += 1,
                _ => seen.stopped += 1,
            }
            *(if grown { &mut seen.grown } else { &mut seen.kept }) += 1;
        }
    }
    seen.with_globals += u32::from(!metered.mutable_globals().is_empty());
}

fn job(sample: &Sample, fuel: u64, evidence: bool) -> Job<'_> {
    Job {
        capsule_hash: PackageId::new(sha3_256(&sample.wasm)),
        core_hash: CoreHash::new(sha256(&sample.wasm)),
        profile: sample.profile,
        entry: "run",
        input: &sample.input,
        policy: &sample.policy,
        fuel,
        memory_bytes: sample.memory_bytes(),
        seed: [3; 32],
        deadline: None,
        compose: None,
        options: JobOptions { evidence, ..JobOptions::default() },
    }
}

#[test]
fn a_pooled_instance_equals_a_fresh_one() {
    let mut seen = Seen::default();
    (0..SEEDS).for_each(|seed| check(seed, &mut seen));
    let Seen { completed, stopped, grown, kept, with_globals } = seen;
    for (what, count) in [
        ("completed", completed),
        ("stopped", stopped),
        ("grown", grown),
        ("kept", kept),
        ("with globals", with_globals),
    ] {
        assert!(count > 5, "only {count} runs were {what}");
    }
}
