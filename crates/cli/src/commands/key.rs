//! `kapsule key`

use std::collections::BTreeSet;
use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::encrypt;
use kapsule_format::key::{PublicKey, Suite};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::protect;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName, KeyStore, SeenIdentity};
use crate::passphrase::{ProtectArgs, Protection};
use crate::text::{Align, facts, table};
use crate::{files, keyimport, opening};

const NEW_EXAMPLES: &str = "\
Examples:
  kapsule key new alice
  kapsule key new carol --suite p256
  kapsule key new dave --suite ed25519 --suite mldsa44 --json
  kapsule key new ivan --passphrase-file passphrase";
const ADD_EXAMPLES: &str = "\
Examples:
  kapsule key add alice --suite mldsa44";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule key list
  kapsule key list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  kapsule key show alice
  kapsule key show alice --json";
const IMPORT_EXAMPLES: &str = "\
Examples:
  kapsule key import erin erin.pem
  kapsule key import frank frank.hex --suite secp256k1
  kapsule key import alice second.key --add";
const EXPORT_EXAMPLES: &str = "\
Examples:
  kapsule key export alice
  kapsule key export alice -o alice-identity.pub
  kapsule key export alice --secret --suite ed25519 -o alice-copy.key";

/// Greatest size of a file to import in bytes; PEM of a seed and an expanded key takes about 3,600.
const IMPORT_BYTES_MAX: u64 = 16_384;
/// Hex digits of a public key that a list or a table shows.
const SHOWN_DIGITS: usize = 66;

/// Creates, imports, lists and shows signing keys
///
/// A name stands for an identity: one key, or several of different suites that all sign.
/// Suites are ed25519, p256, secp256k1, and mldsa44, which stands beside one of the others.
/// The files are in the directory `keys` of the home: `KAPSULE_HOME/data`, else
/// `$XDG_DATA_HOME/kapsule`, else `~/.local/share/kapsule`.
/// Secret files have mode 0600 and are refused with E507 if anyone else could read them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(NewArgs),
    Add(AddArgs),
    Protect(protect::ProtectArgs),
    Unprotect(protect::UnprotectArgs),
    List(ListArgs),
    Show(ShowArgs),
    Import(ImportArgs),
    Export(ExportArgs),
    Recipient(super::recipient::Args),
    Trust(Box<super::key_trust::Args>),
}

/// Creates an identity from fresh random bytes
///
/// Writes `NAME.key` (secret, mode 0600) and `NAME.pub` for the first key, `NAME.SUITE.key` and
/// `NAME.SUITE.pub` for every further one, and overwrites nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(crate) struct NewArgs {
    /// Name of the identity: letters, digits and `@._-`
    name: KeyName,
    /// Suite of the key; given several times, the identity has a key of each
    #[arg(
        long = "suite",
        value_name = "SUITE",
        value_parser = decode_suite,
        default_values_t = [Suite::Ed25519]
    )]
    suites: Vec<Suite>,
    #[command(flatten)]
    protect: ProtectArgs,
}

/// Adds a key of another suite to an identity
///
/// All keys of an identity sign, so the identity that gains a key is another one: packages and
/// trust files that name the old one do not mean the new one.
#[derive(Debug, clap::Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AddArgs {
    /// Name of the identity
    name: KeyName,
    /// Suite of the new key
    #[arg(long, value_name = "SUITE", value_parser = decode_suite)]
    suite: Suite,
    #[command(flatten)]
    protect: ProtectArgs,
}

/// Lists the keys of the home
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

/// Shows the public part of an identity
///
/// No secret is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Name of the identity
    name: KeyName,
}

/// Imports a secret key
///
/// The file is a key file of this command, protected or not, 64 hex digits (the seed of ed25519 and
/// mldsa44, the scalar of p256 and secp256k1), or PEM of PKCS#8 or SEC 1 without a password.
/// Published test keys are refused.
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Name of the identity
    name: KeyName,
    /// File with the secret, `-` for stdin
    file: PathBuf,
    /// Suite of the key; needed for hex, compared otherwise
    #[arg(long, value_name = "SUITE", value_parser = decode_suite)]
    suite: Option<Suite>,
    /// Add the key to an identity that exists
    #[arg(long)]
    add: bool,
    #[command(flatten)]
    protect: ProtectArgs,
    /// Import a published test key, with which anyone can sign
    #[arg(long)]
    insecure_dev: bool,
}

/// Writes an identity for others, or a copy of a secret
///
/// Without `--secret` one line for each key, which `key trust` takes.
/// With `--secret` the key file of one key as it is, protected or not, which `key import` takes; a
/// file has mode 0600 and is never overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Name of the identity
    name: KeyName,
    /// Write the secret of one key
    #[arg(long)]
    secret: bool,
    /// Suite of the secret; needed if the identity has several keys
    #[arg(long, value_name = "SUITE", value_parser = decode_suite, requires = "secret")]
    suite: Option<Suite>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

pub(super) fn decode_suite(name: &str) -> Result<Suite, String> {
    Suite::from_name(name).map_err(|_| {
        let names = Suite::ALL.map(Suite::name).join(", ");
        format!("suites are {names}")
    })
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::New(args) => new(context, args),
        Command::Add(args) => add(context, args),
        Command::Protect(args) => protect::protect(context, args),
        Command::Unprotect(args) => protect::unprotect(context, args),
        Command::List(_) => list(context),
        Command::Show(args) => show(context, args),
        Command::Import(args) => import(context, args),
        Command::Export(args) => export(context, args),
        Command::Recipient(args) => super::recipient::run(context, args),
        Command::Trust(args) => super::key_trust::run(context, args),
    }
}

fn new(context: &Context, args: &NewArgs) -> Done {
    let suites: BTreeSet<Suite> = args.suites.iter().copied().collect();
    let now_ms = opening::now_ms();
    let keys: Result<_, Failure> =
        suites.into_iter().map(|suite| keystore::generate(suite, now_ms)).collect();
    let protection = args.protect.protection(args.name.as_str())?;
    let identity = context.keys()?.create(&args.name, keys?, protection.as_ref())?;
    print(context, &identity)?;
    let files = if identity.keys.len() == 1 { "file is" } else { "files are" };
    context.ui.say(&format!(
        "the secret {files} the only copy; without it nobody can sign as this identity"
    ));
    Ok(0)
}

fn add(context: &Context, args: &AddArgs) -> Done {
    let key = keystore::generate(args.suite, opening::now_ms())?;
    let keys = context.keys()?;
    let protection = protection_beside(&keys, &args.name, &args.protect)?;
    let identity = keys.add(&args.name, key, protection.as_ref())?;
    print(context, &identity)?;
    say_changed(context, &args.name);
    Ok(0)
}

/// Finds the passphrase for a key that is added to an identity.
///
/// One passphrase opens an identity, so the one of a protected identity has to be known.
fn protection_beside(
    keys: &KeyStore,
    name: &KeyName,
    args: &ProtectArgs,
) -> Result<Option<Protection>, Failure> {
    if keys.look(name)?.is_protected() {
        keys.load(name, &args.passphrase)?;
        return args.passphrase.choose(name.as_str(), args.cost).map(Some);
    }
    args.protection(name.as_str())
}

fn say_changed(context: &Context, name: &KeyName) {
    context.ui.say(&format!(
        "{} is another identity now; pack and sign again, and list it in trust files anew",
        name.as_str()
    ));
}

fn import(context: &Context, args: &ImportArgs) -> Done {
    files::check_one_stdin(&[Some(&args.file), args.protect.passphrase.file()])?;
    let keys = context.keys()?;
    let bytes = files::read(&args.file, "secret key", IMPORT_BYTES_MAX).map(Zeroizing::new)?;
    let was_protected = encrypt::is_protected(&bytes);
    let bytes = match was_protected {
        true => args.protect.passphrase.open(&files::name(&args.file), &bytes)?,
        false => bytes,
    };
    let file = keyimport::read(&bytes, args.suite, opening::now_ms()).map_err(|error| {
        let hint = "name a key file, PEM of PKCS#8 or SEC 1, or 64 hex digits with --suite";
        Failure::decode(format!("{} cannot be imported", files::name(&args.file)), &error, hint)
    })?;
    keystore::refuse_test_key(file.secret.public(), args.insecure_dev)?;
    let protection = match (args.add, was_protected) {
        (true, _) => protection_beside(&keys, &args.name, &args.protect)?,
        // What was protected stays so, by the same passphrase.
        (false, true) => {
            let ProtectArgs { passphrase, cost, .. } = &args.protect;
            Some(passphrase.choose(args.name.as_str(), *cost)?)
        }
        (false, false) => args.protect.protection(args.name.as_str())?,
    };
    let identity = match args.add {
        true => keys.add(&args.name, file, protection.as_ref())?,
        false => keys.create(&args.name, vec![file], protection.as_ref())?,
    };
    print(context, &identity)?;
    if args.add {
        say_changed(context, &args.name);
    }
    Ok(0)
}

fn export(context: &Context, args: &ExportArgs) -> Done {
    files::check_writable(&args.output)?;
    let identity = context.keys()?.look(&args.name)?;
    if context.ui.json() && files::is_dash(&args.output) {
        let hint = "name a file with -o";
        return Err(Failure::usage("--json and `-o -` both need stdout", hint));
    }
    if args.secret {
        let file = chosen(&identity, args.suite)?;
        if files::is_dash(&args.output) {
            context.ui.data(file)?;
        } else {
            files::create_new(&args.output, 0o600, file)
                .map_err(|error| keystore::not_created(&args.output, &error))?;
        }
    } else {
        files::write(&context.ui, &args.output, identity.public_lines()?.as_bytes())?;
    }
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-key-export/1",
            "file": args.output.display().to_string(),
            "identity": identity.identity.id().to_string(),
            "secret": args.secret,
        }))?;
    }
    Ok(0)
}

/// Returns the key file of the suite that was asked for, or of the only key.
fn chosen(identity: &SeenIdentity, suite: Option<Suite>) -> Result<&[u8], Failure> {
    let key = match (suite, identity.keys.as_slice()) {
        (Some(suite), _) => identity.key(suite),
        (None, [only]) => Some(only),
        (None, _) => {
            let suites: Vec<&str> =
                identity.keys.iter().map(|key| key.public.suite().name()).collect();
            let hint = format!("choose one of {} with --suite", suites.join(", "));
            let message = format!("{} has {} secrets", identity.name.as_str(), suites.len());
            return Err(Failure::usage(message, hint));
        }
    };
    let key = key.ok_or_else(|| {
        let message = format!("{} has no key of this suite", identity.name.as_str());
        let hint = "show its keys with `kapsule key show NAME`";
        Failure::new(ErrorCode::KeyNotFound, message, hint)
    })?;
    Ok(&key.bytes)
}

fn show(context: &Context, args: &ShowArgs) -> Done {
    let identity = context.keys()?.look(&args.name)?;
    print(context, &identity)?;
    Ok(0)
}

fn list(context: &Context) -> Done {
    let keys = context.keys()?;
    let names = keys.names()?;
    let mut rows = Vec::new();
    for name in &names {
        let found = keys.look(name);
        if context.ui.json() {
            context.ui.object(&match &found {
                Ok(identity) => to_json(identity),
                Err(failure) => json!({
                    "schema": "kapsule/cli-key/1",
                    "name": name.as_str(),
                    "problem": failure.kind.to_string(),
                }),
            })?;
        }
        let name = name.as_str().to_owned();
        match &found {
            Ok(identity) => {
                rows.extend(identity.keys.iter().map(|key| vec![name.clone(), shown(&key.public)]))
            }
            Err(failure) => rows.push(vec![name, failure.kind.to_string()]),
        }
    }
    if !context.ui.json() {
        context.ui.text(&table(&[Align::Left, Align::Left], &rows))?;
    }
    if names.is_empty() {
        let place = keys.directory().display();
        context.ui.say(&format!("no keys in {place}; make one with `kapsule key new NAME`"));
    }
    Ok(0)
}

/// Returns the text of a key, cut where it is too long for a line.
fn shown(key: &PublicKey) -> String {
    let text = key.to_string();
    let start = key.suite().name().len() + 1;
    match text.get(..start + SHOWN_DIGITS) {
        Some(cut) if cut.len() < text.len() => format!("{cut}.. ({} bytes)", key.as_bytes().len()),
        _ => text,
    }
}

fn print(context: &Context, identity: &SeenIdentity) -> Result<(), Failure> {
    if context.ui.json() {
        return context.ui.object(&to_json(identity));
    }
    let mut rows = vec![
        ("name", identity.name.as_str().to_owned()),
        ("identity", identity.identity.id().to_string()),
    ];
    for key in &identity.keys {
        rows.extend([("public", shown(&key.public)), ("key id", key.public.id().to_string())]);
        match &key.open {
            Some(file) => rows.extend([
                ("uses", file.uses.names().join(", ")),
                ("created", format!("{} ms since 1970", file.created_ms)),
            ]),
            None => rows.push(("protected", "by a passphrase".to_owned())),
        }
        rows.push(("file", key.path.display().to_string()));
    }
    context.ui.text(&facts(&rows))
}

fn to_json(identity: &SeenIdentity) -> Value {
    let keys = identity.keys.iter().map(|key| {
        json!({
            "suite": key.public.suite().name(),
            "public": key.public.to_string(),
            "keyid": key.public.id().to_string(),
            "uses": key.open.as_ref().map(|file| file.uses.names()),
            "created_ms": key.open.as_ref().map(|file| file.created_ms.to_string()),
            "protected": key.open.is_none(),
            "file": key.path.display().to_string(),
        })
    });
    json!({
        "schema": "kapsule/cli-key/1",
        "name": identity.name.as_str(),
        "identity": identity.identity.id().to_string(),
        "keys": keys.collect::<Vec<_>>(),
    })
}
