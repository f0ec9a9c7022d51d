//! Checkpoints: the size and root of a log in a signed note.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use kapsule_abi::{ErrorCode, guard};

use super::note::{LogName, NoteSignature, VerifierKey};
use crate::cbor::UINT_MAX;
use crate::key::SecretKey;
use crate::limits::{NOTE_BYTES_MAX, NOTE_LINES_MAX};
use crate::{DecodeError, Digest};

/// Lines of the text: origin, size, root.
const TEXT_LINES: usize = 3;

/// What a log says of itself at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: LogName,
    /// Number of entries.
    pub size: u64,
    /// Merkle root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// Returns the text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_ref()))
    }

    fn from_lines(lines: &[&str]) -> Result<Self, DecodeError> {
        let &[origin, size, root] = lines else {
            return Err(invalid(format!("text of {} lines, allowed {TEXT_LINES}", lines.len())));
        };
        let origin = LogName::new(origin).map_err(|error| invalid(error.detail))?;
        let size = decimal(size).ok_or_else(|| invalid("line 2 is not a size"))?;
        let root = base64_digest(root).ok_or_else(|| invalid("line 3 is not a root in base64"))?;
        Ok(Self { origin, size, root })
    }

    pub(super) fn check_origin(&self, other: &Self) -> Result<(), DecodeError> {
        if guard!("format.log.origin", self.origin != other.origin) {
            let detail = format!("checkpoint of `{}`, the log is `{}`", other.origin, self.origin);
            return Err(invalid(detail));
        }
        Ok(())
    }
}

/// A checkpoint with its signature lines, none of which is checked before
/// [`SignedCheckpoint::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What the lines sign.
    pub checkpoint: Checkpoint,
    /// The lines in order; those of unknown keys count nothing.
    pub signatures: Vec<NoteSignature>,
}

impl SignedCheckpoint {
    /// Signs a checkpoint as its log.
    ///
    /// # Errors
    /// E034 unless the key is of suite `ed25519`.
    pub fn sign(checkpoint: Checkpoint, secret: &SecretKey) -> Result<Self, DecodeError> {
        let vkey = VerifierKey::of_log(checkpoint.origin.clone(), secret.public())?;
        let signature = vkey.sign(secret, &checkpoint.text(), 0)?;
        Ok(Self { checkpoint, signatures: [signature].into() })
    }

    /// Adds the line of a cosigner; `time_s` is in seconds since 1970.
    ///
    /// # Errors
    /// E038 if `secret` is not the key of `cosigner`.
    pub fn cosign(
        &mut self,
        cosigner: &VerifierKey,
        secret: &SecretKey,
        time_s: u64,
    ) -> Result<(), DecodeError> {
        let signature = cosigner.sign(secret, &self.checkpoint.text(), time_s)?;
        self.signatures.push(signature);
        Ok(())
    }

    /// Decodes a note.
    ///
    /// # Errors
    /// E004 above 65,536 bytes or 32 lines, E309 for another form.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let found = bytes.len();
        if guard!("format.log.note_length", found > NOTE_BYTES_MAX) {
            let detail = format!("note of {found} bytes exceeds the limit of {NOTE_BYTES_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| invalid("note is not UTF-8"))?;
        let lines =
            text.strip_suffix('\n').ok_or_else(|| invalid("note ends without a line end"))?;
        let lines: Vec<&str> = lines.split('\n').collect();
        if guard!("format.log.note_lines", lines.len() > NOTE_LINES_MAX) {
            let found = lines.len();
            let detail = format!("note of {found} lines exceeds the limit of {NOTE_LINES_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let end = lines.iter().position(|line| line.is_empty());
        let end = end.ok_or_else(|| invalid("note has no empty line before its signatures"))?;
        let checkpoint = Checkpoint::from_lines(&lines[..end])?;
        let read = |line: &&str| {
            NoteSignature::decode(line).ok_or_else(|| invalid("a signature line has another form"))
        };
        let signatures: Vec<NoteSignature> =
            lines[end + 1..].iter().map(read).collect::<Result<_, _>>()?;
        if guard!("format.log.note_unsigned", signatures.is_empty()) {
            return Err(invalid("note has no signature line"));
        }
        Ok(Self { checkpoint, signatures })
    }

    /// Encodes the note.
    #[must_use]
    pub fn encode(&self) -> String {
        let lines = self.signatures.iter().map(|line| format!("{line}\n"));
        [self.checkpoint.text(), String::from("\n")].into_iter().chain(lines).collect()
    }

    /// Verifies every line of a key, of which there is at least one.
    ///
    /// The key of a log signs for that log only.
    ///
    /// # Errors
    /// E309 if the key did not sign, a line of it does not verify, or the log has another name.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), DecodeError> {
        let foreign = key.is_of_log() && *key.name() != self.checkpoint.origin;
        if guard!("format.log.note_name", foreign) {
            let (name, origin) = (key.name(), &self.checkpoint.origin);
            return Err(invalid(format!("the log `{name}` does not sign for `{origin}`")));
        }
        let text = self.checkpoint.text();
        let mut lines = self.signatures.iter().filter(|line| key.claims(line)).peekable();
        if guard!("format.log.note_signed", lines.peek().is_none()) {
            return Err(invalid(format!("note has no signature of `{}`", key.name())));
        }
        lines.try_for_each(|line| key.verify(&text, line))
    }
}

pub(super) fn invalid(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::CheckpointInvalid, detail)
}

/// Reads a decimal number without a sign or leading zeros, at most 2^53-1.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    let number = canonical.then(|| text.parse().ok()).flatten()?;
    (number <= UINT_MAX).then_some(number)
}

/// Reads a digest in base64.
pub(super) fn base64_digest(text: &str) -> Option<Digest> {
    let bytes = BASE64.decode(text.as_bytes()).ok()?;
    Some(Digest::new(bytes.try_into().ok()?))
}
