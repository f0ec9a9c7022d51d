//! `embedder`: the smallest program that verifies and runs packages, its size and what it is of.

use std::collections::BTreeSet;

use crate::failure::Failure;
use crate::process;
use crate::purity;
use crate::tree::Tree;
use crate::ui;

/// The program, outside of the workspace so that no other crate adds features to it.
const EMBEDDER: &str = "examples/embedder";
/// Greatest size of the stripped program in bytes.
///
/// Chosen: the goal, which leaves 70,000 to what it had (2026-11-21, `cargo xtask embedder`).
const BYTES_MAX: u64 = 2_000_000;

/// Builds the embedder, prints size and dependencies, and checks its library for other targets.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("embedder takes no argument, found `{unknown}`")));
    }
    tree.copy_lock_file(EMBEDDER)?;
    let target = tree.path("target/embedder");
    let cargo = |verb: &[&str]| {
        let mut command = process::cargo(tree, verb);
        // There it finds the settings that make the program small.
        command.current_dir(tree.path(EMBEDDER)).env("CARGO_TARGET_DIR", &target);
        command
    };
    process::run(&mut cargo(&["build", "--release", "--quiet"]))?;
    let program = target.join("release/kapsule-embedder");
    let bytes = std::fs::metadata(&program).map_err(Failure::io(&program))?.len();
    let line = ["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let crates = distinct(&process::capture(&mut cargo(&line))?);
    for name in &crates {
        ui::line(&format!("  {name}"));
    }
    ui::line(&format!("{} crates, {bytes} bytes of at most {BYTES_MAX}", crates.len()));
    if bytes > BYTES_MAX {
        return Err(Failure::shape(EMBEDDER, format!("the program has {bytes} bytes")));
    }
    purity::check_for_targets(tree, || {
        let mut command = cargo(&["check", "--release", "--quiet", "--lib"]);
        command.arg("--locked");
        command
    })
}

/// Returns the crates of a tree listing, each once, by name and version.
fn distinct(listing: &str) -> BTreeSet<String> {
    let lines = listing.lines().map(|line| line.split(" (").next().unwrap_or(line).trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_counted_once() {
        let listing = "kapsule v0.1.0 (/a/b)\nsha2 v0.11.0\nsha2 v0.11.0 (*)\n\n";
        assert_eq!(distinct(listing), ["kapsule v0.1.0", "sha2 v0.11.0"].map(String::from).into());
    }
}
