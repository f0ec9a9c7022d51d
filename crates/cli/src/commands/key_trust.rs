//! `kapsule key trust`

use std::path::PathBuf;

use kapsule_format::hash::sha256;
use kapsule_format::key::Identity;
use kapsule_format::log::VerifierKey;
use kapsule_format::trust::Role;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{KeyName, KeyStore};
use crate::passphrase::PassphraseArgs;
use crate::roots::TrustFile;
use crate::trustfile::{self, Change, decode_role, find_identity};
use crate::{files, opening, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule key trust alice -o roots.json
  kapsule key trust alice --package 'hello*' --role author -o roots.json
  kapsule key trust alice bob --root alice --root bob --threshold 2 -o roots.json
  kapsule key trust bob.pub --extends trust.json --sign alice -o trust.json
  kapsule key trust --extends trust.json --revoke bob --sign alice -o trust.json
  kapsule key trust bob.pub -o -
  kapsule key trust alice --role issuer --registry registry.json -o roots.json

A successor is signed by as many root identities of the file before as that demands. The file before
is kept as `trust.json.N` with its signatures; hand all of them on together. Others add their
signatures with `kapsule sign trust.json --key NAME`.";

/// Writes a trust file that lists keys, or the successor of one
///
/// The file (`kapsule/trust/1`) is what `verify --trust` and `run --trust` take; put it at
/// `trust.json` of the configuration directory to have it used and enforced always.
/// The listed keys are also its root keys unless --root names others; root keys decide what the
/// next file says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Names of identities of the home, or paths of `.pub` files
    #[arg(required_unless_present = "extends", value_name = "KEY")]
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
    /// Trust file to write the successor of: the keys are added, everything else stays
    #[arg(long, value_name = "FILE")]
    extends: Option<PathBuf>,
    /// Key that is trusted no longer, from this moment on; may be repeated
    #[arg(long = "revoke", value_name = "KEY", requires = "extends")]
    revoked: Vec<String>,
    /// Key that signs the next file; may be repeated
    #[arg(long = "root", value_name = "KEY")]
    roots: Vec<String>,
    /// How many root identities sign the next file
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// Last moment at which the file may be used, in ms since 1970; 0 for no bound
    #[arg(long, value_name = "MS")]
    valid_until: Option<u64>,
    /// Registry of receipt policies to pin, by its root and size; may be repeated
    #[arg(long = "registry", value_name = "FILE")]
    registries: Vec<PathBuf>,
    /// Verifier key of a log whose proofs count, as `kapsule log checkpoint` prints it; may be
    /// repeated
    #[arg(long = "log", value_name = "VKEY")]
    logs: Vec<VerifierKey>,
    /// Verifier key of a cosigner of checkpoints; may be repeated
    #[arg(long = "cosigner", value_name = "VKEY")]
    cosigners: Vec<VerifierKey>,
    /// How many cosigners a checkpoint needs
    #[arg(long, value_name = "N")]
    quorum: Option<u64>,
    /// Name of an identity of the home that signs the file; may be repeated
    #[arg(long = "sign", value_name = "NAME")]
    signers: Vec<KeyName>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "trust.json")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let (ui, to_stdout) = (&context.ui, files::is_dash(&args.output));
    if to_stdout && (args.extends.is_some() || !args.signers.is_empty()) {
        let hint = "name a file with -o; signatures and earlier files are put beside it";
        return Err(Failure::usage("a signed trust file is several files", hint));
    }
    let keys = context.keys()?;
    let change = change(args, &keys)?;
    let before = args.extends.as_deref().map(TrustFile::read).transpose()?;
    let trust = match &before {
        Some(before) => change.next(before, opening::now_ms())?,
        None => change.first()?,
    };
    let bytes = trust.encode();
    let mut companions = Vec::new();
    for name in &args.signers {
        let signer = keys.load(name, &args.passphrase)?;
        companions.extend(trustfile::sign(&bytes, trust.serial, &signer, false)?);
    }
    if let Some(before) = &before {
        trustfile::keep_earlier(ui, before, &args.output)?;
    }
    files::write(ui, &args.output, &bytes)?;
    trustfile::write_companions(ui, &args.output, &companions)?;
    let pin = sha256(&bytes);
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-trust/1",
            "file": args.output.display().to_string(),
            "serial": trust.serial.to_string(),
            "sha256": pin.to_string(),
            "signatures": companions.len(),
        }))?;
    } else {
        let file = args.output.display();
        let signed = match companions.len() {
            0 => String::new(),
            1 => ", 1 signature".to_owned(),
            count => format!(", {count} signatures"),
        };
        ui.say(&format!("wrote {file}, serial {}{signed}, pin {pin}", trust.serial));
    }
    Ok(0)
}

fn change(args: &Args, keys: &KeyStore) -> Result<Change, Failure> {
    let all = |names: &[String]| -> Result<Vec<(String, Identity)>, Failure> {
        names.iter().map(|name| find_identity(keys, name)).collect()
    };
    let identities = |names| -> Result<Vec<Identity>, Failure> {
        Ok(all(names)?.into_iter().map(|(_, identity)| identity).collect())
    };
    let registries = args.registries.iter().map(|path| receipts::read_registry(path));
    Ok(Change {
        listed: all(&args.keys)?,
        packages: args.packages.clone(),
        roles: args.roles.clone(),
        roots: identities(&args.roots)?,
        threshold: args.threshold,
        revoked: identities(&args.revoked)?,
        valid_until: args.valid_until,
        registries: registries.collect::<Result<_, Failure>>()?,
        logs: args.logs.clone(),
        cosigners: args.cosigners.clone(),
        quorum: args.quorum,
    })
}
