//! Proofs of the run by a proof system, as attached entries.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::statement::StatementHash;
use crate::cbor::{self, Fields, Value};
use crate::manifest::ProofType;
use crate::{DecodeError, Digest};

/// Prefix of the attached entries that hold proofs.
pub const PROOFS: &str = "proof/";

/// Number of the proof system of this project.
pub const STARK: u64 = 1;

/// Number of the items that hold a proof; others stand in packages alone.
const KIND: u64 = 1;

/// Proof systems in the order of their numbers from 1; other numbers are reserved.
const SYSTEMS: [ProofType; 6] = [
    ProofType::Stark,
    ProofType::Groth16,
    ProofType::Plonk,
    ProofType::Risc0,
    ProofType::Sp1,
    ProofType::Openvm,
];

/// Number of proofs of development, which prove nothing.
const DEV: u64 = 65_535;

/// Returns the name of a proof system.
#[must_use]
pub fn system_name(number: u64) -> Option<&'static str> {
    SYSTEMS.iter().zip(1..).find(|(_, own)| *own == number).map(|(system, _)| system.name())
}

/// One proof that the claimed run happened; nothing in it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofItem {
    /// Number of the proof system.
    pub system: u64,
    /// Its version.
    pub version: u64,
    /// Verifying key.
    pub key: Digest,
    /// Digest of the public inputs: the statement hash of the claim.
    pub inputs: Digest,
    /// The proof, in the form of its system.
    pub proof: Vec<u8>,
}

impl ProofItem {
    /// Decodes an item.
    ///
    /// # Errors
    /// E002, E003, E006, E008 or E009 for the form, E303 for a reserved system, E308 for a proof of
    /// development.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "proof-item")?;
        fields.uint(0, KIND..=KIND)?;
        let system = fields.uint(1, 1..=DEV)?;
        let item = Self {
            system,
            version: fields.uint(2, 0..=u64::from(u32::MAX))?,
            key: fields.required(3)?,
            inputs: fields.required(4)?,
            proof: fields.required(5)?,
        };
        fields.finish()?;
        if guard!("format.proof_item.dev", system == DEV) {
            let detail = "a proof of development proves nothing";
            return Err(DecodeError::new(ErrorCode::DevProofRefused, detail));
        }
        if guard!("format.proof_item.system", system_name(system).is_none()) {
            let detail = format!("no proof system has the number {system}");
            return Err(DecodeError::new(ErrorCode::ProofSystemUnsupported, detail));
        }
        Ok(item)
    }

    /// Encodes the item.
    ///
    /// # Panics
    /// As [`cbor::encode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(vec![
            (0, KIND.into()),
            (1, self.system.into()),
            (2, self.version.into()),
            (3, self.key.into()),
            (4, self.inputs.into()),
            (5, self.proof.as_slice().into()),
        ]))
    }

    /// Checks that the proof is about this statement.
    ///
    /// # Errors
    /// E304 for a proof about something else.
    pub fn check_inputs(&self, statement: &StatementHash) -> Result<(), DecodeError> {
        if guard!("format.proof_item.inputs", self.inputs != *statement.digest()) {
            let detail = "the proof is about another statement than that of the claim";
            return Err(DecodeError::new(ErrorCode::ProofInputsMismatch, detail));
        }
        Ok(())
    }
}
