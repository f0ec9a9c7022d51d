//! Packing: sections to a package body.

#[cfg(feature = "encrypt")]
use alloc::string::ToString;
use alloc::vec::Vec;

use super::decode::capsule_hash;
use super::layout::CAPSULE_HASH;
use super::{Layout, Package, PackageId};
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::verify::Unverified;
use crate::{DecodeError, hash, tree};

/// Builds the body of a package from its sections.
///
/// # Examples
/// See the crate's `tests/package.rs`, which packs the fixed package of the specification.
#[derive(Clone, Debug)]
pub struct PackageBuilder {
    manifest: Manifest,
    policy: Policy,
    payload: Vec<u8>,
    dependencies: Vec<PackageId>,
}

impl PackageBuilder {
    /// Starts with the three sections that every package has.
    #[must_use]
    pub fn new(manifest: Manifest, policy: Policy, payload: Vec<u8>) -> Self {
        Self { manifest, policy, payload, dependencies: Vec::new() }
    }

    /// Adds a package that this one needs, in any order.
    #[must_use]
    pub fn dependency(mut self, id: PackageId) -> Self {
        self.dependencies.push(id);
        self
    }

    /// Encrypts the payload, which is a module so far, to these recipients.
    ///
    /// The manifest then says so; `salt` is 32 fresh random bytes and hides which module it is.
    ///
    /// # Errors
    /// E052 without author keys, and E004 for a wrong number of recipients.
    #[cfg(feature = "encrypt")]
    pub fn encrypt(
        mut self,
        recipients: &[crate::encrypt::Recipient],
        salt: &[u8; 32],
    ) -> Result<Self, DecodeError> {
        self.manifest.policy_hash = self.policy.hash();
        let (plaintext, commitment) =
            super::encrypted::plaintext(&self.manifest, salt, &self.payload)?;
        let plain_size = self.payload.len() as u64;
        self.payload = crate::encrypt::encrypt(recipients, &plaintext)?;
        let stanzas = crate::stanza::read(&self.payload)?;
        self.manifest.exec.encrypted = Some(crate::manifest::Encrypted {
            commitment,
            plain_size,
            stanzas: stanzas.iter().map(ToString::to_string).collect(),
            extensions: crate::manifest::Extensions::new(),
        });
        Ok(self)
    }

    /// Packs the body, without signatures.
    ///
    /// Sets the members that other sections fix (`policy_hash`, `exec.hash`, `exec.chunk_root`,
    /// `exec.size`), then reads the result back with every check of a reader.
    ///
    /// # Errors
    /// What [`Package::decode`] finds, such as E004 for a section that is too long, E040 for a
    /// repeated dependency or E127 for resources that the policy does not give.
    pub fn pack(mut self) -> Result<Unverified<Package>, DecodeError> {
        let policy = self.policy.encode();
        self.manifest.policy_hash = self.policy.hash();
        self.manifest.exec.hash = hash::sha256(&self.payload);
        self.manifest.exec.chunk_root = tree::chunk_root(&self.payload);
        self.manifest.exec.size = self.payload.len() as u64;
        self.dependencies.sort_unstable();
        let manifest = self.manifest.encode();
        let depmap: Vec<u8> =
            self.dependencies.iter().flat_map(|id| id.as_bytes().iter().copied()).collect();
        let layout = Layout {
            manifest_len: length(&manifest),
            payload_len: self.payload.len() as u64,
            proof_len: 0,
            depmap_len: length(&depmap),
            policy_len: length(&policy),
        };
        let mut body = Vec::with_capacity(layout.end());
        body.extend_from_slice(&layout.encode(&[0; 32]));
        for section in [&manifest, &self.payload, &depmap, &policy] {
            body.extend_from_slice(section);
        }
        let id = capsule_hash(&body);
        body[CAPSULE_HASH].copy_from_slice(id.as_bytes());
        Package::decode(&body)
    }
}

/// Returns the length of a section; one beyond 32 bits is beyond every range that a reader checks.
fn length(section: &[u8]) -> u32 {
    u32::try_from(section.len()).unwrap_or(u32::MAX)
}
