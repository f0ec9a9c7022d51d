//! `kapsule key protect` and `kapsule key unprotect`

use std::path::{Path, PathBuf};

use kapsule_abi::ErrorCode;
use kapsule_format::encrypt::{self, Identities};
use kapsule_format::key::KeyFile;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName};
use crate::passphrase::{CostArgs, PassphraseArgs};
use crate::{agekeys, files};

const PROTECT_EXAMPLES: &str = "\
Examples:
  kapsule key protect alice --passphrase-file passphrase
  kapsule key protect second.key --passphrase-file passphrase --work-factor 16";
const UNPROTECT_EXAMPLES: &str = "\
Examples:
  kapsule key unprotect henry --passphrase-file passphrase";

/// Protects secret files with a passphrase
///
/// A name stands for all secret files of that name: the keys of the identity and the age key.
/// Each becomes an age file that any age tool opens with the passphrase; every command that needs
/// the secret takes the passphrase by --passphrase-file, or asks for it on a terminal.
/// Disks may keep the old bytes for a while, and nobody can open the file without the passphrase.
#[derive(Debug, clap::Args)]
#[command(after_help = PROTECT_EXAMPLES)]
pub(crate) struct ProtectArgs {
    /// Name of a key of the home, or path of a `.key` or `.ageid` file
    key: String,
    #[command(flatten)]
    cost: CostArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// Takes the passphrase off secret files
///
/// The files are readable to whoever can read the disk afterwards.
#[derive(Debug, clap::Args)]
#[command(after_help = UNPROTECT_EXAMPLES)]
pub(crate) struct UnprotectArgs {
    /// Name of a key of the home, or path of a `.key` or `.ageid` file
    key: String,
    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// A secret file with its bytes.
struct Secret {
    path: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

pub(super) fn protect(context: &Context, args: &ProtectArgs) -> Done {
    let secrets = find(context, &args.key)?;
    let open: Vec<Secret> =
        secrets.into_iter().filter(|secret| !encrypt::is_protected(&secret.bytes)).collect();
    if open.is_empty() {
        let message = format!("{} is protected already", args.key);
        let hint = "to change the passphrase, run `kapsule key unprotect` first";
        return Err(Failure::new(ErrorCode::KeyFileForm, message, hint));
    }
    open.iter().try_for_each(check)?;
    let protection = args.passphrase.choose(&args.key, args.cost)?;
    let progress = context.ui.begin(&format!("protecting {}", args.key));
    for secret in &open {
        let file = protection.apply(&args.key, &secret.bytes)?;
        replace(&secret.path, &file)?;
    }
    progress.end(&format!("protected {}", names(&open).join(" and ")));
    report(context, &open, true)
}

pub(super) fn unprotect(context: &Context, args: &UnprotectArgs) -> Done {
    let secrets = find(context, &args.key)?;
    let locked: Vec<Secret> =
        secrets.into_iter().filter(|secret| encrypt::is_protected(&secret.bytes)).collect();
    if locked.is_empty() {
        let message = format!("{} is not protected", args.key);
        let hint = "list the keys with `kapsule key list`";
        return Err(Failure::new(ErrorCode::KeyFileForm, message, hint));
    }
    // Every file is opened before the first is written, so that a wrong passphrase changes nothing.
    let mut plain = Vec::new();
    for secret in &locked {
        let bytes = args.passphrase.open(&secret.path.display().to_string(), &secret.bytes)?;
        let secret = Secret { path: secret.path.clone(), bytes };
        check(&secret)?;
        plain.push(secret);
    }
    for secret in &plain {
        replace(&secret.path, &secret.bytes)?;
    }
    context.ui.say(&format!("unprotected {}", names(&plain).join(" and ")));
    report(context, &plain, false)
}

/// Reads the secret files of a name of the home, or the one at a path.
fn find(context: &Context, key: &str) -> Result<Vec<Secret>, Failure> {
    let paths = match is_path(key) {
        true => vec![PathBuf::from(key)],
        false => named(context, key)?,
    };
    let read = |path: PathBuf| {
        let bytes = keystore::read_secret_file(&path)?;
        Ok(Secret { path, bytes })
    };
    paths.into_iter().map(read).collect()
}

fn is_path(key: &str) -> bool {
    key.contains('/') || key.ends_with(".key") || key.ends_with(".ageid")
}

fn named(context: &Context, key: &str) -> Result<Vec<PathBuf>, Failure> {
    let name: KeyName = key.parse().map_err(|cause: String| {
        let hint = "name a key of `kapsule key list`, or the path of a `.key` or `.ageid` file";
        Failure::usage(format!("{key:?} names no key"), hint).cause(cause)
    })?;
    let age = agekeys::identity_file(&context.home()?, &name);
    let mut paths = match context.keys()?.look(&name) {
        Ok(seen) => seen.keys.into_iter().map(|key| key.path).collect(),
        // A name may stand for an age key alone.
        Err(failure) if failure.is(ErrorCode::KeyNotFound) && age.exists() => Vec::new(),
        Err(failure) => return Err(failure),
    };
    paths.extend(age.exists().then_some(age));
    Ok(paths)
}

/// Refuses a file that holds no secret, so that nothing else is encrypted or laid open.
fn check(secret: &Secret) -> Result<(), Failure> {
    let text = || std::str::from_utf8(&secret.bytes).unwrap_or_default();
    match KeyFile::decode(&secret.bytes) {
        Ok(_) => Ok(()),
        Err(_) if Identities::decode(text()).is_ok() => Ok(()),
        Err(error) => {
            let message = format!("{} is no secret file", secret.path.display());
            let hint = "name a key of `kapsule key list`, a `.key` file or an `.ageid` file";
            Err(Failure::decode(message, &error, hint))
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    files::replace_secret(path, bytes).map_err(|error| {
        let message = format!("cannot write {}", path.display());
        let hint = "check the permissions of the directory and the free space";
        Failure::new(ErrorCode::StoreOpen, message, hint).cause(error)
    })
}

fn names(secrets: &[Secret]) -> Vec<String> {
    secrets.iter().map(|secret| secret.path.display().to_string()).collect()
}

fn report(context: &Context, secrets: &[Secret], protected: bool) -> Done {
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-key-protect/1",
            "files": names(secrets),
            "protected": protected,
        }))?;
    }
    Ok(0)
}
