//! `golden`: the golden receipts, issued again by a build without optimisation.
//!
//! The tests compare what both engines issue with the same files, in the release profile.

use crate::failure::Failure;
use crate::process;
use crate::tree::Tree;

/// The program, outside of the workspace so that it has profiles of its own.
const PROGRAM: &str = "tests/golden";
/// What is issued again.
const VECTORS: &str = "spec/vectors/receipt/accept";

/// Builds the program in the dev profile and runs it.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("golden takes no argument, found `{unknown}`")));
    }
    tree.copy_lock_file(PROGRAM)?;
    let mut command = process::cargo(tree, &["run", "--quiet"]);
    command.current_dir(tree.path(PROGRAM)).env("CARGO_TARGET_DIR", tree.path("target/golden"));
    command.arg("--").arg(tree.path(VECTORS));
    process::run(&mut command)
}
