//! `purity`: crates whose output is hashed, signed or proved cannot reach the outside world.
//!
//! Five checks, from cheap to strong: the attribute, clippy, the dependency lists, a library that
//! would clash with `std`, and builds for targets that have no `std`.

use crate::failure::{Failure, Finding};
use crate::layers::{self, PURE};
use crate::metadata::{self, Scope};
use crate::process;
use crate::tree::Tree;
use crate::ui;
use std::process::Command;

/// Targets without an operating system.
const TARGETS: &[&str] = &["x86_64-unknown-none", "wasm32v1-none", "wasm32-unknown-unknown"];

/// The library that defines its own panic handler.
const PROBE: &str = "xtask/no-std-probe";

/// Lints of pure crates, above those of the workspace.
const LINTS: &[&str] = &[
    "warnings",
    "clippy::alloc_instead_of_core",
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::float_arithmetic",
    "clippy::std_instead_of_alloc",
    "clippy::std_instead_of_core",
];

/// Runs the five checks.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("purity takes no argument, found `{unknown}`")));
    }
    ui::line("1 of 5: attribute");
    Failure::from_findings(check_attributes(tree)?)?;
    ui::line("2 of 5: clippy");
    check_clippy(tree)?;
    ui::line("3 of 5: dependencies");
    Failure::from_findings(layers::check(&metadata::load(tree, "Cargo.toml", Scope::Members)?))?;
    ui::line("4 of 5: host probe");
    check_probe(tree)?;
    ui::line("5 of 5: targets without an operating system");
    check_targets(tree)
}

/// Returns what is wrong with the roots of the pure crates.
fn check_attributes(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for name in PURE {
        let path = format!("crates/{name}/src/lib.rs");
        for text in attribute_faults(&tree.read(&path)?) {
            findings.push(Finding::new(&path, 0, text));
        }
    }
    Ok(findings)
}

/// Says what is wrong with the root of a pure crate.
fn attribute_faults(text: &str) -> Vec<&'static str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut faults = Vec::new();
    if !lines.contains(&"#![no_std]") {
        faults.push("no unconditional `#![no_std]`");
    }
    let is_std = |line: &&str| line.starts_with("extern crate std");
    if lines.iter().filter(|line| is_std(line)).count() > 1 {
        faults.push("`extern crate std` more than once");
    }
    // A feature or a test build may bring `std` in; a product build without features may not.
    let is_gated = |before: &str| {
        let names_one = before.contains("feature = ") || before.contains("test");
        let negated = before.contains("not(feature") || before.contains("not(test");
        before.starts_with("#[cfg(") && names_one && !negated
    };
    let open =
        (0..lines.len()).any(|at| is_std(&lines[at]) && (at == 0 || !is_gated(lines[at - 1])));
    if open {
        faults.push("`extern crate std` without a `#[cfg(feature = ..)]` on the line before");
    }
    faults
}

/// Returns the arguments that choose the pure crates without their features.
fn selection() -> Vec<String> {
    let packages = PURE.iter().flat_map(|name| ["--package".to_owned(), format!("kapsule-{name}")]);
    packages.chain(["--no-default-features".to_owned()]).collect()
}

/// Runs clippy with the lints of pure crates; each has a `clippy.toml` with what is disallowed.
fn check_clippy(tree: &Tree) -> Result<(), Failure> {
    let mut command =
        process::cargo(tree, &["clippy", "--release", "--locked", "--quiet", "--lib"]);
    command.args(selection()).arg("--");
    for lint in LINTS {
        command.args(["--deny", lint]);
    }
    process::run(&mut command)
}

/// Builds the probe against the versions of the workspace's lock file.
fn check_probe(tree: &Tree) -> Result<(), Failure> {
    tree.copy_lock_file(PROBE)?;
    let mut command = process::cargo(tree, &["check", "--release", "--quiet"]);
    command.args(["--manifest-path", &format!("{PROBE}/Cargo.toml")]);
    process::run(&mut command)
}

/// Checks the pure crates for every installed target.
fn check_targets(tree: &Tree) -> Result<(), Failure> {
    check_for_targets(tree, || {
        let mut command = process::cargo(tree, &["check", "--release", "--locked", "--quiet"]);
        command.args(selection());
        command
    })
}

/// Runs a cargo command for every installed target that has no operating system.
pub(crate) fn check_for_targets(
    tree: &Tree,
    command: impl FnOnce() -> Command,
) -> Result<(), Failure> {
    let mut rustc = process::command(tree, "rustc");
    let sysroot = process::capture(rustc.args(["--print", "sysroot"]))?;
    let library = |target: &str| format!("{}/lib/rustlib/{target}/lib", sysroot.trim());
    let mut command = command();
    let mut installed = 0;
    for target in TARGETS {
        if std::path::Path::new(&library(target)).is_dir() {
            command.args(["--target", target]);
            installed += 1;
            ui::line(&format!("  {target}"));
        } else {
            ui::line(&format!("  {target}: skipped: target not installed"));
        }
    }
    match installed {
        0 => Ok(()),
        _ => process::run(&mut command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    #[test]
    fn roots_are_judged_by_their_attributes() {
        let gated = "#![no_std]\n#[cfg(feature = \"std\")]\nextern crate std;\n";
        let host_tests = "#[cfg(all(not(unix), any(test, feature = \"x\")))]";
        let cases = [
            ("#![no_std]\nextern crate alloc;\n", 0),
            (gated, 0),
            ("#![no_std]\n#[cfg(test)]\nextern crate std;\n", 0),
            ("//! Root.\n", 1),
            ("#![cfg_attr(not(feature = \"std\"), no_std)]\n", 1),
            ("#![no_std]\nextern crate std;\n", 1),
            (&format!("#![no_std]\n{host_tests}\nextern crate std;\n"), 0),
            ("#![no_std]\n#[cfg(unix)]\nextern crate std;\n", 1),
            ("#![no_std]\n#[cfg(not(feature = \"x\"))]\nextern crate std;\n", 1),
            (&format!("{gated}#[cfg(test)]\nextern crate std;\n"), 1),
        ];
        for (text, expect) in cases {
            assert_eq!(attribute_faults(text).len(), expect, "{text}");
        }
    }

    #[test]
    fn a_planted_root_is_reported_by_file() {
        let files: Vec<(String, &str)> = PURE
            .iter()
            .map(|name| {
                let text = if *name == "meter" { "//! M.\n" } else { "#![no_std]\n" };
                (format!("crates/{name}/src/lib.rs"), text)
            })
            .collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let (_keep, tree) = planted(&files);
        let findings = check_attributes(&tree).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].place, "crates/meter/src/lib.rs");
    }
}
