//! Runs every test alone with every guard on, and notes which guards refuse something in it.
//!
//! A guard is asked for only where what it refuses is there (`kapsule_abi::guard!`), so a test in
//! which that does not happen runs the same without it and need not be asked about it.

use super::binaries::Binary;
use super::workers;
use crate::failure::Failure;
use crate::process;
use crate::ui;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Variable that names the file in which guards leave their names.
const TRACE: &str = "KAPSULE_GUARD_TRACE";

/// Longest time that one test may take with every guard on.
const LIMIT: Duration = Duration::from_secs(900);

/// One test and the guards that refuse something in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    /// Where it is.
    pub(crate) binary: Binary,
    /// Its path, as the test runner prints it.
    pub(crate) name: String,
    /// How long it takes alone with every guard on.
    pub(crate) elapsed: Duration,
    /// Names of those guards.
    pub(crate) refusing: BTreeSet<String>,
}

/// Runs every test of the binaries and returns them, the quickest first.
///
/// # Errors
/// If a test fails alone, since then a failure with a guard off would say nothing.
pub(crate) fn all(binaries: Vec<Binary>) -> Result<Vec<Test>, Failure> {
    let mut tests = Vec::new();
    for binary in binaries {
        tests.extend(binary.tests()?.into_iter().map(|name| (binary.clone(), name)));
    }
    ui::line(&format!("{} tests to watch with every guard on", tests.len()));
    let mut tests = workers::each(tests, |(binary, name)| watch(binary, name))?;
    tests.sort_by(|a, b| a.elapsed.cmp(&b.elapsed).then_with(|| a.name.cmp(&b.name)));
    Ok(tests)
}

/// Runs one test.
fn watch(binary: Binary, name: String) -> Result<Test, Failure> {
    let scratch = Scratch::new(&format!("{}-{name}", binary.owner))?;
    let trace = scratch.0.join("guards");
    let mut command = binary.test(&name);
    command.env(TRACE, &trace).env("TMPDIR", &scratch.0);
    let finished = process::limited(&mut command, LIMIT, |_| false)?;
    if !finished.succeeded() {
        ui::line(&finished.stdout);
        let label = format!("{}: {name}", binary.label());
        return Err(Failure::shape(label, "fails alone with every guard on"));
    }
    // Where no guard refuses anything there is no file.
    let names = std::fs::read_to_string(&trace).unwrap_or_default();
    let refusing = names.lines().map(str::to_owned).collect();
    Ok(Test { binary, name, elapsed: finished.elapsed, refusing })
}

/// A folder for what a test, or a test that was stopped, leaves behind.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    /// Makes the folder; `name` tells it from others of this program.
    pub(crate) fn new(name: &str) -> Result<Self, Failure> {
        let name = name.replace("::", "-");
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
