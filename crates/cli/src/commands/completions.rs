//! `kapsule completions`

use clap_complete::Shell;
use serde_json::json;

use crate::cli::{self, Context};
use crate::error::Done;

const EXAMPLES: &str = "\
Examples:
  kapsule completions bash > kapsule.bash
  kapsule completions zsh > _kapsule";

/// Prints a completion script for a shell
///
/// The script is made from the same definitions as this help.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Shell to complete for
    shell: Shell,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::definition(), "kapsule", &mut script);
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-completions/1",
            "shell": args.shell.to_string(),
            "script": String::from_utf8_lossy(&script),
        }))?;
    } else {
        context.ui.data(&script)?;
    }
    Ok(0)
}
