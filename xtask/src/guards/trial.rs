//! Switches one guard off and looks which test notices.

use super::binaries::{Binary, GUARD_OFF};
use super::scan::Guard;
use crate::failure::Failure;
use crate::process;
use std::sync::Mutex;

/// How many guards are tried at the same time; the tests of one use several threads as well.
const WORKERS: usize = 2;

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
        let mut command = binary.command();
        command.env(GUARD_OFF, &guard.name);
        let finished = process::limited(&mut command, binary.limit())?;
        if !finished.succeeded() {
            let how = match finished.status {
                Some(_) => failed_test(&finished.stdout).unwrap_or("ended abnormally"),
                None => "ran into the time limit",
            };
            return Ok(Verdict::Caught(format!("{}: {how}", binary.label())));
        }
    }
    Ok(Verdict::Survived)
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
