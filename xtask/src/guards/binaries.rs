//! Builds the test binaries in which guards can be switched off.

use crate::failure::Failure;
use crate::process;
use crate::toml_file;
use crate::tree::Tree;
use crate::ui;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Variable that names the guard to switch off.
pub(crate) const GUARD_OFF: &str = "KAPSULE_GUARD_OFF";

/// Longest time that one test binary may take with every guard on.
const BASELINE_LIMIT: Duration = Duration::from_secs(900);
/// Shortest limit for a binary with a guard off.
const TRIAL_LIMIT_MIN: Duration = Duration::from_secs(30);

/// Settings of the test binaries: small samples, and no file is written into the tree when a test
/// fails as it should.
const SETTINGS: &[(&str, &str)] = &[
    ("KAPSULE_SOAK_MODULES", "50"),
    ("PROPTEST_CASES", "64"),
    ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1"),
    ("INSTA_UPDATE", "no"),
    ("INSTA_FORCE_PASS", "0"),
];

/// One test binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    /// Directory of its crate below `crates/`.
    pub(crate) owner: String,
    /// Name of the test target.
    name: String,
    executable: PathBuf,
    directory: PathBuf,
    /// How long it took with every guard on.
    baseline: Duration,
}

impl Binary {
    /// Returns the name for reports, for example `format/main`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Returns how long a run with a guard off may take before it is stopped.
    pub(crate) fn limit(&self) -> Duration {
        TRIAL_LIMIT_MIN.max(self.baseline.saturating_mul(4))
    }

    /// Returns the command that runs all its tests, as `cargo test` would.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.directory).stdin(Stdio::null());
        command.env("CARGO_MANIFEST_DIR", &self.directory).env_remove(GUARD_OFF);
        command.envs(SETTINGS.iter().copied());
        command
    }
}

/// Which crates' tests to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Those of the whole workspace, which share every dependency with `cargo test --workspace`.
    Workspace,
    /// Those of some crates, by their directories below `crates/`.
    Crates(BTreeSet<String>),
}

/// Builds the test binaries at once, with the feature in every selected crate that has it.
pub(crate) fn build(tree: &Tree, selection: &Selection) -> Result<Vec<Binary>, Failure> {
    let mut command = process::cargo(tree, &["test", "--release", "--locked", "--no-run"]);
    command.arg("--message-format=json-render-diagnostics");
    let crates: Vec<String> = match selection {
        Selection::Workspace => {
            command.arg("--workspace");
            tree.directories("crates")?
        }
        Selection::Crates(crates) => {
            for name in crates {
                command.args(["--package", &format!("kapsule-{name}")]);
            }
            crates.iter().cloned().collect()
        }
    };
    let mut features = Vec::new();
    for name in crates {
        if has_switch(tree, &name)? {
            features.push(format!("kapsule-{name}/guard-switch"));
        }
    }
    command.args(["--features", &features.join(",")]);
    let mut binaries = Vec::new();
    for line in process::capture(&mut command)?.lines() {
        binaries.extend(decode(line));
    }
    Ok(binaries)
}

/// Tells whether the crate declares the feature.
fn has_switch(tree: &Tree, name: &str) -> Result<bool, Failure> {
    let manifest = format!("crates/{name}/Cargo.toml");
    toml_file::with_file(tree, &manifest, |table| {
        toml_file::at(table, &["features", "guard-switch"]).is_some()
    })
}

/// Decodes a line of Cargo's messages if it is about a test binary.
fn decode(line: &str) -> Option<Binary> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    Some(Binary {
        owner: directory.file_name()?.to_str()?.to_owned(),
        name: message["target"]["name"].as_str()?.to_owned(),
        executable: PathBuf::from(message["executable"].as_str()?),
        directory,
        baseline: Duration::ZERO,
    })
}

/// Runs each binary with every guard on, notes its time, and sorts the fastest first.
///
/// # Errors
/// If a test fails, since then a failure with a guard off would say nothing.
pub(crate) fn measure(mut binaries: Vec<Binary>) -> Result<Vec<Binary>, Failure> {
    for binary in &mut binaries {
        let finished = process::limited(&mut binary.command(), BASELINE_LIMIT, |_| false)?;
        if !finished.succeeded() {
            ui::line(&finished.stdout);
            return Err(Failure::shape(binary.label(), "fails with every guard on"));
        }
        binary.baseline = finished.elapsed;
        ui::line(&format!(
            "{}: passes with every guard on, {:.1?}",
            binary.label(),
            finished.elapsed
        ));
    }
    binaries.sort_by_key(|binary| binary.baseline);
    Ok(binaries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_told_from_other_artifacts() {
        let line = |test: bool, executable: &str| {
            format!(
                r#"{{"reason": "compiler-artifact", "manifest_path": "/r/crates/format/Cargo.toml",
                "target": {{"name": "main"}}, "profile": {{"test": {test}}},
                "executable": {executable}}}"#
            )
        };
        let binary = decode(&line(true, "\"/t/main-1\"")).unwrap();
        assert_eq!(binary.label(), "format/main");
        assert_eq!(binary.directory, Path::new("/r/crates/format"));
        assert!(decode(&line(false, "\"/t/kapsule\"")).is_none());
        assert!(decode(&line(true, "null")).is_none());
        assert!(decode("not a message").is_none());
    }

    #[test]
    fn the_limit_follows_the_time_with_every_guard_on() {
        let mut binary = decode(
            r#"{"reason": "compiler-artifact", "manifest_path": "/a/Cargo.toml",
            "target": {"name": "x"}, "profile": {"test": true}, "executable": "/x"}"#,
        )
        .unwrap();
        assert_eq!(binary.limit(), TRIAL_LIMIT_MIN);
        binary.baseline = Duration::from_secs(60);
        assert_eq!(binary.limit(), Duration::from_secs(240));
    }
}
