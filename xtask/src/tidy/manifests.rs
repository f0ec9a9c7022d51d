//! Crate manifests, lint settings and integration tests.

use crate::failure::{Failure, Finding};
use crate::layers::PURE;
use crate::toml_file;
use crate::tree::Tree;
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Checks every crate of the workspace.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let mut crates: Vec<String> =
        tree.directories("crates")?.iter().map(|name| format!("crates/{name}")).collect();
    crates.push("xtask".to_owned());
    for directory in &crates {
        let manifest = format!("{directory}/Cargo.toml");
        let (inherits, autotests) = toml_file::with_file(tree, &manifest, |table| {
            let truth = |path: &[&str]| toml_file::at(table, path).and_then(DeValue::as_bool);
            (truth(&["lints", "workspace"]), truth(&["package", "autotests"]))
        })?;
        if inherits != Some(true) {
            findings.push(Finding::new(&manifest, 0, "no `[lints] workspace = true`"));
        }
        check_tests(tree, directory, autotests != Some(false), &mut findings)?;
    }
    check_clippy(tree, &mut findings)?;
    Ok(findings)
}

/// Checks that a pure crate has a `clippy.toml` that repeats the keys of the root one, which it
/// replaces.
fn check_clippy(tree: &Tree, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let root = scalars(tree, "clippy.toml")?;
    for name in PURE {
        let path = format!("crates/{name}/clippy.toml");
        if !tree.path(&path).is_file() {
            findings.push(Finding::new(&path, 0, "absent, but the crate is pure"));
            continue;
        }
        let own = scalars(tree, &path)?;
        for (key, value) in &root {
            let found = own.get(key).map_or("nothing", String::as_str);
            if found != value {
                let text = format!("`{key}` is {found}, but {value} in the root clippy.toml");
                findings.push(Finding::new(&path, 0, text));
            }
        }
    }
    Ok(())
}

/// Returns the keys of a flat file with their values.
fn scalars(tree: &Tree, path: &str) -> Result<BTreeMap<String, String>, Failure> {
    toml_file::with_file(tree, path, |table| {
        let pairs = table.iter().filter_map(|(key, value)| {
            Some((key.get_ref().to_string(), toml_file::scalar(value.get_ref())?))
        });
        pairs.collect()
    })
}

/// Checks that the integration tests are one binary and that no file of them is forgotten.
fn check_tests(
    tree: &Tree,
    directory: &str,
    autotests: bool,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let folder = format!("{directory}/tests");
    let files = tree.files_ending(&folder, ".rs")?;
    let main = ["main.rs", "main/main.rs"].map(|name| format!("{folder}/{name}"));
    let mut declared = Vec::new();
    for file in &files {
        declared.extend(tree.read(file)?.lines().filter_map(declared_mod).map(str::to_owned));
    }
    for file in files.iter().filter(|file| !main.contains(file)) {
        let stem = file.rsplit('/').next().and_then(|name| name.strip_suffix(".rs"));
        let is_declared = stem.is_some_and(|stem| declared.iter().any(|name| name == stem));
        if !is_declared {
            findings.push(Finding::new(file, 0, "a test file that no `mod` names"));
        } else if autotests && !file[folder.len() + 1..].contains('/') {
            let text = "a second test binary: set `autotests = false` and name tests/main.rs";
            findings.push(Finding::new(file, 0, text));
        }
    }
    Ok(())
}

/// Returns the name in a line `mod name;`.
fn declared_mod(line: &str) -> Option<&str> {
    let line = line.trim().strip_suffix(';')?;
    let line = line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
    line.strip_prefix("mod ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    const ROOT: &str = "max = 70\nallow = true\n";
    const LINTS: &str = "[lints]\nworkspace = true\n";

    /// Returns what is said of a repository of five sound pure crates and `extra`.
    fn said(extra: &[(&str, &str)]) -> Vec<String> {
        let mut files: Vec<(String, &str)> =
            vec![("clippy.toml".into(), ROOT), ("xtask/Cargo.toml".into(), LINTS)];
        for name in PURE {
            files.push((format!("crates/{name}/Cargo.toml"), LINTS));
            files.push((format!("crates/{name}/clippy.toml"), ROOT));
        }
        files.extend(extra.iter().map(|(name, text)| ((*name).to_owned(), *text)));
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let (_keep, tree) = planted(&files);
        check(&tree).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_repository_passes() {
        let extra = [
            ("crates/abi/clippy.toml", "max = 70\nallow = true\nmore = 1\n"),
            ("crates/abi/tests/main.rs", "mod deep;\n"),
            ("crates/abi/tests/main/deep.rs", "mod deeper;\n"),
            ("crates/abi/tests/main/deep/deeper.rs", ""),
        ];
        assert_eq!(said(&extra), [""; 0]);
    }

    #[test]
    fn lint_settings_that_differ_are_found() {
        let said_of = |text| said(&[("crates/meter/clippy.toml", text)]);
        assert_eq!(
            said_of("max = 71\nallow = true\n"),
            ["crates/meter/clippy.toml: `max` is 71, but 70 in the root clippy.toml"]
        );
        assert_eq!(said_of("max = 70\n").len(), 1);
        assert_eq!(said(&[("crates/abi/Cargo.toml", "[package]\n")]).len(), 1);
    }

    #[test]
    fn forgotten_and_separate_test_files_are_found() {
        let forgotten = said(&[("crates/abi/tests/x.rs", "")]);
        assert_eq!(forgotten, ["crates/abi/tests/x.rs: a test file that no `mod` names"]);
        let files = [("crates/abi/tests/main.rs", "mod x;\n"), ("crates/abi/tests/x.rs", "")];
        assert!(said(&files)[0].contains("a second test binary"));
        let manifest = "[package]\nautotests = false\n[lints]\nworkspace = true\n";
        let with_manifest = [files[0], files[1], ("crates/abi/Cargo.toml", manifest)];
        assert_eq!(said(&with_manifest), [""; 0]);
    }
}
