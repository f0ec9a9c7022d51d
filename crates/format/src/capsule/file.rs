//! The capsule file: the metadata, their envelopes, and what is bound or attached to them.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::meta::Meta;
use super::payload::{self, OPEN_REFUSED, Opened};
use super::{CapsuleId, LOGIC, PAYLOAD};
use crate::container::{Container, EntryRef, Kind, SIGNATURES};
use crate::envelope::{SignatureName, Signatures};
use crate::hash::sha256;
use crate::key::PublicKey;
use crate::package::Decrypt;
use crate::{DecodeError, limits, stanza};

/// A capsule whose form was checked; nobody has vouched for it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capsule<'a> {
    id: CapsuleId,
    meta: Meta,
    container: Container<'a>,
}

impl<'a> Capsule<'a> {
    /// Takes a capsule apart; entries stay where they are.
    ///
    /// Takes some microseconds besides the time to look at every byte of padding.
    ///
    /// # Errors
    /// As [`Container::decode`] and [`Meta::decode`]; E001 for another kind of container; E004 for
    /// a file above 64 MiB; E025 for an entry that is neither bound nor attached, E038 for the
    /// name of an envelope.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if guard!("format.capsule.file_bytes", bytes.len() as u64 > limits::CAPSULE_BYTES_MAX) {
            let (found, max) = (bytes.len(), limits::CAPSULE_BYTES_MAX);
            let detail = format!("capsule of {found} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let container = Container::decode(bytes)?;
        if guard!("format.capsule.container_kind", container.kind() != Kind::Capsule) {
            let detail = format!("found {}, allowed {}", container.kind(), Kind::Capsule);
            return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
        }
        let meta = Meta::decode(container.index())?;
        let id = CapsuleId::new(sha256(container.index()));
        let capsule = Self { id, meta, container };
        for entry in capsule.container.entries().iter().skip(1) {
            capsule.check_name(entry.name)?;
        }
        Ok(capsule)
    }

    fn check_name(&self, name: &str) -> Result<(), DecodeError> {
        if self.meta.entries.iter().any(|entry| entry.name == name) {
            return Ok(());
        }
        if name.starts_with(SIGNATURES) {
            let parsed = SignatureName::parse(name, SIGNATURES);
            if guard!("format.capsule.signature_name", parsed.is_none()) {
                let detail = format!("{name:?} is not {SIGNATURES}<suite>-<keyid>.dsse.json");
                return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
            }
            return Ok(());
        }
        if guard!("format.capsule.unlisted", !is_log_proof(name)) {
            let detail = format!("entry {name:?} is neither bound nor attached");
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        Ok(())
    }

    /// Returns the id, which no attached entry changes.
    #[must_use]
    pub const fn id(&self) -> CapsuleId {
        self.id
    }

    /// Returns the metadata.
    #[must_use]
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the container.
    #[must_use]
    pub const fn container(&self) -> &Container<'a> {
        &self.container
    }

    /// Returns the encrypted payload, unless only the header was passed on.
    #[must_use]
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.container.get(PAYLOAD)
    }

    /// Returns the embedded package, which is as trusted as any other file.
    #[must_use]
    pub fn logic(&self) -> Option<&'a [u8]> {
        self.container.get(LOGIC)
    }

    /// Checks every bound entry that is there.
    ///
    /// # Errors
    /// E013 for an entry that is not the bound one.
    pub fn check_bound(&self) -> Result<(), DecodeError> {
        let present = |entry: &'_ EntryRef| self.container.get(&entry.name);
        self.meta.entries.iter().try_for_each(|entry| match present(entry) {
            Some(bytes) => entry.check(bytes),
            None => Ok(()),
        })
    }

    /// Returns the names of bound entries that are not there.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        let names = self.meta.entries.iter().map(|entry| entry.name.as_str());
        names.filter(|name| self.container.get(name).is_none())
    }

    /// Returns the names of attached entries that no check of this version reads.
    pub fn unread(&self) -> impl Iterator<Item = &'a str> + '_ {
        let names = self.container.entries().iter().skip(1).map(|entry| entry.name);
        names.filter(|name| is_log_proof(name))
    }

    /// Checks the links of the metadata, and the header of the payload if it is there.
    ///
    /// # Errors
    /// As [`Meta::check_links`]; E054 for a header that is malformed, or whose stanzas are not
    /// those of key 10.
    pub fn check_links(&self) -> Result<(), DecodeError> {
        self.meta.check_links()?;
        let Some(payload) = self.payload() else { return Ok(()) };
        let found = stanza::read(payload)?;
        if guard!("format.capsule.stanzas", found != self.meta.stanzas) {
            let (found, listed) = (found.len(), self.meta.stanzas.len());
            let detail = format!("payload has {found} stanzas, key 10 lists {listed}, or others");
            return Err(DecodeError::new(ErrorCode::StanzaMismatch, detail));
        }
        Ok(())
    }

    /// Reads the envelopes: those of the author, of the owners in its own keyring, and of `others`
    /// that the caller knows, such as the owners of the epoch before.
    ///
    /// Takes tens to hundreds of microseconds for each signature by a known key.
    #[must_use]
    pub fn signatures<'k>(&'k self, others: impl IntoIterator<Item = &'k PublicKey>) -> Signatures {
        let owners = self.meta.keyring.iter().flat_map(|keyring| &keyring.owners);
        let others = owners.flat_map(|owner| owner.keys()).chain(others);
        let statement = self.meta.statement_of(self.id);
        Signatures::read(self.container.envelopes(), &statement, self.meta.author.keys(), others)
    }

    /// Checks what the capsule says of itself, and that its author signed it: all that can be known
    /// without a store and without keys of readers.
    ///
    /// Signatures by `others` are looked at too, such as those of the owners of a channel.
    ///
    /// # Errors
    /// As [`Capsule::check_bound`], [`Meta::check_facts`] and [`Capsule::check_links`]; what is
    /// wrong with the first envelope of a known key; E033 for a key of the author that did not
    /// sign.
    pub fn check_own<'k>(
        &'k self,
        others: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Result<Signatures, DecodeError> {
        self.check_bound()?;
        self.meta.check_facts()?;
        let signatures = self.signatures(others);
        if let Some(error) = signatures.statement.iter().chain(&signatures.signature).next()
            && guard!("format.capsule.own_signature", true)
        {
            return Err(error.clone());
        }
        signatures.check_own(&self.meta.author)?;
        self.check_links()?;
        Ok(signatures)
    }

    /// Opens the payload: decrypts it and checks that it belongs here.
    ///
    /// Every error has the same text, so that a sender who sees it learns nothing; its code is for
    /// the reader's own report.
    ///
    /// # Errors
    /// E201 without payload; E212 if no identity opens it; E052, E053, E016, E017 or E002 to E009
    /// for a plaintext that is malformed or belongs elsewhere.
    pub fn open(&self, identities: &dyn Decrypt) -> Result<Opened, DecodeError> {
        let uniform = |code| DecodeError::new(code, OPEN_REFUSED);
        let payload = self.payload().ok_or_else(|| uniform(ErrorCode::EntryAbsent))?;
        let plaintext: Zeroizing<Vec<u8>> = identities
            .decrypt(payload, limits::CAPSULE_PLAINTEXT_BYTES_MAX)
            .ok_or_else(|| uniform(ErrorCode::KeyNotHeld))?;
        payload::read(&self.meta, &plaintext).map_err(|error| uniform(error.code))
    }

    /// Returns the file without payload and logic: the same capsule, of which only the header is
    /// passed on.
    ///
    /// # Errors
    /// As [`crate::container::Writer::finish`].
    pub fn header(&self) -> Result<Vec<u8>, DecodeError> {
        let mut writer =
            crate::container::Writer::new(Kind::Capsule, self.container.index().into());
        let bound = |name: &str| self.meta.entries.iter().any(|entry| entry.name == name);
        for entry in self.container.entries().iter().skip(1).filter(|entry| !bound(entry.name)) {
            writer.push(entry.name, entry.bytes);
        }
        writer.finish()
    }

    /// Returns the file with more envelopes, for a keyring that several owners sign.
    ///
    /// An envelope of a key that is there already is kept as it is.
    ///
    /// # Errors
    /// As [`crate::container::Writer::finish`].
    pub fn with_envelopes(
        &self,
        envelopes: impl IntoIterator<Item = (SignatureName, Vec<u8>)>,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut writer =
            crate::container::Writer::new(Kind::Capsule, self.container.index().into());
        let mut names: BTreeSet<alloc::string::String> = BTreeSet::new();
        for entry in self.container.entries().iter().skip(1) {
            names.insert(entry.name.into());
            writer.push(entry.name, entry.bytes);
        }
        for (name, bytes) in envelopes {
            if names.insert(name.entry_name()) {
                writer.push(name.entry_name(), bytes);
            }
        }
        writer.finish()
    }
}

/// Tells whether a name is `log/<nn>.tlog-proof` with nn from 00 to 15.
fn is_log_proof(name: &str) -> bool {
    let number = name.strip_prefix("log/").and_then(|rest| rest.strip_suffix(".tlog-proof"));
    number.is_some_and(crate::text::is_number)
}
