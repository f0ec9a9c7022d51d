//! `kapsule new`

use serde_json::json;

use crate::cli::Context;
use crate::error::Done;
use crate::scaffold::{self, CrateName};

const EXAMPLES: &str = "\
Examples:
  kapsule new greeter
  kapsule new word-count --json";

/// Makes a directory with a module in Rust to begin with
///
/// It holds a crate with a test, a manifest, and a copy of the guest SDK, and needs Rust with the
/// target wasm32v1-none.
/// Its lock file names the versions that this command was built with, so Cargo finds what it needs
/// in its cache on a machine that built this command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name of the directory, the crate and the package
    name: CrateName,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let files = scaffold::create(&args.name)?;
    let name = args.name.as_str();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-new/1",
            "directory": name,
            "files": files.to_string(),
        }))?;
    } else {
        context.ui.say(&format!(
            "created {name} with {files} files; go on with\n  cd {name}\n  cargo test\n  kapsule \
             build\n  echo Ada | kapsule run {name}.mod --input -"
        ));
    }
    Ok(0)
}
