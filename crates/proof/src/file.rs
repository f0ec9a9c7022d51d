//! A proof as bytes.
//!
//! # Spec
//! `spec/proof.md` section 7.

use alloc::vec::Vec;

use kapsule_abi::guard;

use crate::codec::{Reader, Writer};
use crate::error::DecodeError;
use crate::machine::Table;
use crate::statement::RunStatement;

/// Greatest length of the proof of one segment in bytes.
pub const PROOF_MAX: usize = 16 << 20;
/// Greatest length of an encoded statement with one segment in bytes; chosen above the longest.
const STATEMENT_MAX: usize = 4096;
/// First bytes of a proof file: a mark and the version of the form.
const MARK: &[u8; 8] = b"KPRF\x01\0\0\0";

/// The proof of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentProof {
    /// A bit for each table that is present, lowest first.
    pub present: u64,
    /// Base-2 logarithm of the height of each of them, in order.
    pub log_heights: Vec<u8>,
    /// The argument, in the form of [`argument`](crate::argument).
    pub argument: Vec<u8>,
}

impl SegmentProof {
    /// Returns the numbers of the tables that are present, or `None` if an unknown one is.
    pub(crate) fn numbers(&self) -> Option<Vec<usize>> {
        let numbers: Vec<usize> =
            (0..64).filter(|number| self.present >> number & 1 == 1).collect();
        let known = numbers.iter().all(|number| *number < Table::COUNT);
        (known && numbers.len() == self.log_heights.len()).then_some(numbers)
    }
}

/// A statement with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// The claim.
    pub statement: RunStatement,
    /// Its proof, one segment.
    pub segment: SegmentProof,
}

impl ProofFile {
    /// Returns the canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.raw(MARK);
        out.bytes(&self.statement.encode());
        out.u64(self.segment.present);
        out.bytes(&self.segment.log_heights);
        out.bytes(&self.segment.argument);
        out.finish()
    }

    /// Reads a proof file.
    ///
    /// The argument is copied and not looked into; [`verify`](crate::verify) accepts one form of
    /// it.
    ///
    /// # Errors
    /// [`DecodeError`] unless the bytes are the encoding of a file.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        if guard!("proof.file.mark", input.take(MARK.len())? != MARK) {
            return Err(DecodeError::Mark);
        }
        let length = input.count("statement", STATEMENT_MAX)?;
        let statement = RunStatement::decode(input.take(length)?)?;
        let present = input.u64()?;
        let tables = input.count("log_heights", Table::COUNT)?;
        let log_heights = input.take(tables)?.into();
        let length = input.count("argument", PROOF_MAX)?;
        let argument = input.take(length)?.into();
        input.end()?;
        Ok(Self { statement, segment: SegmentProof { present, log_heights, argument } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_kind_of_file_is_told_by_its_first_bytes() {
        assert!(matches!(ProofFile::decode(&[0; 64]), Err(DecodeError::Mark)));
    }
}
