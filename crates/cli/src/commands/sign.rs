//! `kapsule sign`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::package::{EnvelopeName, Package, Scope};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::KeyName;
use crate::opening::{self, Files};
use crate::{files, packing};

const EXAMPLES: &str = "\
Examples:
  kapsule sign hello.mod --key alice
  kapsule sign hello.mod --key bob --scope publisher
  kapsule sign hello.mod --key alice --detached";

/// Signs a package
///
/// An author signs what the package is (`core_hash`) and has to be named by its manifest; a
/// publisher signs this very file (`capsule_hash`).
/// The signature goes into the trailer of the file, or with `--detached` into an envelope beside
/// it, `X.mod.<scope>-<suite>-<keyid>.dsse.json`, which `verify` and `run` find by its name.
/// Neither changes a hash of the package.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Package to sign
    package: PathBuf,
    /// Key to sign with
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// What to sign as: `author` or `publisher`
    #[arg(long, value_name = "SCOPE", default_value = "author", value_parser = decode_scope)]
    scope: Scope,
    /// Write an envelope beside the package and leave the package as it is
    #[arg(long)]
    detached: bool,
    /// Sign with a published test key, which proves nothing
    #[arg(long)]
    insecure_dev: bool,
}

fn decode_scope(name: &str) -> Result<Scope, String> {
    Scope::from_name(name).ok_or_else(|| "scopes are author and publisher".to_owned())
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    if files::is_dash(&args.package) {
        let hint = "name the package file";
        return Err(Failure::usage("a package from stdin cannot be signed in place", hint));
    }
    let key = context.keys()?.load(&args.key)?;
    let mut package = opening::decode(&Files::read(&args.package)?)?;
    packing::sign(&mut package, args.scope, &key.file, args.insecure_dev)?;
    let (path, bytes) = if args.detached {
        envelope(args, &package, key.public())?
    } else {
        (args.package.clone(), package.encode())
    };
    files::write(&context.ui, &path, &bytes)?;
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-sign/1",
            "file": path.display().to_string(),
            "scope": args.scope.name(),
            "keyid": key.public().id().to_string(),
            "identity": key.identity().to_string(),
            "capsule_hash": package.capsule_hash().to_string(),
        }))?;
    } else {
        context.ui.say(&format!(
            "signed {} {} as {} with {}, into {}",
            package.manifest().name,
            package.manifest().version,
            args.scope,
            key.public(),
            path.display(),
        ));
    }
    Ok(0)
}

/// Returns name and bytes of the envelope of the signature by this key.
fn envelope(
    args: &Args,
    package: &Package,
    key: &kapsule_format::key::PublicKey,
) -> Result<(PathBuf, Vec<u8>), Failure> {
    let own = EnvelopeName { scope: args.scope, suite: key.suite(), keyid: key.id() };
    let found = package.to_envelopes().into_iter().find(|(name, _)| *name == own);
    let (name, envelope) = found.ok_or_else(|| {
        let hint = "report this as a bug";
        Failure::new(ErrorCode::SignatureMissing, "the signature is not in the package", hint)
    })?;
    let file = args.package.file_name().unwrap_or_default().to_string_lossy();
    Ok((args.package.with_file_name(name.file_name(&file)), envelope.encode()))
}
