//! The chain of trust files: each one is signed by root keys of the one before.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{SCHEMA, Trust};
use crate::envelope::{Envelope, Expected, Statement, Subject};
use crate::hash::sha256;
use crate::key::{Identity, IdentityId, KeyId, PublicKey, Suite, is_published_test_key};
use crate::limits::TRUST_COMPANIONS_MAX;
use crate::{DecodeError, Digest};

/// Name of every trust file in the statements over it, whatever the file is called on a disk.
pub const FILE_NAME: &str = "trust.json";

/// Predicate type of the statement over a signed RJSON file.
const PREDICATE_TYPE: &str = "urn:kapsule:file:v1";

/// End of the name of a companion.
const SUFFIX: &str = ".dsse.json";

/// Returns the statement that a companion of a trust file signs.
#[must_use]
pub fn statement(bytes: &[u8], serial: u64) -> Vec<u8> {
    let predicate =
        BTreeMap::from([("schema".to_string(), SCHEMA.into()), ("serial".into(), serial.into())]);
    let subject = Subject { name: FILE_NAME.to_string(), sha256: sha256(bytes) };
    let predicate_type = PREDICATE_TYPE.to_string();
    Statement { subjects: [subject].into(), predicate_type, predicate }.encode()
}

/// What the file name of a companion states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompanionName {
    /// Suite of the key.
    pub suite: Suite,
    /// Key id.
    pub keyid: KeyId,
}

impl CompanionName {
    /// Reads what follows the last but two dots of a file name.
    ///
    /// # Errors
    /// E038 for another form.
    pub fn parse(file_name: &str) -> Result<Self, DecodeError> {
        let parts = file_name.strip_suffix(SUFFIX).and_then(|stem| {
            let (_, last) = stem.rsplit_once('.').unwrap_or(("", stem));
            let (suite, keyid) = last.split_once('-')?;
            Some(Self { suite: Suite::from_name(suite).ok()?, keyid: keyid.parse().ok()? })
        });
        parts.ok_or_else(|| {
            let detail = format!("file name {file_name:?} is not <file>.<suite>-<keyid>{SUFFIX}");
            DecodeError::new(ErrorCode::KeyidMismatch, detail)
        })
    }

    /// Returns the name of the companion of the file `file`.
    #[must_use]
    pub fn file_name(&self, file: &str) -> String {
        format!("{file}.{}-{}{SUFFIX}", self.suite.name(), self.keyid)
    }
}

/// A trust file with its companions as (file name, bytes), as read.
#[derive(Clone, Debug, Default)]
pub struct Link<'a> {
    /// The trust file.
    pub bytes: &'a [u8],
    /// Its companions.
    pub companions: Vec<(&'a str, &'a [u8])>,
}

/// Trust files of ascending serials, each but the first signed by root keys of the one before.
///
/// Nothing vouches for the first one: that is a pin, a memory of it, or the caller's own word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    newest: Trust,
    digests: Vec<Digest>,
    signers: Vec<IdentityId>,
}

impl Chain {
    /// Begins a chain with a file.
    ///
    /// # Errors
    /// As [`Trust::decode`].
    pub fn begin(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (newest, digests) = (Trust::decode(bytes)?, [sha256(bytes)].into());
        Ok(Self { newest, digests, signers: Vec::new() })
    }

    /// Adds the file of the next serial.
    ///
    /// A published test key signs for nobody unless insecure development keys are allowed.
    ///
    /// # Errors
    /// E117 if it names another file as the one before, E118 if its serial is not the next one,
    /// E116 if fewer than the threshold of root identities signed, E004 for too many companions;
    /// else as [`Trust::decode`], [`Envelope::decode`] and [`Envelope::verify`].
    pub fn extend(&mut self, link: &Link<'_>, insecure_dev: bool) -> Result<(), DecodeError> {
        let next = Trust::decode(link.bytes)?;
        if guard!("format.trust.chain_previous", next.previous.as_ref() != Some(&self.sha256())) {
            let detail = format!(
                "serial {} follows another file than the one of serial {}",
                next.serial, self.newest.serial
            );
            return Err(DecodeError::new(ErrorCode::TrustPinMismatch, detail));
        }
        if guard!("format.trust.chain_serial", next.serial.checked_sub(1) != Some(self.serial())) {
            let detail = format!("serial {} follows serial {}", next.serial, self.newest.serial);
            return Err(DecodeError::new(ErrorCode::TrustFileStale, detail));
        }
        self.signers = self.signed(link, next.serial, insecure_dev)?;
        self.digests.push(sha256(link.bytes));
        self.newest = next;
        Ok(())
    }

    /// Returns the root identities all of whose keys signed the next file, if they suffice.
    fn signed(
        &self,
        link: &Link<'_>,
        serial: u64,
        insecure_dev: bool,
    ) -> Result<Vec<IdentityId>, DecodeError> {
        let count = link.companions.len();
        if guard!("format.trust.companions", count > TRUST_COMPANIONS_MAX) {
            let detail = format!("{count} companions exceed the limit of {TRUST_COMPANIONS_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let statement = statement(link.bytes, serial);
        let mut signed: BTreeSet<&PublicKey> = BTreeSet::new();
        for (file_name, bytes) in &link.companions {
            let CompanionName { suite, keyid } = CompanionName::parse(file_name)?;
            let envelope = Envelope::decode(bytes)?;
            let expected = Expected { statement: &statement, suite, key_id: keyid };
            let keys = self.newest.root_keys.iter().flat_map(Identity::keys);
            // Anyone can add a companion by a key of nobody, so that alone changes nothing.
            if let Some(key) = keys.into_iter().find(|key| key.id() == keyid) {
                envelope.verify(&expected, key)?;
                signed.insert(key);
            }
        }
        let counts = |identity: &&Identity| {
            let insecure = identity.keys().iter().any(is_published_test_key) && !insecure_dev;
            let revoked = self.newest.revoked.iter().any(|one| one.identity == identity.id());
            !guard!("format.trust.root_test_key", insecure)
                && !guard!("format.trust.root_revoked", revoked)
                && identity.keys().iter().all(|key| signed.contains(key))
        };
        let signers: Vec<IdentityId> =
            self.newest.root_keys.iter().filter(counts).map(Identity::id).collect();
        let (found, needed) = (signers.len() as u64, self.newest.threshold);
        if guard!("format.trust.threshold", found < needed) {
            let detail = format!(
                "{found} root identities of serial {} signed serial {serial} with every key, \
                 needed are {needed}",
                self.newest.serial
            );
            return Err(DecodeError::new(ErrorCode::SignerQuorum, detail));
        }
        Ok(signers)
    }

    /// Returns the newest file.
    #[must_use]
    pub const fn newest(&self) -> &Trust {
        &self.newest
    }

    /// Returns the serial of the newest file.
    #[must_use]
    pub const fn serial(&self) -> u64 {
        self.newest.serial
    }

    /// Returns the SHA-256 of the newest file.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        *self.digests.last().expect("a chain begins with a file")
    }

    /// Returns the serial of the first file.
    #[must_use]
    pub fn first_serial(&self) -> u64 {
        self.serial().saturating_sub(self.digests.len() as u64).saturating_add(1)
    }

    /// Returns the SHA-256 of every file, ascending by serial.
    #[must_use]
    pub fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Returns the root identities that signed the newest file; none where it is the first.
    #[must_use]
    pub fn signers(&self) -> &[IdentityId] {
        &self.signers
    }
}
