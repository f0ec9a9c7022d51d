//! Encryption to recipients and with passphrases: thin use of the `age` crate.
//!
//! Here alone this crate draws random numbers: age makes the keys of each file itself.
//!
//! # Examples
//! ```
//! use kapsule_format::encrypt::{Identities, encrypt, generate};
//! use kapsule_format::package::Decrypt;
//!
//! let (file, recipient) = generate();
//! let ciphertext = encrypt(&[recipient], b"for one reader")?;
//! let holder = Identities::decode(&file)?;
//! assert_eq!(**holder.decrypt(&ciphertext, 64).expect("the key is held"), *b"for one reader");
//! assert!(Identities::default().decrypt(&ciphertext, 64).is_none());
//! # Ok::<(), kapsule_format::DecodeError>(())
//! ```
//!
//! # Spec
//! `spec/package.md`, section "Encrypted payload"; `spec/keys.md`, section "Key files".

mod identity;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use std::io::{Read, Write};

use age::secrecy::{ExposeSecret, SecretString};
use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use crate::DecodeError;
use crate::limits::STANZAS_MAX;
use crate::package::Decrypt;
use identity::Identity;

/// Someone who may read: the public part of an age key, `age1...`.
#[derive(Clone)]
pub struct Recipient(age::x25519::Recipient);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Recipient {
    type Err = DecodeError;

    /// # Errors
    /// E035 for anything but an X25519 recipient.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        text.parse().map(Self).map_err(|cause: &str| {
            let text = crate::text::shown(text);
            let detail = format!("found {text:?}, allowed age1...: {cause}");
            DecodeError::new(ErrorCode::KeyInvalid, detail)
        })
    }
}

impl Recipient {
    /// Tells whether this is the recipient of an identity, given as `AGE-SECRET-KEY-1...`.
    #[must_use]
    pub fn is_of(&self, identity: &str) -> bool {
        let found = identity.parse::<age::x25519::Identity>();
        found.is_ok_and(|identity| identity.to_public() == self.0)
    }

    /// Reads the lines of a recipients file; empty ones and comments are left out.
    ///
    /// # Errors
    /// E035 for another line, and for a file without a recipient.
    pub fn decode_file(text: &str) -> Result<Vec<Self>, DecodeError> {
        let recipients: Vec<Self> = key_lines(text).map(str::parse).collect::<Result<_, _>>()?;
        match recipients.is_empty() {
            true => Err(DecodeError::new(ErrorCode::KeyInvalid, "the file names no recipient")),
            false => Ok(recipients),
        }
    }
}

fn key_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Makes a key from fresh random bytes: the text of its identity file, and its recipient.
#[must_use]
pub fn generate() -> (Zeroizing<String>, Recipient) {
    let identity = age::x25519::Identity::generate();
    let recipient = Recipient(identity.to_public());
    let secret = identity.to_string();
    // Large enough from the start, so that no copy of the secret is left behind.
    let mut file = Zeroizing::new(String::with_capacity(256));
    file.push_str("# public key: ");
    file.push_str(&recipient.to_string());
    file.push('\n');
    file.push_str(secret.expose_secret());
    file.push('\n');
    (file, recipient)
}

/// Age identities, each of which may open a file.
#[derive(Clone, Default)]
pub struct Identities(Vec<Identity>);

impl fmt::Debug for Identities {
    /// Prints how many there are, never the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

impl Identities {
    /// Reads an identity file as age writes it.
    ///
    /// # Errors
    /// E509 for a line that is neither empty, a comment nor an X25519 identity, and for a file
    /// without an identity; the text of a line is never repeated.
    pub fn decode(text: &str) -> Result<Self, DecodeError> {
        let refuse = |detail: &str| DecodeError::new(ErrorCode::KeyFileForm, detail);
        let identity = |line: &str| {
            let parsed = Identity::parse(line);
            parsed.ok_or_else(|| refuse("a line is no identity, allowed AGE-SECRET-KEY-1..."))
        };
        let identities: Vec<_> = key_lines(text).map(identity).collect::<Result<_, _>>()?;
        match identities.is_empty() {
            true => Err(refuse("the file holds no identity")),
            false => Ok(Self(identities)),
        }
    }

    /// Adds those of another file.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Returns the recipients whose files these open, in their order.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient> {
        self.0.iter().map(|identity| identity.recipient().clone())
    }

    /// Tells whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Decrypt for Identities {
    fn decrypt(&self, file: &[u8], plain_bytes_max: usize) -> Option<Zeroizing<Vec<u8>>> {
        let identities = self.0.iter().map(|identity| identity as &dyn age::Identity);
        read_plaintext(file, identities, plain_bytes_max)
    }
}

/// Decrypts a file whose plaintext has at most `limit` bytes.
fn read_plaintext<'a>(
    file: &[u8],
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    limit: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    let decryptor = age::Decryptor::new_buffered(file).ok()?;
    take_plaintext(decryptor.decrypt(identities).ok()?, file.len(), limit)
}

fn take_plaintext(
    reader: impl Read,
    file_bytes: usize,
    limit: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    // The plaintext is shorter than the file, so this never grows and leaves no copy behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(limit.min(file_bytes)));
    reader.take((limit as u64).saturating_add(1)).read_to_end(&mut plaintext).ok()?;
    if guard!("format.encrypt.limit", plaintext.len() > limit) {
        return None;
    }
    Some(plaintext)
}

/// Encrypts to every recipient, once to each.
///
/// # Errors
/// E004 for none or more than 64 recipients.
pub fn encrypt(recipients: &[Recipient], plaintext: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut seen = BTreeSet::new();
    let once: Vec<_> = recipients.iter().filter(|to| seen.insert(to.to_string())).collect();
    let count = once.len();
    if guard!("format.encrypt.recipients", !(1..=STANZAS_MAX).contains(&count)) {
        let detail = format!("{count} recipients, allowed 1 to {STANZAS_MAX}");
        return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
    }
    let recipients = once.into_iter().map(|to| &to.0 as &dyn age::Recipient);
    Ok(write_ciphertext(recipients, plaintext))
}

fn write_ciphertext<'a>(
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
    plaintext: &[u8],
) -> Vec<u8> {
    let mut file = Vec::with_capacity(plaintext.len());
    age::Encryptor::with_recipients(recipients)
        .map_err(std::io::Error::other)
        .and_then(|encryptor| encryptor.wrap_output(&mut file))
        .and_then(|mut writer| writer.write_all(plaintext).and_then(|()| writer.finish()))
        .expect("recipients of one kind mix, and writing to memory does not fail");
    file
}

/// Greatest work factor of a protected key file that is accepted: 2^20 is one GiB of memory.
pub const WORK_FACTOR_MAX: u8 = 20;

/// Work factor of new files: about a second and 256 MiB on a desktop of 2024, as other age tools
/// choose.
pub const WORK_FACTOR_DEFAULT: u8 = 18;

/// Greatest plaintext of a protected key file in bytes.
const KEY_FILE_BYTES_MAX: usize = 4_096;

/// Greatest passphrase in bytes; chosen, a line of a terminal holds no more.
pub const PASSPHRASE_BYTES_MAX: usize = 4_096;

/// A passphrase, wiped when dropped and never printed.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl Passphrase {
    /// Takes the text as it is.
    ///
    /// # Errors
    /// E509 for an empty one, and for more than 4,096 bytes.
    pub fn new(text: &str) -> Result<Self, DecodeError> {
        let bytes = text.len();
        if guard!("format.encrypt.passphrase", !(1..=PASSPHRASE_BYTES_MAX).contains(&bytes)) {
            let detail =
                format!("passphrase of {bytes} bytes, allowed 1 to {PASSPHRASE_BYTES_MAX}");
            return Err(DecodeError::new(ErrorCode::KeyFileForm, detail));
        }
        Ok(Self(SecretString::from(text.to_string())))
    }
}

/// Tells whether bytes are an age file rather than a plain key file.
#[must_use]
pub fn is_protected(file: &[u8]) -> bool {
    file.starts_with(crate::stanza::AGE_LINE)
}

/// Encrypts the bytes of a key file with a passphrase; takes about a second by default.
///
/// # Errors
/// E509 for a work factor outside 1 to 20, and for bytes that are protected already.
pub fn protect(
    bytes: &[u8],
    passphrase: &Passphrase,
    work_factor: u8,
) -> Result<Vec<u8>, DecodeError> {
    if guard!("format.encrypt.work_factor", !(1..=WORK_FACTOR_MAX).contains(&work_factor)) {
        let detail = format!("work factor {work_factor}, allowed 1 to {WORK_FACTOR_MAX}");
        return Err(key_file(detail));
    }
    if guard!("format.encrypt.protect_twice", is_protected(bytes)) {
        return Err(key_file("the file is protected already"));
    }
    let mut recipient = age::scrypt::Recipient::new(passphrase.0.clone());
    recipient.set_work_factor(work_factor);
    let recipients = core::iter::once(&recipient as &dyn age::Recipient);
    Ok(write_ciphertext(recipients, bytes))
}

/// Decrypts a key file that [`protect`] or any age tool made; takes about a second.
///
/// # Errors
/// E509 for a file without exactly one scrypt stanza of at most work factor 20, for another
/// passphrase, and for a plaintext that is protected again or exceeds 4,096 bytes.
pub fn unprotect(file: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
    let decryptor = age::Decryptor::new_buffered(file).ok();
    let scrypt = decryptor.as_ref().is_some_and(age::Decryptor::is_scrypt);
    let decryptor = match decryptor {
        Some(decryptor) if !guard!("format.encrypt.scrypt", !scrypt) => decryptor,
        _ => return Err(key_file("the file is not protected by one passphrase")),
    };
    let mut identity = age::scrypt::Identity::new(passphrase.0.clone());
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    let reader = decryptor.decrypt(core::iter::once(&identity as &dyn age::Identity));
    let reader = reader.map_err(|error| match error {
        age::DecryptError::ExcessiveWork { required, .. } => {
            key_file(format!("work factor {required}, allowed 1 to {WORK_FACTOR_MAX}"))
        }
        _ => key_file("the passphrase does not open the file"),
    })?;
    let plaintext = take_plaintext(reader, file.len(), KEY_FILE_BYTES_MAX);
    let plaintext = plaintext.ok_or_else(|| {
        key_file(format!("the file is cut, changed or longer than {KEY_FILE_BYTES_MAX} bytes"))
    })?;
    if guard!("format.encrypt.unprotect_twice", is_protected(&plaintext)) {
        return Err(key_file("the file is protected twice"));
    }
    Ok(plaintext)
}

fn key_file(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::KeyFileForm, detail)
}
