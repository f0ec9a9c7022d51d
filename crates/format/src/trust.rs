//! `trust.json`: whom a verifier trusts, for which role, which packages and how long.
//!
//! # Spec
//! `spec/trust.md`, sections "Trust file", "Companions" and "Chain"; vectors in
//! `spec/vectors/trust/`.

mod chain;
mod decode;
mod encode;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

pub use chain::{Chain, CompanionName, FILE_NAME, Link, statement};

use crate::key::{Identity, IdentityId};
use crate::log::{SignedCheckpoint, VerifierKey};
use crate::manifest::{Extensions, names};
use crate::{DecodeError, Digest};

/// Value of `schema` in a trust file.
pub const SCHEMA: &str = "kapsule/trust/1";

names! {
    /// What an identity is trusted for, in the order of the names.
    Role {
        /// Decides what an audit may see.
        Auditor = "auditor",
        /// Writes packages.
        Author = "author",
        /// Challenges availability.
        Challenger = "challenger",
        /// Runs packages.
        Executor = "executor",
        /// Grants audits.
        Granter = "granter",
        /// Issues receipts.
        Issuer = "issuer",
        /// Signs host and toolchain manifests.
        Manifest = "manifest",
        /// Publishes packages.
        Publisher = "publisher",
        /// Verifies for others.
        Verifier = "verifier",
    }
}

/// The trust roots of one verifier.
///
/// A pin or the signatures of its root keys authenticate the file; this type says neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Serial number, which never goes back.
    pub serial: u64,
    /// SHA-256 of the file of the serial before; absent in serial 1 alone.
    pub previous: Option<Digest>,
    /// Number of root identities that sign the next file.
    pub threshold: u64,
    /// Start of the validity window in milliseconds; 0 means no bound.
    pub valid_from: u64,
    /// Last millisecond of the validity window; 0 means no bound.
    pub valid_until: u64,
    /// Identities that sign the next file, ascending by identity id.
    pub root_keys: Vec<Identity>,
    /// Trusted identities, ascending by identity id.
    pub keys: Vec<TrustedKey>,
    /// Identities that are trusted no longer, ascending by identity id.
    pub revoked: Vec<Revoked>,
    /// Pinned policy registries, ascending by id.
    pub registries: Vec<Registry>,
    /// Logs, ascending by origin.
    pub logs: Vec<Log>,
    /// Verifier keys of cosigners, ascending.
    pub cosigners: Vec<String>,
    /// Number of cosigners that a checkpoint needs.
    pub quorum: u64,
    /// Verifying keys of proof systems, ascending by (system, vk_id).
    pub verifying_keys: Vec<VerifyingKey>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A trusted identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// Its keys.
    pub identity: Identity,
    /// Name for people.
    pub name: String,
    /// Last millisecond at which it is trusted; 0 means no bound.
    pub not_after: u64,
    /// First millisecond at which it is trusted; 0 means no bound.
    pub not_before: u64,
    /// Names of packages, ascending; a final `*` stands for any rest.
    pub packages: Vec<String>,
    /// What it is trusted for, ascending by name.
    pub roles: Vec<Role>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// An identity that is trusted no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which identity.
    pub identity: IdentityId,
    /// Why, for people.
    pub reason: String,
    /// Millisecond from which it is revoked.
    pub since: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A pinned policy registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Its id.
    pub id: String,
    /// Merkle root over its policies.
    pub root: Digest,
    /// Number of its policies.
    pub size: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

impl Trust {
    /// Checks that a listed key of its log signed a checkpoint, and enough of the listed cosigners;
    /// returns how many of these did.
    ///
    /// Whether the file is in force is the caller's to know.
    ///
    /// # Errors
    /// E309 where no key of the log is listed, or none of them signed; E124 for too few cosigners;
    /// as [`VerifierKey`] for a listed key that is none.
    pub fn check_checkpoint(&self, note: &SignedCheckpoint) -> Result<u64, DecodeError> {
        self.verify_log(note.checkpoint.origin.as_str(), |key| note.verify(key))?;
        self.check_quorum(note)
    }

    /// Returns what `verify` says of the first listed key of a log that it accepts, or else of the
    /// last one.
    ///
    /// # Errors
    /// E309 where no key of the log is listed; as [`VerifierKey`] for a listed key that is none; as
    /// `verify`.
    pub(crate) fn verify_log<T>(
        &self,
        origin: &str,
        verify: impl Fn(&VerifierKey) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let keys = self.logs.iter().filter(|log| log.origin == origin).flat_map(|log| &log.vkeys);
        let detail = format!("the trust file lists no key of the log `{origin}`");
        let mut verified = Err(DecodeError::new(ErrorCode::CheckpointInvalid, detail));
        for key in keys {
            verified = verify(&key.parse()?);
            if verified.is_ok() {
                break;
            }
        }
        verified
    }

    /// Counts the listed cosigners that signed a checkpoint, and checks that they are enough.
    ///
    /// # Errors
    /// E124 for too few.
    pub(crate) fn check_quorum(&self, note: &SignedCheckpoint) -> Result<u64, DecodeError> {
        let cosigned = |key: &&String| {
            let key: Result<VerifierKey, DecodeError> = key.parse();
            key.is_ok_and(|key| note.verify(&key).is_ok())
        };
        let cosigners = self.cosigners.iter().filter(cosigned).count() as u64;
        if guard!("format.trust.quorum", cosigners < self.quorum) {
            let detail = format!("{cosigners} cosigners signed, needed are {}", self.quorum);
            return Err(DecodeError::new(ErrorCode::CosignerQuorum, detail));
        }
        Ok(cosigners)
    }
}

/// A transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its origin line.
    pub origin: String,
    /// Its verifier keys, ascending.
    pub vkeys: Vec<String>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A verifying key of a proof system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    /// System id.
    pub system: u64,
    /// Its id.
    pub vk_id: Digest,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

impl Trust {
    /// Returns the first file of a chain, which lists nobody; one root identity signs the next.
    ///
    /// Root identities ascend by their id.
    #[must_use]
    pub fn first(root_keys: Vec<Identity>) -> Self {
        Self {
            serial: 1,
            previous: None,
            threshold: 1,
            valid_from: 0,
            valid_until: 0,
            root_keys,
            keys: Vec::new(),
            revoked: Vec::new(),
            registries: Vec::new(),
            logs: Vec::new(),
            cosigners: Vec::new(),
            quorum: 0,
            verifying_keys: Vec::new(),
            extensions: Extensions::new(),
        }
    }

    /// Returns the file, if it may be used at this time, give or take `skew_ms`.
    ///
    /// # Errors
    /// E118 outside its validity window.
    pub fn in_force(&self, now_ms: u64, skew_ms: u64) -> Result<&Self, DecodeError> {
        let valid = is_within(now_ms, skew_ms, self.valid_from, self.valid_until);
        if guard!("format.trust.window", !valid) {
            let detail = format!("the trust file {} is outside its validity window", self.serial);
            return Err(DecodeError::new(ErrorCode::TrustFileStale, detail));
        }
        Ok(self)
    }

    /// Returns the entry of an identity.
    #[must_use]
    pub fn key(&self, identity: &IdentityId) -> Option<&TrustedKey> {
        self.keys.iter().find(|key| key.identity.id() == *identity)
    }

    /// Tells whether the identity is revoked at this time.
    #[must_use]
    pub fn is_revoked_at(&self, identity: &IdentityId, now_ms: u64) -> bool {
        self.revoked.iter().any(|entry| entry.identity == *identity && entry.since <= now_ms)
    }
}

impl TrustedKey {
    /// Trusts an identity in these roles for every package, at any time.
    #[must_use]
    pub fn new(identity: Identity, name: &str, roles: Vec<Role>) -> Self {
        Self {
            identity,
            name: name.into(),
            not_after: 0,
            not_before: 0,
            packages: alloc::vec!["*".into()],
            roles,
            extensions: Extensions::default(),
        }
    }

    /// Tells whether the identity is trusted in this role for the package with this name.
    #[must_use]
    pub fn allows(&self, role: Role, package: &str) -> bool {
        self.roles.contains(&role) && self.packages.iter().any(|glob| matches(glob, package))
    }

    /// Tells whether the identity is trusted at this time, give or take `skew_ms`.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: u64, skew_ms: u64) -> bool {
        is_within(now_ms, skew_ms, self.not_before, self.not_after)
    }
}

fn is_within(now_ms: u64, skew_ms: u64, first: u64, last: u64) -> bool {
    let begun = first <= now_ms.saturating_add(skew_ms);
    begun && (last == 0 || now_ms.saturating_sub(skew_ms) <= last)
}

fn matches(glob: &str, name: &str) -> bool {
    match glob.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => glob == name,
    }
}
