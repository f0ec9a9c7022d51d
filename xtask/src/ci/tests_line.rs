//! Adds up the closing lines of the test binaries.

use std::fmt;
use std::ops::AddAssign;

/// What every closing line begins with.
const CLOSING: &str = "test result: ";

/// Counts of all test binaries of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TestCounts {
    /// Tests that passed.
    pub(super) passed: usize,
    failed: usize,
    ignored: usize,
    measured: usize,
    filtered: usize,
    binaries: usize,
}

impl TestCounts {
    /// Adds up the closing lines among `lines`.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for line in lines.filter_map(|line| line.strip_prefix(CLOSING)) {
            counts.binaries += 1;
            for part in line.split(['.', ';']).map(str::trim) {
                let Some((number, name)) = part.split_once(' ') else { continue };
                let Ok(number) = number.parse::<usize>() else { continue };
                match name {
                    "passed" => counts.passed += number,
                    "failed" => counts.failed += number,
                    "ignored" => counts.ignored += number,
                    "measured" => counts.measured += number,
                    "filtered out" => counts.filtered += number,
                    _ => {}
                }
            }
        }
        counts
    }
}

impl AddAssign for TestCounts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.measured += other.measured;
        self.filtered += other.filtered;
        self.binaries += other.binaries;
    }
}

impl fmt::Display for TestCounts {
    /// Writes the sum as the test runner writes one of its closing lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        write!(f, "{CLOSING}{verdict}. {} passed; {} failed; ", self.passed, self.failed)?;
        write!(f, "{} ignored; {} measured; ", self.ignored, self.measured)?;
        write!(f, "{} filtered out; {} test binaries together", self.filtered, self.binaries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let lines = [
            "running 2 tests",
            "test a ... ok",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; \
             finished in 0.15s",
            "test result: FAILED. 40 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let counts = TestCounts::of(lines.into_iter());
        let expect = "test result: FAILED. 42 passed; 1 failed; 1 ignored; 0 measured; \
                      3 filtered out; 2 test binaries together";
        assert_eq!(counts.to_string(), expect);
        let mut twice = counts;
        twice += counts;
        assert_eq!((twice.passed, twice.filtered, twice.binaries), (84, 6, 4));
        assert_eq!(TestCounts::of([].into_iter()), TestCounts::default());
    }
}
