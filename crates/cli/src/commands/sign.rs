//! `kapsule sign`

use std::path::PathBuf;

use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, PublicKey};
use kapsule_format::package::{EnvelopeName, Package, Scope};
use kapsule_format::trust::CompanionName;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{KeyName, StoredIdentity};
use crate::opening::{self, Files};
use crate::passphrase::PassphraseArgs;
use crate::roots::TrustFile;
use crate::{files, packing, trustfile};

const EXAMPLES: &str = "\
Examples:
  kapsule sign hello.mod --key alice
  kapsule sign hello.mod --key bob --scope publisher
  kapsule sign hello.mod --key alice --detached
  kapsule sign trust.json --key alice
  kapsule sign hello.mod --key henry --scope publisher --passphrase-file passphrase";

/// Signs a package or a trust file
///
/// Every key of the identity signs, so one name may give several signatures.
/// An author signs what the package is (`core_hash`) and has to be named by its manifest; a
/// publisher signs this very file (`capsule_hash`).
/// The signatures go into the trailer of the file, or with `--detached` into envelopes beside
/// it, `X.mod.<scope>-<suite>-<keyid>.dsse.json`, which `verify` and `run` find by its name.
/// Neither changes a hash of the package.
/// A trust file is signed as it is, into envelopes beside it,
/// `trust.json.<suite>-<keyid>.dsse.json`; that says that the root identity of the key wants it as
/// the successor of the file before.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Package or trust file to sign
    package: PathBuf,
    /// Name of the identity to sign with
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// What to sign as: `author` or `publisher`
    #[arg(long, value_name = "SCOPE", default_value = "author", value_parser = decode_scope)]
    scope: Scope,
    /// Write envelopes beside the package and leave the package as it is
    #[arg(long)]
    detached: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
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
    let signer = context.keys()?.load(&args.key, &args.passphrase)?;
    let files = Files::read(&args.package)?;
    if files.bytes().starts_with(b"{") {
        return sign_trust_file(context, args, &signer);
    }
    let mut package = opening::decode(&files)?;
    packing::sign(&mut package, args.scope, &signer, args.insecure_dev)?;
    let files = if args.detached {
        envelopes(args, &package, &signer.identity)
    } else {
        vec![(args.package.clone(), package.encode())]
    };
    for (path, bytes) in &files {
        files::write(&context.ui, path, bytes)?;
    }
    report(context, args, &package, &signer.identity, &files)
}

/// Signs a trust file, which is JSON as no package is.
fn sign_trust_file(context: &Context, args: &Args, signer: &StoredIdentity) -> Done {
    let file = TrustFile::read(&args.package)?;
    let serial = file.trust()?.serial;
    let companions = trustfile::sign(&file.bytes, serial, signer, args.insecure_dev)?;
    trustfile::write_companions(&context.ui, &args.package, &companions)?;
    let own = args.package.file_name().unwrap_or_default().to_string_lossy();
    let path = |name: &CompanionName| args.package.with_file_name(name.file_name(&own));
    let paths: Vec<String> =
        companions.iter().map(|(name, _)| path(name).display().to_string()).collect();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-sign-trust/1",
            "files": paths,
            "identity": signer.identity.id().to_string(),
            "serial": serial.to_string(),
            "sha256": sha256(&file.bytes).to_string(),
        }))?;
    } else {
        let name = files::name(&args.package);
        context.ui.say(&format!("signed {name}, serial {serial}, into {}", paths.join(" and ")));
    }
    Ok(0)
}

/// A file to write: its path and its bytes.
type Written = (PathBuf, Vec<u8>);

fn report(
    context: &Context,
    args: &Args,
    package: &Package,
    signer: &Identity,
    files: &[Written],
) -> Done {
    let paths: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
    if context.ui.json() {
        let key =
            |key: &PublicKey| json!({"suite": key.suite().name(), "keyid": key.id().to_string()});
        context.ui.object(&json!({
            "schema": "kapsule/cli-sign/1",
            "files": paths,
            "scope": args.scope.name(),
            "keys": signer.keys().iter().map(key).collect::<Vec<_>>(),
            "identity": signer.id().to_string(),
            "capsule_hash": package.capsule_hash().to_string(),
        }))?;
        return Ok(0);
    }
    let keys: Vec<String> = signer.keys().iter().map(PublicKey::brief).collect();
    context.ui.say(&format!(
        "signed {} {} as {} with {}, into {}",
        package.manifest().name,
        package.manifest().version,
        args.scope,
        keys.join(" and "),
        paths.join(" and "),
    ));
    Ok(0)
}

/// Returns the envelopes of the signatures by these keys, to be written beside the package.
fn envelopes(args: &Args, package: &Package, signer: &Identity) -> Vec<Written> {
    let name =
        |key: &PublicKey| EnvelopeName { scope: args.scope, suite: key.suite(), keyid: key.id() };
    let own: Vec<EnvelopeName> = signer.keys().iter().map(name).collect();
    let file = args.package.file_name().unwrap_or_default().to_string_lossy();
    let found = package.to_envelopes().into_iter().filter(|(name, _)| own.contains(name));
    let path = |name: EnvelopeName| args.package.with_file_name(name.file_name(&file));
    found.map(|(name, envelope)| (path(name), envelope.encode())).collect()
}
