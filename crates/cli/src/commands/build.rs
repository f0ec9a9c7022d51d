//! `kapsule build`

use std::path::{Path, PathBuf};

use super::pack;
use crate::building;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;
use crate::keystore::KeyName;
use crate::passphrase::PassphraseArgs;

const EXAMPLES: &str = "\
Examples:
  kapsule build
  kapsule build greeter --key alice -o greeter-alice.mod
  kapsule build greeter --offline --json";

/// Builds a module with Cargo and packs it
///
/// The crate is one that `kapsule new` made, or any other with a library of type `cdylib` and a
/// manifest `kapsule.toml` beside its `Cargo.toml`.
/// With `--key` the package is signed; without, nobody vouches for it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of the crate
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Package to write; by default the name of the package with `.mod`
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Key of the author, who signs
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Let Cargo use no network
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    if let Some(output) = &args.output {
        files::check_writable(output)?;
    }
    let manifest = manifest(&args.directory)?;
    let payload = building::module(&context.ui, &args.directory, args.offline)?;
    let (output, key) = (args.output.clone(), args.key.clone());
    pack::run(context, &pack::Args::of(manifest, payload, output, key, args.passphrase.clone()))
}

fn manifest(directory: &Path) -> Result<PathBuf, Failure> {
    let missing = |name: &str| {
        let message = format!("{} is no crate of a module", directory.display());
        let hint = "begin one with `kapsule new NAME`, and name its directory";
        Failure::usage(message, hint).cause(format!("it has no {name}"))
    };
    for name in ["Cargo.toml", "kapsule.toml"] {
        if !directory.join(name).is_file() {
            return Err(missing(name));
        }
    }
    Ok(directory.join("kapsule.toml"))
}
