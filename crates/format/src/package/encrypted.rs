//! Encrypted payloads: what stands inside, and how it is tied to its package.
//!
//! The cipher comes in as a [`Decrypt`], since keys and randomness are not this crate's own.
//!
//! # Spec
//! `spec/package.md`, section "Encrypted payload".

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::Package;
use super::decode::WASM_CORE_1;
use crate::hash::{Tag, commitment, tagged};
use crate::manifest::{Encrypted, Manifest};
use crate::{DecodeError, Digest, stanza};

/// First bytes of the plaintext.
const MAGIC: &[u8; 4] = b"KPL1";

/// Bytes of the salt of the commitment.
const SALT_BYTES: usize = 32;

/// Bytes before the module: magic, salt, binding.
const HEAD_BYTES: usize = MAGIC.len() + SALT_BYTES + Digest::BYTES;

/// Opens age files for those who hold an identity.
pub trait Decrypt: fmt::Debug {
    /// Returns the plaintext if it has at most `plain_bytes_max` bytes and an identity opens it.
    ///
    /// One answer for every failure, so that nobody learns which part of it failed.
    fn decrypt(&self, file: &[u8], plain_bytes_max: usize) -> Option<Zeroizing<Vec<u8>>>;
}

impl Package {
    /// Returns the module: the payload, or what is encrypted in it.
    ///
    /// Decrypts the whole payload anew at each call.
    ///
    /// # Errors
    /// For an encrypted payload E212 where no identity opens it, E002 and E041 for another form,
    /// E017 for another size, E052 for a module of another package, E016 for another module than
    /// the author committed to.
    pub fn module(&self, decrypt: Option<&dyn Decrypt>) -> Result<Cow<'_, [u8]>, DecodeError> {
        match &self.manifest.exec.encrypted {
            None => Ok(Cow::Borrowed(self.payload())),
            Some(encrypted) => {
                open(&self.manifest, encrypted, self.payload(), decrypt).map(Cow::Owned)
            }
        }
    }
}

/// Decrypts a payload and checks everything that ties it to its package.
pub(crate) fn open(
    manifest: &Manifest,
    encrypted: &Encrypted,
    payload: &[u8],
    decrypt: Option<&dyn Decrypt>,
) -> Result<Vec<u8>, DecodeError> {
    let locked = || DecodeError::new(ErrorCode::KeyNotHeld, "no identity opens the payload");
    let size = usize::try_from(encrypted.plain_size).map_err(|_| locked())?;
    // One byte more than stated tells a longer plaintext from the stated one.
    let limit = HEAD_BYTES + size + 1;
    let plaintext = decrypt.and_then(|keys| keys.decrypt(payload, limit)).ok_or_else(locked)?;
    let refuse = |code, detail: &str| Err(DecodeError::new(code, format!("plaintext: {detail}")));
    let Some((head, module)) = plaintext.split_at_checked(HEAD_BYTES) else {
        return refuse(ErrorCode::Truncated, "it ends before the module");
    };
    let (magic, head) = head.split_at(MAGIC.len());
    if guard!("format.encrypted.magic", magic != MAGIC) {
        return refuse(ErrorCode::PayloadKindMismatch, "it does not start with KPL1");
    }
    if guard!("format.encrypted.size", module.len() != size) {
        return refuse(ErrorCode::FactsConflict, "the module has another size than plain_size");
    }
    let (salt, stated) = head.split_at(SALT_BYTES);
    if guard!("format.encrypted.binding", stated != binding(manifest)?.as_bytes()) {
        let detail = "it was made for another name, version, author or policy";
        return refuse(ErrorCode::BindingMismatch, detail);
    }
    let found = commitment(Tag::ModModule, salt, module);
    if guard!("format.encrypted.commitment", found != encrypted.commitment) {
        let detail = "the module is not the one that the commitment names";
        return refuse(ErrorCode::CommitmentMismatch, detail);
    }
    if guard!("format.encrypted.module", !module.starts_with(&WASM_CORE_1)) {
        return refuse(ErrorCode::PayloadKindMismatch, "the module is not wasm-core/1");
    }
    Ok(module.to_vec())
}

/// Checks the payload of a manifest that says it is encrypted, without any key.
pub(super) fn check(
    manifest: &Manifest,
    encrypted: &Encrypted,
    payload: &[u8],
) -> Result<(), DecodeError> {
    if guard!("format.encrypted.age_line", !payload.starts_with(stanza::AGE_LINE)) {
        let detail = "exec.encrypted is present, and the payload is no binary age file";
        return Err(DecodeError::new(ErrorCode::PayloadKindMismatch, detail));
    }
    let types = stanza::read(payload).map_err(|error| error.within("payload"))?;
    let same = types.iter().map(|kind| kind.name()).eq(encrypted.stanzas.iter());
    if guard!("format.encrypted.stanzas", !same) {
        let detail = "the stanzas of the payload are not those that exec.encrypted lists";
        return Err(DecodeError::new(ErrorCode::StanzaMismatch, detail));
    }
    binding(manifest).map(drop)
}

/// Returns what ties a ciphertext to the package it was made for.
///
/// # Errors
/// E052 for a package without an author, who alone could be named.
pub(crate) fn binding(manifest: &Manifest) -> Result<Digest, DecodeError> {
    let Some(author) = manifest.identity()? else {
        let detail = "an encrypted payload needs author_keys that it is bound to";
        return Err(DecodeError::new(ErrorCode::BindingMismatch, detail));
    };
    let (name, version) = (manifest.name.as_bytes(), manifest.version.as_str().as_bytes());
    let policy = manifest.policy_hash;
    Ok(tagged(Tag::ModBinding, &[name, version, author.id().as_bytes(), policy.as_bytes()]))
}

/// Builds the plaintext of a module and the commitment to it.
#[cfg(feature = "encrypt")]
pub(super) fn plaintext(
    manifest: &Manifest,
    salt: &[u8; SALT_BYTES],
    module: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, Digest), DecodeError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD_BYTES + module.len()));
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(salt);
    bytes.extend_from_slice(binding(manifest)?.as_bytes());
    bytes.extend_from_slice(module);
    Ok((bytes, commitment(Tag::ModModule, salt, module)))
}
