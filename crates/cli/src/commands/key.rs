//! `kapsule key`

use std::path::PathBuf;

use kapsule_format::key::{PublicKey, PublicLine};
use kapsule_format::trust::Role;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{KeyName, KeyStore, StoredKey};
use crate::text::{Align, facts, table};
use crate::{files, opening, trustfile};

const NEW_EXAMPLES: &str = "\
Examples:
  kapsule key new alice
  kapsule key new ci-2026 --json";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule key list
  kapsule key list --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  kapsule key show alice
  kapsule key show alice --json";
const TRUST_EXAMPLES: &str = "\
Examples:
  kapsule key trust alice -o trust.json
  kapsule key trust alice --package 'hello*' --role author -o trust.json
  kapsule key trust bob.pub -o -";

/// Greatest size of a `.pub` file in bytes; one takes about 100.
const PUBLIC_FILE_BYTES_MAX: u64 = 4_096;

/// Creates, lists and shows signing keys
///
/// Keys are Ed25519 keys in the directory `keys` of the home: `KAPSULE_HOME/data`, else
/// `$XDG_DATA_HOME/kapsule`, else `~/.local/share/kapsule`.
/// Secret files have mode 0600 and are refused with E507 if anyone else could read them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(NewArgs),
    List(ListArgs),
    Show(ShowArgs),
    Trust(TrustArgs),
}

/// Creates a key from fresh random bytes
///
/// Writes `NAME.key` (secret, mode 0600) and `NAME.pub`, and overwrites nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(crate) struct NewArgs {
    /// Name of the key: letters, digits and `@._-`
    name: KeyName,
}

/// Lists the keys of the home
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

/// Shows the public part of a key
///
/// The secret is never printed.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Name of the key
    name: KeyName,
}

/// Writes a trust file that lists keys
///
/// The file (`kapsule/trust/1`) is what `verify --trust` and `run --trust` take; put it at
/// `trust.json` of the configuration directory to have it used and enforced always.
/// The listed keys are also its root keys.
#[derive(Debug, clap::Args)]
#[command(after_help = TRUST_EXAMPLES)]
pub(crate) struct TrustArgs {
    /// Names of keys of the home, or paths of `.pub` files
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Packages that the keys are trusted for; a final `*` stands for any rest
    #[arg(long = "package", value_name = "GLOB", default_value = "*")]
    packages: Vec<String>,
    /// What the keys are trusted as
    #[arg(
        long = "role",
        value_name = "ROLE",
        value_parser = decode_role,
        default_values_t = trustfile::DEFAULT_ROLES
    )]
    roles: Vec<Role>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "trust.json")]
    output: PathBuf,
}

fn decode_role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("roles are {}", names.join(", "))
    })
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::New(args) => new(context, args),
        Command::List(_) => list(context),
        Command::Show(args) => show(context, args),
        Command::Trust(args) => trust(context, args),
    }
}

fn new(context: &Context, args: &NewArgs) -> Done {
    let key = context.keys()?.create(&args.name, opening::now_ms())?;
    print(context, &key)?;
    context.ui.say("the secret file is the only copy; without it nobody can sign as this identity");
    Ok(0)
}

fn show(context: &Context, args: &ShowArgs) -> Done {
    let key = context.keys()?.load(&args.name)?;
    print(context, &key)?;
    Ok(0)
}

fn list(context: &Context) -> Done {
    let keys = context.keys()?;
    let names = keys.names()?;
    let mut rows = Vec::new();
    for name in &names {
        let found = keys.load(name);
        if context.ui.json() {
            context.ui.object(&match &found {
                Ok(key) => to_json(key),
                Err(failure) => json!({
                    "schema": "kapsule/cli-key/1",
                    "name": name.as_str(),
                    "problem": failure.kind.to_string(),
                }),
            })?;
        }
        let about = match &found {
            Ok(key) => key.public().to_string(),
            Err(failure) => failure.kind.to_string(),
        };
        rows.push(vec![name.as_str().to_owned(), about]);
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

fn print(context: &Context, key: &StoredKey) -> Result<(), Failure> {
    if context.ui.json() {
        return context.ui.object(&to_json(key));
    }
    context.ui.text(&facts(&[
        ("name", key.name.as_str().to_owned()),
        ("public", key.public().to_string()),
        ("key id", key.public().id().to_string()),
        ("identity", key.identity().to_string()),
        ("uses", key.file.uses.names().join(", ")),
        ("created", format!("{} ms since 1970", key.file.created_ms)),
        ("file", key.path.display().to_string()),
    ]))
}

fn to_json(key: &StoredKey) -> Value {
    json!({
        "schema": "kapsule/cli-key/1",
        "name": key.name.as_str(),
        "public": key.public().to_string(),
        "keyid": key.public().id().to_string(),
        "identity": key.identity().to_string(),
        "uses": key.file.uses.names(),
        "created_ms": key.file.created_ms.to_string(),
        "file": key.path.display().to_string(),
    })
}

fn trust(context: &Context, args: &TrustArgs) -> Done {
    files::check_writable(&args.output)?;
    let keys = context.keys()?;
    let listed: Result<Vec<_>, _> = args.keys.iter().map(|name| find(&keys, name)).collect();
    let bytes = trustfile::encode(&listed?, &args.packages, &args.roles)?;
    if context.ui.json() && files::is_dash(&args.output) {
        let hint = "name a file with -o";
        return Err(Failure::usage("--json and `-o -` both need stdout", hint));
    }
    files::write(&context.ui, &args.output, &bytes)?;
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-trust/1",
            "file": args.output.display().to_string(),
            "sha256": kapsule_format::hash::sha256(&bytes).to_string(),
        }))?;
    } else {
        let pin = kapsule_format::hash::sha256(&bytes);
        context.ui.say(&format!("wrote {}, pin {pin}", args.output.display()));
    }
    Ok(0)
}

/// Finds a public key: a path if the name has a slash or ends in `.pub`, else a key of the home.
fn find(keys: &KeyStore, name: &str) -> Result<(String, PublicKey), Failure> {
    if !name.contains('/') && !name.ends_with(".pub") {
        let parsed: Result<KeyName, String> = name.parse();
        let hint = "name a key of `kapsule key list`, or the path of a `.pub` file";
        let parsed = parsed
            .map_err(|cause| Failure::usage(format!("{name:?} names no key"), hint).cause(cause))?;
        return keys.load(&parsed).map(|key| (name.to_owned(), key.public().clone()));
    }
    let bytes = files::read(name.as_ref(), "public key", PUBLIC_FILE_BYTES_MAX)?;
    let line: Result<PublicLine, _> = String::from_utf8_lossy(&bytes).parse();
    let line = line.map_err(|error| {
        let hint = "name a `.pub` file as `kapsule key new` writes it";
        Failure::decode(format!("{name} is no public key"), &error, hint)
    })?;
    Ok((line.label().to_owned(), line.key().clone()))
}
