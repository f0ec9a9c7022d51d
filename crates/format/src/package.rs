//! Packages (`.mod`): header, manifest, payload, dependencies, policy and the signature trailer.
//!
//! # Spec
//! `spec/package.md`; vectors in `spec/vectors/mod/`.

mod decode;
mod detached;
pub(crate) mod encrypted;
mod layout;
mod pack;
mod sign;
mod trailer;

use alloc::vec::Vec;

pub use detached::EnvelopeName;
pub use encrypted::Decrypt;
pub use layout::Layout;
pub use pack::PackageBuilder;
pub use trailer::{Scope, Signature};

pub(crate) use decode::Raw;

use crate::hash::{digest_id, sha256};
use crate::manifest::Manifest;
use crate::policy::{Policy, PolicyHash};
use crate::verify::Unverified;
use crate::{DecodeError, Digest};

digest_id!(
    /// `capsule_hash`: SHA3-256 of a package body, which identifies the package.
    ///
    /// Publisher signatures and dependency lists bind it; author signatures do not.
    PackageId
);

digest_id!(
    /// `core_hash`: what author signatures and proofs of a package bind.
    CoreHash
);

/// First four bytes of a package.
pub const MAGIC: [u8; 4] = *b"NONO";

/// Version of the layout.
pub const VERSION: u8 = 1;

/// A package whose structure holds: every length, digest, order and cross check.
///
/// Whether its signatures verify and whom they are from is told by [`crate::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    body: Vec<u8>,
    layout: Layout,
    capsule_hash: PackageId,
    core_hash: CoreHash,
    manifest: Manifest,
    policy: Policy,
    dependencies: Vec<PackageId>,
    signatures: Vec<Signature>,
}

impl Package {
    /// Decodes a package file and checks everything but its signatures.
    ///
    /// Hashes the whole file; a file of 1 GiB takes seconds.
    ///
    /// # Errors
    /// The first departure in the decode order of `spec/package.md`.
    pub fn decode(bytes: &[u8]) -> Result<Unverified<Self>, DecodeError> {
        let raw = Raw::read(bytes)?;
        raw.check_capsule_hash()?;
        let signatures = raw.signatures()?;
        let dependencies = raw.dependencies()?;
        let manifest = raw.manifest()?;
        let policy = raw.policy()?;
        raw.check_facts(&manifest)?;
        raw.check_sections(&manifest, &policy)?;
        raw.check_proof()?;
        Ok(Unverified::new(raw.into_package(manifest, policy, dependencies, signatures)))
    }

    /// Encodes the file: body, then the trailer if there is a signature.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.body.clone();
        trailer::encode(&self.signatures, &mut bytes);
        bytes
    }

    /// Returns header and sections, without the trailer.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the SHA-256 of the body.
    #[must_use]
    pub fn body_sha256(&self) -> Digest {
        sha256(&self.body)
    }

    /// Returns where each section stands.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the id of the package.
    #[must_use]
    pub fn capsule_hash(&self) -> PackageId {
        self.capsule_hash
    }

    /// Returns what author signatures bind.
    #[must_use]
    pub fn core_hash(&self) -> CoreHash {
        self.core_hash
    }

    /// Returns the SHA-256 of the policy section.
    #[must_use]
    pub fn policy_hash(&self) -> PolicyHash {
        self.manifest.policy_hash
    }

    /// Returns the manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the runtime policy that the package asks for.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Returns the payload section: the very bytes that were hashed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.body[self.layout.payload()]
    }

    /// Returns the packages that this one needs, ascending.
    #[must_use]
    pub fn dependencies(&self) -> &[PackageId] {
        &self.dependencies
    }

    /// Returns the entries of the trailer, ascending by scope, suite and key id.
    ///
    /// No hash covers them.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}
