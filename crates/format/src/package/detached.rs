//! Detached form: the body alone, and one envelope file for each trailer entry.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::ErrorCode;

use super::{Package, Scope, Signature};
use crate::DecodeError;
use crate::envelope::{Envelope, Expected};
use crate::key::{KeyId, Suite};

/// End of the name of every envelope file.
const SUFFIX: &str = ".dsse.json";

/// What the name of a detached envelope states: `<file>.<scope>-<suite>-<keyid>.dsse.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeName {
    /// Scope of the trailer entry.
    pub scope: Scope,
    /// Suite of the key.
    pub suite: Suite,
    /// Key id.
    pub keyid: KeyId,
}

impl EnvelopeName {
    /// Reads what follows the last but two dots of a file name.
    ///
    /// # Errors
    /// E038 for another form.
    pub fn parse(file_name: &str) -> Result<Self, DecodeError> {
        let parts = file_name.strip_suffix(SUFFIX).and_then(|stem| {
            let (_, last) = stem.rsplit_once('.').unwrap_or(("", stem));
            let (scope, rest) = last.split_once('-')?;
            let (suite, keyid) = rest.split_once('-')?;
            Some(Self {
                scope: Scope::from_name(scope)?,
                suite: Suite::from_name(suite).ok()?,
                keyid: keyid.parse().ok()?,
            })
        });
        parts.ok_or_else(|| {
            DecodeError::new(
                ErrorCode::KeyidMismatch,
                format!("file name {file_name:?} is not <file>.<scope>-<suite>-<keyid>{SUFFIX}"),
            )
        })
    }

    /// Returns the name of the envelope file of the package file `file`.
    #[must_use]
    pub fn file_name(&self, file: &str) -> String {
        format!("{file}.{}-{}-{}{SUFFIX}", self.scope, self.suite.name(), self.keyid)
    }
}

impl Package {
    /// Returns each trailer entry as what its file name states and its envelope.
    #[must_use]
    pub fn to_envelopes(&self) -> Vec<(EnvelopeName, Envelope)> {
        let convert = |entry: &Signature| {
            let name = EnvelopeName { scope: entry.scope, suite: entry.suite, keyid: entry.keyid };
            let statement = self.statement(entry.scope);
            let signature = entry.signature.clone();
            (name, Envelope::from_signature(&statement, entry.keyid, signature))
        };
        self.signatures.iter().map(convert).collect()
    }

    /// Puts the signature of a detached envelope into the trailer.
    ///
    /// The statement is compared, but whether the signature verifies is told by
    /// [`crate::verify`], which knows the keys.
    ///
    /// # Errors
    /// E030, E031, E034, E036 or E038 for an envelope that does not belong here; E004 for a 17th
    /// entry.
    pub fn attach(&mut self, name: &EnvelopeName, envelope: &Envelope) -> Result<(), DecodeError> {
        let EnvelopeName { scope, suite, keyid } = *name;
        let statement = self.statement(scope);
        envelope.check(&Expected { statement: &statement, suite, key_id: keyid })?;
        self.insert(Signature { scope, suite, keyid, signature: envelope.signature().to_vec() })
    }
}
