//! The `.tlog-proof` file: an entry, its path in the tree, and a checkpoint.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64;
use kapsule_abi::{ErrorCode, guard};

use super::checkpoint::{base64_digest, decimal};
use super::{Entry, SignedCheckpoint, VerifierKey};
use crate::limits::LOG_PROOF_BYTES_MAX;
use crate::{DecodeError, Digest, tree};

/// First line of the file.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Longest path: one hash for each bit of a size.
const PATH_MAX: usize = 64;

/// Shows that an entry stands in a log at some checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Bytes of the entry, which are the data of the leaf.
    pub entry: Vec<u8>,
    /// Index of the leaf.
    pub index: u64,
    /// Sibling hashes from the leaf upward.
    pub path: Vec<Digest>,
    /// The checkpoint.
    pub note: SignedCheckpoint,
}

impl LogProof {
    /// Decodes the file.
    ///
    /// # Errors
    /// E004 above 131,072 bytes, E001 or E005 for another first line, E008 for another line; the
    /// checkpoint as [`SignedCheckpoint::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let found = bytes.len();
        if guard!("format.log.proof_length", found > LOG_PROOF_BYTES_MAX) {
            let max = LOG_PROOF_BYTES_MAX;
            let detail = format!("log proof of {found} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let refuse = |detail: &str| DecodeError::new(ErrorCode::SchemaViolation, detail);
        let text = core::str::from_utf8(bytes).map_err(|_| refuse("log proof is not UTF-8"))?;
        let (head, note) = text
            .split_once("\n\n")
            .ok_or_else(|| refuse("log proof has no empty line before its checkpoint"))?;
        let mut lines = head.split('\n');
        check_header(lines.next().unwrap_or_default())?;
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let entry = extra.and_then(|extra| BASE64.decode(extra.as_bytes()).ok());
        let entry = entry.ok_or_else(|| refuse("line 2 is not `extra <base64>`"))?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or_else(|| refuse("line 3 is not `index <number>`"))?;
        let path: Option<Vec<Digest>> = lines.map(base64_digest).collect();
        let path = path.ok_or_else(|| refuse("a line of the path is not a hash in base64"))?;
        if guard!("format.log.proof_path", path.len() > PATH_MAX) {
            let detail = format!("path of {} hashes exceeds the limit of {PATH_MAX}", path.len());
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        Ok(Self { entry, index, path, note: SignedCheckpoint::decode(note.as_bytes())? })
    }

    /// Encodes the file.
    #[must_use]
    pub fn encode(&self) -> String {
        let start =
            format!("{HEADER}\nextra {}\nindex {}\n", BASE64.encode(&self.entry), self.index);
        let path = self.path.iter().map(|hash| format!("{}\n", BASE64.encode(hash.as_ref())));
        let end = format!("\n{}", self.note.encode());
        [start].into_iter().chain(path).chain([end]).collect()
    }

    /// Verifies the signature of the log, the inclusion, and that the entry concerns `subject`.
    ///
    /// # Errors
    /// E309 for the checkpoint, E310 for the rest, and the errors of [`Entry::decode`].
    pub fn verify(&self, log: &VerifierKey, subject: &Digest) -> Result<Entry, DecodeError> {
        self.note.verify(log)?;
        let refuse = |detail| Err(DecodeError::new(ErrorCode::LogInclusionInvalid, detail));
        let (saved, leaf) = (&self.note.checkpoint, tree::leaf_hash(&self.entry));
        let included =
            tree::verify_inclusion(&saved.root, saved.size, self.index, &leaf, &self.path);
        if guard!("format.log.proof_inclusion", !included) {
            let detail = format!("the path does not lead from leaf {} to the root", self.index);
            return refuse(detail);
        }
        let entry = Entry::decode(&self.entry)?;
        if guard!("format.log.proof_index", entry.index != self.index) {
            let detail = format!("entry {} stands at index {}", entry.index, self.index);
            return refuse(detail);
        }
        let named = entry.subjects.iter().any(|(_, digest)| digest == subject);
        if guard!("format.log.proof_subject", !named) {
            return refuse(format!("no subject of entry {} is {subject}", entry.index));
        }
        Ok(entry)
    }
}

fn check_header(line: &str) -> Result<(), DecodeError> {
    if line == HEADER {
        return Ok(());
    }
    let stem = HEADER.trim_end_matches(|character: char| character.is_ascii_digit());
    let (code, detail) = match line.strip_prefix(stem) {
        Some(_) => (ErrorCode::VersionUnsupported, "log proof of another version"),
        None => (ErrorCode::UnknownFormat, "line 1 is not that of a log proof"),
    };
    Err(DecodeError::new(code, format!("{detail}, allowed `{HEADER}`")))
}
