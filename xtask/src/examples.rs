//! `examples`: runs the story of every example.
//!
//! Every `run.sh` below `examples/` is one, and finds the built command in the variable `KAPSULE`.
//! A script that lacks its data exits with 77 after saying so, and is then counted as skipped.

use crate::failure::Failure;
use crate::process;
use crate::tree::Tree;
use crate::ui;

/// Exit code of a script that lacks what it needs, as in other test runners.
const SKIPPED: i32 = 77;

/// Runs every example.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("examples takes no argument, found `{unknown}`")));
    }
    let scripts = tree.files_ending("examples", "/run.sh")?;
    if scripts.is_empty() {
        return Err(Failure::shape("examples", "no example found"));
    }
    let kapsule = process::built(tree, "kapsule")?;
    let mut skipped = 0;
    for script in &scripts {
        ui::line(&format!("-- {script}"));
        let mut command = process::command(tree, "bash");
        let status = command.arg(script).env("KAPSULE", &kapsule).status();
        match status.map_err(Failure::io(&tree.path(script)))?.code() {
            Some(0) => {}
            Some(SKIPPED) => skipped += 1,
            _ => return Err(Failure::shape(script, "failed")),
        }
    }
    ui::line(&format!("{} examples, {skipped} of them skipped", scripts.len()));
    Ok(())
}
