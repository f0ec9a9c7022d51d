//! Switches one guard off and looks which test notices.

use super::scan::Guard;
use super::watch::{Scratch, Test};
use super::workers;
use crate::failure::Failure;
use crate::process;
use std::time::Duration;

/// Variable that names the guard to switch off.
const OFF: &str = "KAPSULE_GUARD_OFF";

/// Shortest limit for a test with a guard off.
const LIMIT_MIN: Duration = Duration::from_secs(30);

/// How many times its limit a test gets that did not fail within it.
const PATIENCE: u32 = 8;

/// What happened with a guard off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A test failed, named `crate/binary: test`, perhaps with how it ended.
    Caught(String),
    /// Every test passed.
    Survived {
        /// In how many tests the guard refuses something.
        refusing: usize,
    },
}

impl Verdict {
    /// Tells whether no test noticed.
    pub(crate) const fn survived(&self) -> bool {
        matches!(self, Self::Survived { .. })
    }
}

/// A guard and what happened to it.
pub(crate) type Tried = (Guard, Verdict);

/// Tries every guard on the tests that `serves` accepts for it, and calls `done` after each.
pub(crate) fn all(
    guards: Vec<Guard>,
    tests: &[Test],
    serves: impl Fn(&Guard, &Test) -> bool + Sync,
    done: impl Fn(&Tried) + Sync,
) -> Result<Vec<Tried>, Failure> {
    let mut tried = workers::each(guards, |guard| {
        let verdict = try_one(&guard, tests.iter().filter(|test| serves(&guard, test)))?;
        let tried = (guard, verdict);
        done(&tried);
        Ok(tried)
    })?;
    tried.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(tried)
}

/// Runs the tests in which `guard` refuses something without it, until one fails.
fn try_one<'a>(guard: &Guard, tests: impl Iterator<Item = &'a Test>) -> Result<Verdict, Failure> {
    let mut refusing = 0;
    for test in tests.filter(|test| test.refusing.contains(&guard.name)) {
        refusing += 1;
        if let Some(how) = run(guard, test)? {
            let label = test.binary.label();
            return Ok(Verdict::Caught(format!("{label}: {}{how}", test.name)));
        }
    }
    Ok(Verdict::Survived { refusing })
}

/// Runs a test with `guard` off and, if it does not pass, returns what is to be said beyond that.
fn run(guard: &Guard, test: &Test) -> Result<Option<&'static str>, Failure> {
    let scratch = Scratch::new(&guard.name)?;
    let limit = LIMIT_MIN.max(test.elapsed.saturating_mul(4));
    // A machine that does other work too may need more than the first limit.
    for limit in [limit, limit.saturating_mul(PATIENCE)] {
        let mut command = test.binary.test(&test.name);
        command.env(OFF, &guard.name).env("TMPDIR", &scratch.0);
        let finished = process::limited(&mut command, limit, is_failure)?;
        if finished.succeeded() {
            return Ok(None);
        }
        if finished.stdout.lines().any(is_failure) {
            return Ok(Some(""));
        }
        if finished.status.is_some() {
            return Ok(Some(" (ended abnormally)"));
        }
    }
    Ok(Some(" (ran into the time limit)"))
}

/// Tells whether a line of a test binary's output says that a test failed.
fn is_failure(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn guard(name: &str) -> Guard {
        Guard { name: name.into(), owner: "a".into(), path: "a.rs".into(), line: 1 }
    }

    #[test]
    fn a_failed_test_is_told_from_other_lines() {
        assert!(is_failure("test a::y ... FAILED"));
        let others = ["test a ... ok", "test result: FAILED. 0 passed", "says a ... FAILED"];
        assert!(!others.into_iter().any(is_failure));
    }

    #[test]
    fn a_guard_without_a_test_survives_and_every_guard_is_tried_once() {
        let guards: Vec<Guard> = ["a.b.c", "a.b.d", "a.b.e"].map(guard).to_vec();
        let count = Mutex::new(0);
        let tried = all(guards.clone(), &[], |_, _| true, |_| *count.lock().unwrap() += 1).unwrap();
        let survived = |guard| (guard, Verdict::Survived { refusing: 0 });
        assert_eq!(tried, guards.into_iter().map(survived).collect::<Vec<Tried>>());
        assert_eq!(count.into_inner().unwrap(), 3);
    }
}
