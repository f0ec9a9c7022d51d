//! The decode order of a package, one step at a time.
//!
//! Each step needs only what the steps before it gave, so that a verifier can go on after a
//! departure with every check that still has its input.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use kapsule_abi::{ErrorCode, guard};
use sha3::{Digest as _, Sha3_256};

use super::layout::{CAPSULE_HASH, DEPENDENCY_BYTES, HEADER_BYTES, Layout, PROOF_LEN};
use super::{CoreHash, Package, PackageId, Signature, encrypted, trailer};
use crate::hash::{Tag, sha256, tagged3};
use crate::manifest::{Kind, Manifest, Net, Resources};
use crate::policy::Policy;
use crate::text::is_ascending;
use crate::{DecodeError, Digest, tree};

/// First bytes of a WebAssembly core binary, version 1.
pub(super) const WASM_CORE_1: [u8; 8] = *b"\0asm\x01\0\0\0";

/// A file whose section lengths hold, with the two hashes of its body.
pub(crate) struct Raw<'a> {
    file: &'a [u8],
    layout: Layout,
    capsule_hash: PackageId,
    core_hash: CoreHash,
    payload_sha256: OnceCell<Digest>,
    body_sha256: OnceCell<Digest>,
}

impl<'a> Raw<'a> {
    /// Checks every length against the file (step 1) and hashes the body (step 2).
    pub(crate) fn read(file: &'a [u8]) -> Result<Self, DecodeError> {
        let layout = Layout::decode(file)?;
        let (body, rest) = file.split_at(layout.end());
        trailer::check_start(rest, body.len())?;
        let capsule_hash = PackageId::new(capsule_hash(body));
        let core_hash = CoreHash::new(core_hash(body, &layout));
        let (payload_sha256, body_sha256) = (OnceCell::new(), OnceCell::new());
        Ok(Self { file, layout, capsule_hash, core_hash, payload_sha256, body_sha256 })
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn capsule_hash(&self) -> PackageId {
        self.capsule_hash
    }

    pub(crate) fn core_hash(&self) -> CoreHash {
        self.core_hash
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        &self.file[..self.layout.end()]
    }

    pub(crate) fn manifest_bytes(&self) -> &'a [u8] {
        &self.file[self.layout.manifest()]
    }

    pub(crate) fn payload(&self) -> &'a [u8] {
        &self.file[self.layout.payload()]
    }

    /// Returns the SHA-256 of the payload, which is hashed once.
    pub(crate) fn payload_sha256(&self) -> Digest {
        *self.payload_sha256.get_or_init(|| sha256(self.payload()))
    }

    /// Returns the SHA-256 of the body, which is hashed once.
    pub(crate) fn body_sha256(&self) -> Digest {
        *self.body_sha256.get_or_init(|| sha256(self.body()))
    }

    pub(crate) fn depmap(&self) -> &'a [u8] {
        &self.file[self.layout.depmap()]
    }

    pub(crate) fn policy_bytes(&self) -> &'a [u8] {
        &self.file[self.layout.policy()]
    }

    /// Compares the header's `capsule_hash` with the body (step 2).
    pub(crate) fn check_capsule_hash(&self) -> Result<(), DecodeError> {
        let stated = &self.file[CAPSULE_HASH];
        if guard!("format.package.capsule_hash", stated != self.capsule_hash.as_bytes()) {
            return Err(DecodeError::at(
                ErrorCode::CapsuleHashMismatch,
                CAPSULE_HASH.start,
                format!("the body has capsule_hash {}, the header says another", self.capsule_hash),
            ));
        }
        Ok(())
    }

    /// Decodes the trailer (step 3).
    pub(crate) fn signatures(&self) -> Result<Vec<Signature>, DecodeError> {
        let base = self.layout.end();
        trailer::decode(&self.file[base..], base)
    }

    /// Decodes the dependency list (step 3).
    pub(crate) fn dependencies(&self) -> Result<Vec<PackageId>, DecodeError> {
        let (ids, _) = self.depmap().as_chunks::<{ DEPENDENCY_BYTES as usize }>();
        let ids: Vec<PackageId> = ids.iter().map(|id| PackageId::new(Digest::new(*id))).collect();
        if guard!("format.package.depmap_order", !is_ascending(&ids)) {
            return Err(DecodeError::at(
                ErrorCode::DepmapOrder,
                self.layout.depmap().start,
                "dependencies are not in strictly ascending order",
            ));
        }
        Ok(ids)
    }

    /// Decodes the manifest (step 4).
    pub(crate) fn manifest(&self) -> Result<Manifest, DecodeError> {
        let base = self.layout.manifest().start as u64;
        Manifest::decode(self.manifest_bytes()).map_err(|error| error.shifted(base))
    }

    /// Decodes the runtime policy (step 4).
    pub(crate) fn policy(&self) -> Result<Policy, DecodeError> {
        let base = self.layout.policy().start as u64;
        Policy::decode(self.policy_bytes()).map_err(|error| error.shifted(base))
    }

    /// Compares what the manifest states with the other sections (step 4).
    pub(crate) fn check_facts(&self, manifest: &Manifest) -> Result<(), DecodeError> {
        let differs = |code, what: &str| {
            Err(DecodeError::new(code, format!("{what} differs from what the manifest states")))
        };
        let payload = self.payload();
        let exec = &manifest.exec;
        if guard!("format.package.payload_digest", exec.hash != self.payload_sha256()) {
            return differs(ErrorCode::SectionHashMismatch, "the SHA-256 of the payload");
        }
        let policy_hash = sha256(self.policy_bytes());
        if guard!("format.package.policy_hash", *manifest.policy_hash.digest() != policy_hash) {
            return differs(ErrorCode::PolicyHashMismatch, "the SHA-256 of the policy section");
        }
        if guard!("format.package.chunk_root", exec.chunk_root != tree::chunk_root(payload)) {
            return differs(ErrorCode::ChunkRootMismatch, "the chunk root of the payload");
        }
        if guard!("format.package.payload_size", exec.size != payload.len() as u64) {
            return differs(ErrorCode::FactsConflict, "the length of the payload");
        }
        Ok(())
    }

    /// Checks the payload kind and the rules between manifest and policy (step 6).
    pub(crate) fn check_sections(
        &self,
        manifest: &Manifest,
        policy: &Policy,
    ) -> Result<(), DecodeError> {
        let native = matches!(manifest.exec.kind, Kind::Native(_));
        if guard!("format.package.native", native) {
            return Err(DecodeError::new(
                ErrorCode::NativePayloadRefused,
                format!("exec.kind is {}, run is only wasm-core/1", manifest.exec.kind),
            ));
        }
        let wasm = self.payload().starts_with(&WASM_CORE_1);
        if let Some(encrypted) = &manifest.exec.encrypted {
            encrypted::check(manifest, encrypted, self.payload())?;
        } else if guard!("format.package.payload_kind", !native && !wasm) {
            return Err(DecodeError::at(
                ErrorCode::PayloadKindMismatch,
                self.layout.payload().start,
                "the payload does not start with 00 61 73 6d 01 00 00 00 as wasm-core/1 does",
            ));
        }
        if let Some(resources) = &manifest.resources {
            check_resources(resources, policy)?;
        }
        manifest.fees.as_ref().map_or(Ok(()), crate::manifest::Fees::check_shares)
    }

    /// Refuses a proof section, which this version cannot read (step 7).
    pub(crate) fn check_proof(&self) -> Result<(), DecodeError> {
        let range = self.layout.proof();
        if guard!("format.package.proof_section", !range.is_empty()) {
            return Err(DecodeError::at(
                ErrorCode::ProofSystemUnsupported,
                range.start,
                format!("the proof section has {} bytes, this version reads none", range.len()),
            ));
        }
        Ok(())
    }

    /// Takes the package out of a file that passed every check, without hashing it again.
    pub(crate) fn open(self) -> Result<Package, DecodeError> {
        let (signatures, dependencies) = (self.signatures()?, self.dependencies()?);
        let (manifest, policy) = (self.manifest()?, self.policy()?);
        Ok(self.into_package(manifest, policy, dependencies, signatures))
    }

    pub(super) fn into_package(
        self,
        manifest: Manifest,
        policy: Policy,
        dependencies: Vec<PackageId>,
        signatures: Vec<Signature>,
    ) -> Package {
        Package {
            body: self.body().to_vec(),
            layout: self.layout,
            capsule_hash: self.capsule_hash,
            core_hash: self.core_hash,
            manifest,
            policy,
            dependencies,
            signatures,
        }
    }
}

fn check_resources(resources: &Resources, policy: &Policy) -> Result<(), DecodeError> {
    let wrong = |detail: String| DecodeError::new(ErrorCode::ResourcesExceedPolicy, detail);
    let asked = resources.memory_bytes.unwrap_or(0);
    let given = policy.limits.memory_bytes;
    if guard!("format.package.resources_memory", asked > given) {
        return Err(wrong(format!("resources.memory_bytes is {asked}, the policy gives {given}")));
    }
    let net = resources.net.unwrap_or(Net::None);
    let (mesh, clearnet) = match net {
        Net::None => (false, false),
        Net::MeshOnly => (true, false),
        Net::Clearnet => (false, true),
        Net::Any => (true, true),
    };
    let network = policy.network;
    let denied = (mesh && !network.allow_mesh) || (clearnet && !network.allow_clearnet);
    if guard!("format.package.resources_net", denied) {
        return Err(wrong(format!("resources.net is {net}, which the policy does not allow")));
    }
    Ok(())
}

/// Returns SHA3-256 of the body with `capsule_hash` set to zero.
pub(super) fn capsule_hash(body: &[u8]) -> Digest {
    // In three parts, since a body of 1 GiB is not to be copied.
    let mut hasher = Sha3_256::new();
    hasher.update(&body[..CAPSULE_HASH.start]);
    hasher.update([0; Digest::BYTES]);
    hasher.update(&body[CAPSULE_HASH.end..]);
    Digest::new(hasher.finalize().into())
}

/// Returns `core_hash`, which leaves out the proof section, its length and `capsule_hash`.
fn core_hash(body: &[u8], layout: &Layout) -> Digest {
    let mut header = [0; HEADER_BYTES];
    header.copy_from_slice(&body[..HEADER_BYTES]);
    header[PROOF_LEN].fill(0);
    header[CAPSULE_HASH].fill(0);
    tagged3(
        Tag::ModCore,
        &[
            &header,
            &body[layout.manifest()],
            &body[layout.payload()],
            &body[layout.depmap()],
            &body[layout.policy()],
        ],
    )
}
