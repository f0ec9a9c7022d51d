//! Builds the test binaries in which guards can be switched off.

use crate::failure::Failure;
use crate::process;
use crate::toml_file;
use crate::tree::Tree;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Settings of the test binaries: small samples, and no file is written into the tree when a test
/// fails as it should.
const SETTINGS: &[(&str, &str)] = &[
    ("KAPSULE_SOAK_MODULES", "50"),
    ("PROPTEST_CASES", "64"),
    // Or a guard that refuses something in one run might not in the next.
    ("PROPTEST_RNG_SEED", "1"),
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
}

impl Binary {
    /// Returns the name for reports, for example `format/main`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// Returns the names of its tests.
    pub(crate) fn tests(&self) -> Result<Vec<String>, Failure> {
        let list = process::capture(self.command().args(["--list", "--format", "terse"]))?;
        Ok(list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    /// Returns the command that runs one of its tests alone.
    pub(crate) fn test(&self, name: &str) -> Command {
        let mut command = self.command();
        command.args(["--exact", name]);
        command
    }

    /// Returns the command that runs it as `cargo test` would.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.directory).stdin(Stdio::null());
        command.env("CARGO_MANIFEST_DIR", &self.directory).envs(SETTINGS.iter().copied());
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
    })
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
}
