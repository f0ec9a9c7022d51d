//! `ci`: everything that a merge needs, in order, with the time of each step.
//!
//! The slices of the long runs, 10,000 generated modules and 20,000 mutations for each fuzz body,
//! are among the tests.
//! What takes seconds stands first, so that a slip is seen at once.
//! Clippy and rustdoc use the release profile: they need metadata of every dependency in any case,
//! and share the build scripts and macros that the tests have built in that profile.

mod tests_line;

use crate::failure::Failure;
use crate::tree::Tree;
use crate::{
    deny, embedder, examples, foreign, golden, guards, layers, modules, process, purity, readme,
    sdk, tidy, ui, vectors, verifier,
};
use std::process::Command;
use std::time::Instant;
use tests_line::TestCounts;

/// What the steps hand on.
#[derive(Default)]
struct State {
    tests: TestCounts,
}

/// One step: its name and what it does.
type Step = (&'static str, fn(&Tree, &mut State) -> Result<(), Failure>);

const STEPS: &[Step] = &[
    ("fmt", |tree, _| fmt(tree)),
    ("tidy", |tree, _| tidy::run(tree, &[])),
    ("layers", |tree, _| layers::run(tree, &[])),
    ("deny", |tree, _| deny::run(tree, &[])),
    ("vectors", |tree, _| vectors::run(tree, &[])),
    ("typos", |tree, _| typos(tree)),
    ("demo (first command of the README)", |tree, _| demo(tree)),
    ("tests (second command of the README)", tests),
    ("module tests", module_tests),
    ("clippy", |tree, _| clippy(tree)),
    ("docs", |tree, _| docs(tree)),
    ("purity", |tree, _| purity::run(tree, &[])),
    ("embedder", |tree, _| embedder::run(tree, &[])),
    ("golden", |tree, _| golden::run(tree, &[])),
    ("modules --check", |tree, _| modules::run(tree, &["--check".to_owned()])),
    ("foreign", |tree, _| foreign::run(tree, &[])),
    ("sdk", |tree, _| sdk::run(tree, &[])),
    ("verifier", |tree, _| verifier::run(tree, &[])),
    ("examples", |tree, _| examples::run(tree, &[])),
    ("guards", |tree, _| guards::run(tree, &[])),
];

/// Runs every step and stops at the first that fails.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("ci takes no argument, found `{unknown}`")));
    }
    let before = Snapshot::take(tree)?;
    let mut state = State::default();
    let mut rows = vec![["step", "seconds"].map(String::from).to_vec()];
    let all = Instant::now();
    for (index, (name, step)) in STEPS.iter().enumerate() {
        ui::heading(&format!("{} of {}: {name}", index + 1, STEPS.len()));
        let started = Instant::now();
        let done = step(tree, &mut state);
        rows.push(vec![(*name).to_owned(), format!("{:.1}", started.elapsed().as_secs_f64())]);
        if done.is_err() {
            ui::heading(&format!("{name} FAILED"));
            ui::table(&rows);
            return done;
        }
    }
    before.compare(&Snapshot::take(tree)?)?;
    rows.push(vec!["all".to_owned(), format!("{:.1}", all.elapsed().as_secs_f64())]);
    ui::heading("the tree is as it was, and so is the lock file");
    ui::table(&rows);
    ui::line(&state.tests.to_string());
    Ok(())
}

/// What `ci` leaves as it was.
#[derive(PartialEq, Eq)]
struct Snapshot {
    status: String,
    lock: String,
}

impl Snapshot {
    /// Asks git what differs from the commit, and reads the lock file.
    fn take(tree: &Tree) -> Result<Self, Failure> {
        let mut git = process::command(tree, "git");
        let status = process::capture(git.args(["status", "--porcelain"]))?;
        Ok(Self { status, lock: tree.read("Cargo.lock")? })
    }

    /// Fails if anything changed since.
    fn compare(&self, after: &Self) -> Result<(), Failure> {
        if self.lock != after.lock {
            return Err(Failure::shape("Cargo.lock", "moved during the run"));
        }
        if self.status != after.status {
            return Err(Failure::shape("git status", format!("changed to:\n{}", after.status)));
        }
        Ok(())
    }
}

/// Checks the layout of every workspace.
fn fmt(tree: &Tree) -> Result<(), Failure> {
    let manifests =
        ["Cargo.toml", "modules/Cargo.toml", "fuzz/Cargo.toml", "xtask/no-std-probe/Cargo.toml"];
    for manifest in manifests.into_iter().filter(|manifest| tree.path(manifest).is_file()) {
        let args = ["fmt", "--all", "--check", "--manifest-path", manifest];
        process::run(&mut process::cargo(tree, &args))?;
    }
    Ok(())
}

/// Looks for spelling mistakes where the tool is installed.
fn typos(tree: &Tree) -> Result<(), Failure> {
    if !process::is_present(tree, "typos", &["--version"]) {
        ui::line("skipped: typos is not installed");
        return Ok(());
    }
    process::run(&mut process::command(tree, "typos"))
}

/// Runs the README's first command as it stands there.
fn demo(tree: &Tree) -> Result<(), Failure> {
    let line = readme::quickstart(tree)?.demo;
    ui::line(&format!("$ {line}"));
    process::run(process::command(tree, "sh").args(["-c", &line]))
}

/// Runs the README's second command as it stands there and keeps what the test runner counted.
fn tests(tree: &Tree, state: &mut State) -> Result<(), Failure> {
    let line = readme::quickstart(tree)?.tests;
    ui::line(&format!("$ {line}"));
    counted(process::command(tree, "sh").args(["-c", &line]), state)
}

/// Runs the tests of the guest modules on this machine; their workspace is not ours.
fn module_tests(tree: &Tree, state: &mut State) -> Result<(), Failure> {
    let mut command = process::cargo(tree, &["test", "--release", "--locked", "--workspace"]);
    counted(modules::in_workspace(tree, &mut command), state)
}

/// Runs tests, shows them, and adds what the test runner counted.
fn counted(command: &mut Command, state: &mut State) -> Result<(), Failure> {
    let lines = process::tee(command, ui::line)?;
    let counts = TestCounts::of(lines.iter().map(String::as_str));
    state.tests += counts;
    match counts.passed {
        0 => Err(Failure::shape("tests", "the test runner reports no passed test")),
        _ => Ok(()),
    }
}

/// Lints every target of our workspace and of the guest modules.
fn clippy(tree: &Tree) -> Result<(), Failure> {
    let args = ["clippy", "--release", "--locked", "--workspace", "--all-targets"];
    let args = || args.into_iter().chain(["--", "--deny", "warnings"]).collect::<Vec<_>>();
    process::run(&mut process::cargo(tree, &args()))?;
    process::run(modules::in_workspace(tree, &mut process::cargo(tree, &args())))
}

/// Builds the documents of our crates.
fn docs(tree: &Tree) -> Result<(), Failure> {
    let args = ["doc", "--release", "--locked", "--workspace", "--no-deps"];
    process::run(process::cargo(tree, &args).env("RUSTDOCFLAGS", "--deny warnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_noticed() {
        let take = |status: &str, lock: &str| Snapshot { status: status.into(), lock: lock.into() };
        assert!(take("", "a").compare(&take("", "a")).is_ok());
        assert!(take("", "a").compare(&take("", "b")).is_err());
        assert!(take("", "a").compare(&take("?? x", "a")).is_err());
        assert!(take("?? x", "a").compare(&take("?? x", "a")).is_ok());
    }
}
