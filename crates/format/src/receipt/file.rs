//! The receipt file: the claim, its envelopes, and what is bound or attached to it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::claim::Claim;
use crate::container::{self, BLOBS, Container, Entry, EntryRef, Kind, SIGNATURES};
use crate::envelope::SignatureName;
use crate::hash::sha256;
use crate::{DecodeError, text};

/// Bound entry with the package that ran.
pub const PACKAGE: &str = "package.mod";

/// Bound entry with the receipt policy.
pub const RECEIPT_POLICY: &str = "policy.json";

/// Attached entry with the proof that a registry includes the receipt policy.
pub const POLICY_PROOF: &str = "policy-proof.cbor";

/// Prefix of the attached envelopes over the manifests.
pub const MANIFEST_SIGNATURES: &str = "msig/";

/// Prefix of the attached proofs that a log tells of the receipt.
pub const LOG_PROOFS: &str = "log/";

/// Attached entry with the audit bundle.
pub const BUNDLE: &str = "audit.bundle";

/// An attached entry that was set aside, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ignored {
    /// Name of the entry.
    pub name: String,
    /// What is wrong with it, or E213 where this version does not look.
    pub code: ErrorCode,
}

/// A receipt whose form was checked; no signature was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    claim: Claim,
    container: Container<'a>,
}

impl<'a> Receipt<'a> {
    /// Decodes a receipt file: container, claim, and the names of all entries.
    ///
    /// # Errors
    /// As [`Container::decode`] and [`Claim::decode`]; E001 for another kind of container; E025
    /// for an entry that is neither bound nor attached, E038 for the name of an envelope.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let container = Container::decode(bytes)?;
        if guard!("format.receipt.container_kind", container.kind() != Kind::Receipt) {
            let detail = format!("found {}, allowed {}", container.kind(), Kind::Receipt);
            return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
        }
        let claim = Claim::decode(container.index())?;
        let receipt = Self { claim, container };
        for entry in receipt.container.entries().iter().skip(1) {
            receipt.check_name(entry.name)?;
        }
        Ok(receipt)
    }

    fn check_name(&self, name: &str) -> Result<(), DecodeError> {
        if self.claim.entries.iter().any(|entry| entry.name == name) {
            return Ok(());
        }
        let folder =
            [SIGNATURES, MANIFEST_SIGNATURES].into_iter().find(|folder| name.starts_with(folder));
        if let Some(folder) = folder {
            if guard!("format.receipt.signature_name", SignatureName::parse(name, folder).is_none())
            {
                let detail = format!("{name:?} is not {folder}<suite>-<keyid>.dsse.json");
                return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
            }
            return Ok(());
        }
        if guard!("format.receipt.unlisted", !is_attached(name)) {
            let detail = format!("entry {name:?} is neither bound nor attached");
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        Ok(())
    }

    /// Returns the claim, which nobody has vouched for yet.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Returns the container.
    #[must_use]
    pub const fn container(&self) -> &Container<'a> {
        &self.container
    }

    /// Returns the envelopes over the manifests, in order of the names.
    pub fn manifest_envelopes(&self) -> impl Iterator<Item = (SignatureName, &'a [u8])> + '_ {
        self.container.below(MANIFEST_SIGNATURES).filter_map(|entry| {
            let name = SignatureName::parse(entry.name, MANIFEST_SIGNATURES)?;
            Some((name, entry.bytes))
        })
    }

    /// Returns the attached entries below a folder, as name and bytes.
    pub fn attached(&self, folder: &'static str) -> impl Iterator<Item = (&'a str, &'a [u8])> + '_ {
        self.container.below(folder).map(|entry| (entry.name, entry.bytes))
    }

    /// Returns the least number that no attached entry of a folder has, of 0 to 15.
    #[must_use]
    pub fn free_number(&self, folder: &'static str) -> Option<u8> {
        let starts = |number: u8| format!("{folder}{number:02}.");
        (0..16).find(|number| {
            let start = starts(*number);
            !self.attached(folder).any(|(name, _)| name.starts_with(&start))
        })
    }

    /// Returns the bytes of a bound entry, if the claim binds it and the file holds it.
    #[must_use]
    pub fn bound(&self, name: &str) -> Option<&'a [u8]> {
        let bound = self.claim.entries.iter().any(|entry| entry.name == name);
        self.container.get(name).filter(|_| bound)
    }

    /// Checks every bound entry that is there.
    ///
    /// # Errors
    /// E013 for an entry that is not the bound one.
    pub fn check_bound(&self) -> Result<(), DecodeError> {
        let present = |entry: &EntryRef| Some((entry.clone(), self.container.get(&entry.name)?));
        let mut bound = self.claim.entries.iter().filter_map(present);
        bound.try_for_each(|(entry, bytes)| entry.check(bytes))
    }

    /// Returns the names of bound entries that are not there.
    #[must_use]
    pub fn absent(&self) -> Vec<&str> {
        let names = self.claim.entries.iter().map(|entry| entry.name.as_str());
        names.filter(|name| self.container.get(name).is_none()).collect()
    }

    /// Returns the bytes of the package that ran, if the receipt binds and holds it.
    #[must_use]
    pub fn package(&self) -> Option<&'a [u8]> {
        self.bound(PACKAGE)
    }

    /// Returns the attached audit bundle, which the claim names by its digest.
    #[must_use]
    pub fn bundle(&self) -> Option<&'a [u8]> {
        self.container.get(BUNDLE)
    }

    /// Returns the attached files whose names are their digests.
    #[must_use]
    pub fn blobs(&self) -> Blobs<'a> {
        Blobs::of(&self.container)
    }

    /// Returns the attached entries that this version does not look into.
    pub fn unread(&self) -> impl Iterator<Item = &'a str> + '_ {
        let bound = |name: &str| self.claim.entries.iter().any(|entry| entry.name == name);
        let names = self.container.entries().iter().skip(1).map(|entry| entry.name);
        names.filter(move |name| {
            let below = [
                SIGNATURES,
                MANIFEST_SIGNATURES,
                BLOBS,
                LOG_PROOFS,
                super::PROOFS,
                super::da::ATTESTATIONS,
            ];
            let read = below.iter().any(|folder| name.starts_with(folder))
                || matches!(*name, BUNDLE | POLICY_PROOF);
            !bound(name) && !read
        })
    }
}

/// Attached files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blobs<'a> {
    held: Vec<&'a [u8]>,
    /// Names of entries whose content has another digest than the name says.
    pub other: Vec<&'a str>,
}

impl<'a> Blobs<'a> {
    pub(super) fn of(container: &Container<'a>) -> Self {
        let named = |entry: Entry<'a>| {
            let name = entry.name.strip_prefix(BLOBS)?;
            let holds = sha256(entry.bytes).to_string() == name;
            Some((entry, !guard!("format.receipt.blob_digest", !holds)))
        };
        let (held, other): (Vec<_>, Vec<_>) =
            container.below(BLOBS).filter_map(named).partition(|(_, holds)| *holds);
        Self {
            held: held.into_iter().map(|(entry, _)| entry.bytes).collect(),
            other: other.into_iter().map(|(entry, _)| entry.name).collect(),
        }
    }

    /// Returns the files.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.held.iter().copied()
    }

    /// Finds the file of this length that a commitment is to.
    pub fn find(&self, size: u64, is_it: impl Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
        self.held.iter().copied().find(|bytes| bytes.len() as u64 == size && is_it(bytes))
    }
}

/// Tells whether a name is one of the attached entries besides envelopes.
fn is_attached(name: &str) -> bool {
    let numbered = |folder: &str, ends: fn(&str) -> bool| {
        let rest = name.strip_prefix(folder).and_then(|rest| rest.split_once('.'));
        rest.is_some_and(|(number, end)| text::is_number(number) && ends(end))
    };
    let is_blob = |digest: &str| text::is_hex(digest, 64, 64);
    matches!(name, BUNDLE | POLICY_PROOF | "disclosed.cbor")
        || name.strip_prefix(container::BLOBS).is_some_and(is_blob)
        || numbered(super::PROOFS, |end| end == "cbor")
        || numbered(LOG_PROOFS, |end| end == "tlog-proof")
        || numbered(super::da::ATTESTATIONS, |end| SignatureName::parse(end, "").is_some())
}
