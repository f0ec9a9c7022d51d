//! Passphrases of protected secret files: from a file that is named, else asked for on a terminal.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use kapsule_format::encrypt::{
    self, PASSPHRASE_BYTES_MAX, Passphrase, WORK_FACTOR_DEFAULT, WORK_FACTOR_MAX,
};
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::{files, keystore};

/// Where the passphrase of protected keys comes from.
///
/// One call of the command knows one passphrase, and asks for it once.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// File whose first line is the passphrase of protected keys, `-` for stdin; without it a
    /// terminal is asked
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[arg(skip)]
    known: Arc<OnceLock<Passphrase>>,
}

/// Whether new secret files are protected, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ProtectArgs {
    /// Protect the secret with a passphrase; follows from --passphrase-file
    #[arg(long)]
    protect: bool,
    #[command(flatten)]
    pub(crate) cost: CostArgs,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseArgs,
}

/// What a guess of the passphrase costs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct CostArgs {
    /// Memory and time of one guess at the passphrase as a power of two, 1 to 20; 18 takes 256 MiB
    /// and about a second
    #[arg(
        long,
        value_name = "N",
        default_value_t = WORK_FACTOR_DEFAULT,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(WORK_FACTOR_MAX))
    )]
    work_factor: u8,
}

/// How a secret file is protected.
#[derive(Clone, Debug)]
pub(crate) struct Protection {
    passphrase: Passphrase,
    work_factor: u8,
}

impl Protection {
    /// Encrypts the bytes of a secret file, which takes a while.
    pub(crate) fn apply(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        encrypt::protect(bytes, &self.passphrase, self.work_factor).map_err(|error| {
            let hint = "take the old passphrase off first with `kapsule key unprotect`";
            Failure::decode(format!("{label} cannot be protected"), &error, hint)
        })
    }
}

impl ProtectArgs {
    /// Finds the passphrase for new secret files of this name, if they are to be protected.
    pub(crate) fn protection(&self, label: &str) -> Result<Option<Protection>, Failure> {
        match self.protect || self.passphrase.is_named() {
            true => self.passphrase.choose(label, self.cost).map(Some),
            false => Ok(None),
        }
    }
}

impl PassphraseArgs {
    /// Tells whether a file was named, or a terminal can be asked.
    pub(crate) fn is_available(&self) -> bool {
        self.is_named() || self.known.get().is_some() || is_attended()
    }

    /// Returns the file that was named, which may be stdin.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }

    fn is_named(&self) -> bool {
        self.passphrase_file.is_some()
    }

    /// Decrypts a protected secret file, which takes a while.
    pub(crate) fn open(&self, label: &str, file: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let passphrase = self.get(label)?;
        encrypt::unprotect(file, passphrase).map_err(|error| {
            let hint = "give the passphrase of the file with --passphrase-file or on a terminal; \
                        any age tool can change how it is protected";
            Failure::decode(format!("{label} cannot be opened"), &error, hint)
        })
    }

    /// Finds the passphrase of files that are protected already.
    fn get(&self, label: &str) -> Result<&Passphrase, Failure> {
        self.know(|| ask(&format!("passphrase of {label}: ")), label)
    }

    /// Finds a passphrase for new files; on a terminal it is asked for twice.
    pub(crate) fn choose(&self, label: &str, cost: CostArgs) -> Result<Protection, Failure> {
        let twice = || {
            let first = ask(&format!("new passphrase of {label}: "))?;
            let second = ask("the same again: ")?;
            if *first != *second {
                let hint = "try again; nothing was written";
                return Err(Failure::usage("the two passphrases differ", hint));
            }
            Ok(first)
        };
        let passphrase = self.know(twice, label)?.clone();
        Ok(Protection { passphrase, work_factor: cost.work_factor })
    }

    fn know(
        &self,
        ask: impl Fn() -> Result<Zeroizing<String>, Failure>,
        label: &str,
    ) -> Result<&Passphrase, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let text = match &self.passphrase_file {
            Some(path) => read(path)?,
            None if is_attended() => ask()?,
            None => {
                let message = format!("{label} is protected by a passphrase, and none was given");
                let hint = "name a file that holds it with --passphrase-file or \
                            KAPSULE_PASSPHRASE_FILE, or run the command on a terminal";
                return Err(Failure::usage(message, hint));
            }
        };
        let passphrase = Passphrase::new(&text).map_err(|error| {
            let hint = "choose one that is not empty";
            Failure::decode("this is no passphrase", &error, hint)
        })?;
        Ok(self.known.get_or_init(|| passphrase))
    }
}

/// Tells whether a person is there to be asked.
fn is_attended() -> bool {
    io::stderr().is_terminal()
}

/// Asks at the terminal, which does not show the answer.
fn ask(question: &str) -> Result<Zeroizing<String>, Failure> {
    let hint = "name a file that holds the passphrase with --passphrase-file";
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => Failure::interrupted(hint),
        _ => Failure::usage("no passphrase was entered", hint).cause(error),
    })
}

/// Reads the first line of a private file, or of stdin.
fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = match files::is_dash(path) {
        true => {
            let limit = PASSPHRASE_BYTES_MAX as u64 + 2;
            files::read(path, "passphrase file", limit).map(Zeroizing::new)?
        }
        false => keystore::read_passphrase_file(path)?,
    };
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|error| {
        let hint = "write the passphrase as text in UTF-8 on one line";
        Failure::usage(format!("{} holds no passphrase", files::name(path)), hint).cause(error)
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}
