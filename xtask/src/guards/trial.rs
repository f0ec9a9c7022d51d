//! Switches one guard off and looks which test notices.

use super::binaries::{Binary, GUARD_OFF};
use super::scan::Guard;
use crate::failure::Failure;
use crate::process;
use std::path::PathBuf;
use std::sync::Mutex;

/// How many guards are tried at the same time; the tests of one use several threads as well.
const WORKERS: usize = 2;

/// How many times the limit a binary gets that failed no test within it.
const PATIENCE: u32 = 8;

/// What happened with a guard off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A test failed, named `crate/binary: test`, or the binary did not end well.
    Caught(String),
    /// Every test passed.
    Survived,
}

/// A guard and what happened to it.
pub(crate) type Tried = (Guard, Verdict);

/// Tries every guard on the binaries that `serves` accepts for it, and calls `done` after each.
pub(crate) fn all(
    guards: Vec<Guard>,
    binaries: &[Binary],
    serves: impl Fn(&Guard, &Binary) -> bool + Sync,
    done: impl Fn(&Tried) + Sync,
) -> Result<Vec<Tried>, Failure> {
    let queue = Mutex::new(guards.into_iter());
    let results = Mutex::new(Vec::new());
    let work = || -> Result<(), Failure> {
        loop {
            let next = queue.lock().expect("no holder panics").next();
            let Some(guard) = next else { return Ok(()) };
            let verdict = try_one(&guard, binaries.iter().filter(|one| serves(&guard, one)))?;
            let tried = (guard, verdict);
            done(&tried);
            results.lock().expect("no holder panics").push(tried);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("workers do not panic"))
    })?;
    let mut tried = results.into_inner().expect("no holder panics");
    tried.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(tried)
}

/// Runs the binaries with `guard` off until one fails.
fn try_one<'a>(
    guard: &Guard,
    binaries: impl Iterator<Item = &'a Binary>,
) -> Result<Verdict, Failure> {
    for binary in binaries {
        if let Some(how) = run(guard, binary)? {
            return Ok(Verdict::Caught(format!("{}: {how}", binary.label())));
        }
    }
    Ok(Verdict::Survived)
}

/// Runs a binary with `guard` off and returns how it failed; the first failed test ends it.
fn run(guard: &Guard, binary: &Binary) -> Result<Option<String>, Failure> {
    let scratch = Scratch::new(&guard.name)?;
    // A machine that does other work too may need more than the first limit.
    for limit in [binary.limit(), binary.limit().saturating_mul(PATIENCE)] {
        let mut command = binary.command();
        command.env(GUARD_OFF, &guard.name).env("TMPDIR", &scratch.0);
        let finished = process::limited(&mut command, limit, |line| failed_test(line).is_some())?;
        if finished.succeeded() {
            return Ok(None);
        }
        if let Some(test) = failed_test(&finished.stdout) {
            return Ok(Some(test.to_owned()));
        }
        if finished.status.is_some() {
            return Ok(Some("ended abnormally".to_owned()));
        }
    }
    Ok(Some("ran into the time limit".to_owned()))
}

/// A folder for what a stopped binary leaves behind.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("kapsule-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(Failure::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a program that is still ending writes there may stay.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the first failed test, in order of names, of a test binary's output.
fn failed_test(stdout: &str) -> Option<&str> {
    let failed = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::trim));
    failed.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(name: &str) -> Guard {
        Guard { name: name.into(), owner: "a".into(), path: "a.rs".into(), line: 1 }
    }

    #[test]
    fn the_failed_test_is_read_from_the_output() {
        let output = "test b::x ... FAILED\ntest a ... ok\ntest a::y ... FAILED\n";
        assert_eq!(failed_test(output), Some("a::y"));
        assert_eq!(failed_test("test a ... ok\n"), None);
    }

    #[test]
    fn a_guard_without_a_binary_survives_and_every_guard_is_tried_once() {
        let guards: Vec<Guard> = ["a.b.c", "a.b.d", "a.b.e"].map(guard).to_vec();
        let count = Mutex::new(0);
        let tried = all(guards.clone(), &[], |_, _| true, |_| *count.lock().unwrap() += 1).unwrap();
        let expect: Vec<Tried> =
            guards.into_iter().map(|guard| (guard, Verdict::Survived)).collect();
        assert_eq!(tried, expect);
        assert_eq!(count.into_inner().unwrap(), 3);
    }
}
