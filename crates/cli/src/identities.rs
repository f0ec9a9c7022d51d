//! Who may read: age recipients to encrypt to, and identities that open what is encrypted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kapsule_abi::ErrorCode;
use kapsule_format::encrypt::{self, Identities, Recipient};
use kapsule_format::package::Package;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::passphrase::PassphraseArgs;
use crate::paths::Home;
use crate::{agekeys, files, keystore};

/// Greatest file of recipients in bytes; a line takes about 60.
const RECIPIENTS_BYTES_MAX: u64 = 65_536;

/// Identities that open an encrypted payload.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct IdentityArgs {
    /// File of an age identity that opens an encrypted payload, beside those of the key directory;
    /// may be repeated
    #[arg(long = "identity", value_name = "FILE")]
    identities: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
    #[arg(skip)]
    unlocked: Arc<OnceLock<Identities>>,
}

/// The identities that are at hand.
#[derive(Default)]
pub(crate) struct Held {
    /// Those that no passphrase protects.
    pub(crate) open: Identities,
    /// Protected files with their bytes.
    locked: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
}

impl IdentityArgs {
    /// Reads the files named and every `.ageid` of the key directory.
    pub(crate) fn read(&self) -> Result<Held, Failure> {
        let mut paths = self.identities.clone();
        if let Ok(home) = Home::from_env() {
            paths.extend(agekeys::identity_files(&home)?);
        }
        let mut held = Held::default();
        for path in paths {
            let bytes = keystore::read_secret_file(&path)?;
            match encrypt::is_protected(&bytes) {
                true => held.locked.push((path, bytes)),
                false => held.open.extend(decode(&path, &bytes)?),
            }
        }
        Ok(held)
    }

    /// Opens the protected identities, for a payload that no other one opens.
    ///
    /// One passphrase opens them all; `None` where there are none.
    pub(crate) fn unlock(&self, held: &Held) -> Result<Option<&Identities>, Failure> {
        if held.locked.is_empty() {
            return Ok(None);
        }
        if let Some(unlocked) = self.unlocked.get() {
            return Ok(Some(unlocked));
        }
        let mut identities = Identities::default();
        for (path, bytes) in &held.locked {
            let plain = self.passphrase.open(&path.display().to_string(), bytes)?;
            identities.extend(decode(path, &plain)?);
        }
        Ok(Some(self.unlocked.get_or_init(|| identities)))
    }

    /// Returns the module of a verified package, decrypted if need be.
    pub(crate) fn module(&self, name: &str, package: &Package) -> Result<Vec<u8>, Failure> {
        let refused = |error: &kapsule_format::DecodeError| {
            let hint = match error.code {
                ErrorCode::KeyNotHeld => {
                    "ask its author to encrypt to your recipient (`kapsule key recipient NAME`), \
                     or name the key with --identity"
                }
                _ => "tell its author; the payload was not made for this package",
            };
            let failure = Failure::decode(format!("{name} cannot be opened here"), error, hint);
            match &package.manifest().exec.encrypted {
                Some(encrypted) => {
                    let count = encrypted.stanzas.len();
                    failure.cause(format!("it is encrypted to {count} recipients"))
                }
                None => failure,
            }
        };
        if package.manifest().exec.encrypted.is_none() {
            return Ok(package.payload().to_vec());
        }
        let held = self.read()?;
        let opened = match package.module(Some(&held.open)) {
            Err(error) if error.code == ErrorCode::KeyNotHeld => match self.unlock(&held)? {
                Some(unlocked) => package.module(Some(unlocked)),
                None => Err(error),
            },
            opened => opened,
        };
        Ok(opened.map_err(|error| refused(&error))?.into_owned())
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Identities, Failure> {
    let refused = |cause: &dyn std::fmt::Display| {
        let hint = "name a file with AGE-SECRET-KEY-1... as `kapsule key recipient NAME` writes it";
        let message = format!("{} is no identity file", path.display());
        Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| refused(&error))?;
    Identities::decode(text).map_err(|error| refused(&error))
}

/// Finds recipients: one as text, or the lines of a file, or a key of the home by its name.
pub(crate) fn recipients(named: &[String]) -> Result<Vec<Recipient>, Failure> {
    let mut recipients = Vec::new();
    for name in named {
        recipients.extend(find(name)?);
    }
    Ok(recipients)
}

fn find(name: &str) -> Result<Vec<Recipient>, Failure> {
    let refused = |error: &kapsule_format::DecodeError| {
        let hint = "name an `age1...` recipient, a `.agepub` file, or a key of the home";
        Failure::decode(format!("{name} names no recipient"), error, hint)
    };
    if name.starts_with("age1") {
        return name.parse().map(|one| vec![one]).map_err(|error| refused(&error));
    }
    let path = match name.parse() {
        Ok(key) if !name.ends_with(".agepub") => agekeys::recipient_file(&Home::from_env()?, &key),
        _ => PathBuf::from(name),
    };
    let bytes = files::read(&path, "recipients", RECIPIENTS_BYTES_MAX)?;
    Recipient::decode_file(&String::from_utf8_lossy(&bytes)).map_err(|error| refused(&error))
}
