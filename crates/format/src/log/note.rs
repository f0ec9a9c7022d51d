//! Signed notes: names and keys of logs and cosigners, and signature lines.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64;
use kapsule_abi::{ErrorCode, guard};
use sha2::{Digest as _, Sha256};

use crate::DecodeError;
use crate::hash::{decode_hex, encode_hex};
use crate::key::{PublicKey, SecretKey, Suite};
use crate::text::shown;

/// Start of a signature line: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Type of an Ed25519 signature over the text of the note.
const ED25519: u8 = 1;

/// Type of a timestamped Ed25519 cosignature.
const COSIGNATURE: u8 = 4;

/// Bytes of the time before a cosignature.
const TIME_BYTES: usize = 8;

/// Name of a log, which is its origin, or of a cosigner.
///
/// One to 256 bytes without white space, control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogName(String);

impl LogName {
    /// Checks a name.
    ///
    /// # Errors
    /// E008 for another form.
    pub fn new(text: impl Into<String>) -> Result<Self, DecodeError> {
        let text = text.into();
        let refused = |character: char| {
            character.is_whitespace() || character.is_control() || character == '+'
        };
        let form = (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(refused);
        if guard!("format.log.name", !form) {
            let detail = format!(
                "name of a log is `{}`, allowed are 1 to {NAME_BYTES_MAX} bytes without white \
                 space, control characters and `+`",
                shown(&text)
            );
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(Self(text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a key signs notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    /// The log itself, over the text.
    Log,
    /// A cosigner, over a time and the text.
    Cosigner,
}

impl KeyKind {
    const fn number(self) -> u8 {
        match self {
            Self::Log => ED25519,
            Self::Cosigner => COSIGNATURE,
        }
    }
}

/// The public key of a log or cosigner with its name.
///
/// Prints and parses as `<name>+<key hash>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: LogName,
    kind: KeyKind,
    key: PublicKey,
}

impl VerifierKey {
    /// Names the key of a log.
    ///
    /// # Errors
    /// E034 unless the key is of suite `ed25519`.
    pub fn of_log(name: LogName, key: &PublicKey) -> Result<Self, DecodeError> {
        Self::new(name, KeyKind::Log, key)
    }

    /// Names the key of a cosigner.
    ///
    /// # Errors
    /// E034 unless the key is of suite `ed25519`.
    pub fn of_cosigner(name: LogName, key: &PublicKey) -> Result<Self, DecodeError> {
        Self::new(name, KeyKind::Cosigner, key)
    }

    fn new(name: LogName, kind: KeyKind, key: &PublicKey) -> Result<Self, DecodeError> {
        if guard!("format.log.vkey_suite", key.suite() != Suite::Ed25519) {
            let detail = format!("a note is signed by ed25519, found {}", key.suite());
            return Err(DecodeError::new(ErrorCode::SuiteUnsupported, detail));
        }
        Ok(Self { name, kind, key: key.clone() })
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &LogName {
        &self.name
    }

    /// Returns the public key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Tells whether it is the key of a log, not of a cosigner.
    #[must_use]
    pub fn is_of_log(&self) -> bool {
        self.kind == KeyKind::Log
    }

    fn typed_key(&self) -> Vec<u8> {
        [&[self.kind.number()], self.key.as_bytes()].concat()
    }

    fn key_hash(&self) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(self.name.as_str());
        hasher.update(b"\n");
        hasher.update(self.typed_key());
        let digest: [u8; 32] = hasher.finalize().into();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Tells whether a line claims to be of this key.
    pub(super) fn claims(&self, line: &NoteSignature) -> bool {
        line.name == self.name && line.key_hash == self.key_hash()
    }

    /// Verifies a line over the text of its note.
    pub(super) fn verify(&self, text: &str, line: &NoteSignature) -> Result<(), DecodeError> {
        let verified = match self.kind {
            KeyKind::Log => self.key.verify(text.as_bytes(), &line.signature),
            KeyKind::Cosigner => match line.signature.split_first_chunk::<TIME_BYTES>() {
                Some((time, signature)) => {
                    let message = cosigned(u64::from_be_bytes(*time), text);
                    self.key.verify(message.as_bytes(), signature)
                }
                None => Err(DecodeError::new(ErrorCode::SignatureForm, "cosignature is too short")),
            },
        };
        verified.map_err(|error| {
            let detail = format!("signature of `{}` on the note: {}", self.name, error.detail);
            DecodeError::new(ErrorCode::CheckpointInvalid, detail)
        })
    }

    /// Signs the text of a note; `secret` is the key of this verifier key.
    ///
    /// # Errors
    /// E038 if it is another key.
    pub(super) fn sign(
        &self,
        secret: &SecretKey,
        text: &str,
        time_s: u64,
    ) -> Result<NoteSignature, DecodeError> {
        if guard!("format.log.signing_key", *secret.public() != self.key) {
            let detail = format!("the secret key is not that of `{}`", self.name);
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        let signature = match self.kind {
            KeyKind::Log => secret.sign(text.as_bytes()),
            KeyKind::Cosigner => {
                let signature = secret.sign(cosigned(time_s, text).as_bytes());
                [&time_s.to_be_bytes(), signature.as_slice()].concat()
            }
        };
        Ok(NoteSignature { name: self.name.clone(), key_hash: self.key_hash(), signature })
    }
}

/// What a cosigner signs.
fn cosigned(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = encode_hex(&self.key_hash());
        write!(f, "{}+{hash}+{}", self.name, BASE64.encode(&self.typed_key()))
    }
}

impl FromStr for VerifierKey {
    type Err = DecodeError;

    /// # Errors
    /// E008 for another form, E034 for another type of key, E035 for a key that is none, E038 for
    /// another key hash.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let refused = || {
            let detail = "verifier key is not `<name>+<8 hex digits>+<base64>`";
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        };
        let (name, rest) = text.split_once('+').ok_or_else(refused)?;
        let (hash, typed) = rest.split_once('+').ok_or_else(refused)?;
        let hash: [u8; 4] = decode_hex(hash).map_err(|_| refused())?;
        let typed = BASE64.decode(typed.as_bytes()).map_err(|_| refused())?;
        let (kind, key) = typed.split_first().ok_or_else(refused)?;
        let kind = match *kind {
            ED25519 => KeyKind::Log,
            COSIGNATURE => KeyKind::Cosigner,
            other => {
                let detail = format!("verifier key of type {other}, known are 1 and 4");
                return Err(DecodeError::new(ErrorCode::SuiteUnsupported, detail));
            }
        };
        let key = PublicKey::new(Suite::Ed25519, key)?;
        let vkey = Self { name: LogName::new(name)?, kind, key };
        if guard!("format.log.vkey_hash", vkey.key_hash() != hash) {
            let detail = format!("key hash of `{}` is not that of its name and key", vkey.name);
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        Ok(vkey)
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    name: LogName,
    key_hash: [u8; 4],
    signature: Vec<u8>,
}

impl NoteSignature {
    /// Returns the name that the line states.
    #[must_use]
    pub const fn name(&self) -> &LogName {
        &self.name
    }

    pub(super) fn decode(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(LINE_START)?.split_once(' ')?;
        let bytes = BASE64.decode(encoded.as_bytes()).ok()?;
        let (key_hash, signature) = bytes.split_first_chunk::<4>()?;
        let name = LogName::new(name).ok()?;
        let line = Self { name, key_hash: *key_hash, signature: signature.to_vec() };
        (!line.signature.is_empty()).then_some(line)
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_hash, self.signature.as_slice()].concat();
        write!(f, "{LINE_START}{} {}", self.name, BASE64.encode(&bytes))
    }
}
