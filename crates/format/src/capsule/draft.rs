//! Writing a capsule: a draft, sealed to its readers, then signed.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::ErrorCode;
use zeroize::Zeroizing;

use super::body::{Body, Epoch, content_type};
use super::keyring::Keyring;
use super::meta::{Logic, Meta};
use super::{CapsuleId, ChannelId, LOGIC, PAYLOAD, flag, payload};
use crate::container::{EntryRef, Kind, Writer};
use crate::envelope::{Envelope, SignatureName};
use crate::key::{Identity, SecretKey};
use crate::stanza::StanzaType;
use crate::transcript::Extensions;
use crate::{DecodeError, Digest};

/// What an author is about to say; public fields can be set one by one.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Kind of the capsule.
    pub kind: String,
    /// Channel; absent in a genesis.
    pub channel: Option<ChannelId>,
    /// Author.
    pub author: Identity,
    /// Number among the author's capsules in the channel.
    pub seq: u64,
    /// Capsules that this one follows, in any order; `back` is added where it lacks.
    pub prev: Vec<CapsuleId>,
    /// The author's capsule before this one.
    pub back: Option<CapsuleId>,
    /// Claimed time in milliseconds since 1970.
    pub time_ms: u64,
    /// Flags in any order.
    pub flags: Vec<String>,
    /// What to process the body with, and the package to embed if `embedded` is set.
    pub logic: Option<(Logic, Vec<u8>)>,
    /// Millisecond after which the capsule is no longer wanted.
    pub expiry_ms: Option<u64>,
    /// Epoch whose key the body is encrypted to.
    pub epoch: u64,
    /// Keyring, for the kind `keyring`.
    pub keyring: Option<Keyring>,
    /// Content type of the body.
    pub content_type: String,
    /// Bytes of the body.
    pub body: Zeroizing<Vec<u8>>,
    /// Keys 64 to 65535 of the metadata.
    pub extensions: Extensions,
}

impl Draft {
    /// Starts a capsule of a known kind that is the author's first one in the channel.
    ///
    /// # Errors
    /// As [`Body::encode`].
    pub fn new(
        channel: ChannelId,
        author: Identity,
        epoch: u64,
        time_ms: u64,
        kind: &str,
        body: &Body,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            kind: kind.to_string(),
            channel: Some(channel),
            author,
            seq: 0,
            prev: Vec::new(),
            back: None,
            time_ms,
            flags: Vec::new(),
            logic: None,
            expiry_ms: None,
            epoch,
            keyring: None,
            content_type: content_type(kind),
            body: body.encode()?,
            extensions: Vec::new(),
        })
    }

    /// Starts a channel: its first keyring, with the secret of its epoch as the body.
    ///
    /// `epoch_key` is the text of an age identity file with one identity.
    ///
    /// # Errors
    /// E509 if that text holds no identity.
    pub fn genesis(
        author: Identity,
        time_ms: u64,
        keyring: Keyring,
        epoch_key: &str,
    ) -> Result<Self, DecodeError> {
        // The id of the channel is the one of the capsule, which no draft has yet.
        let none = ChannelId::of_genesis(CapsuleId::new(Digest::new([0; 32])));
        let draft = Self::keyring(none, author, time_ms, keyring, epoch_key)?;
        Ok(Self { channel: None, ..draft })
    }

    /// Starts a keyring of a later epoch; `seq`, `back` and `prev` are the author's business,
    /// except that the keyring before is added to `prev`.
    ///
    /// # Errors
    /// As [`Draft::genesis`].
    pub fn keyring(
        channel: ChannelId,
        author: Identity,
        time_ms: u64,
        keyring: Keyring,
        epoch_key: &str,
    ) -> Result<Self, DecodeError> {
        let line = epoch_key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1"));
        let identity = line.ok_or_else(|| {
            DecodeError::new(ErrorCode::KeyFileForm, "the file holds no identity")
        })?;
        let identity = Zeroizing::new(identity.to_string());
        let body = Body::Keyring(Epoch { identity, extensions: Vec::new() });
        let kind = super::kind::KEYRING;
        let mut draft = Self::new(channel, author, keyring.epoch, time_ms, kind, &body)?;
        if keyring.identity.is_some() {
            draft.flags.push(flag::PUBLIC.to_string());
        }
        draft.prev.extend(keyring.previous);
        draft.keyring = Some(keyring);
        Ok(draft)
    }

    /// Returns the metadata but for their entries, and the plaintext to encrypt to readers whose
    /// stanzas have these types.
    ///
    /// `salt` hides the body from those who guess it, and is drawn at random for each capsule.
    #[must_use]
    pub fn plaintext(
        &self,
        salt: [u8; 32],
        stanzas: Vec<StanzaType>,
    ) -> (Meta, Zeroizing<Vec<u8>>) {
        let mut prev: Vec<CapsuleId> = self.prev.iter().copied().chain(self.back).collect();
        prev.sort_unstable();
        prev.dedup();
        let mut flags = self.flags.clone();
        flags.sort_unstable();
        flags.dedup();
        let meta = Meta {
            kind: self.kind.clone(),
            channel: self.channel,
            author: self.author.clone(),
            seq: self.seq,
            prev,
            back: self.back,
            time_ms: self.time_ms,
            flags,
            logic: self.logic.as_ref().map(|(logic, _)| logic.clone()),
            stanzas,
            commitment: payload::commitment(&salt, &self.content_type, &self.body),
            expiry_ms: self.expiry_ms,
            epoch: self.epoch,
            keyring: self.keyring.clone(),
            entries: Vec::new(),
            extensions: self.extensions.clone(),
        };
        let plaintext = payload::write(&meta, &salt, &self.content_type, &self.body);
        (meta, plaintext)
    }

    /// Encrypts the body to its readers.
    ///
    /// # Errors
    /// E004 for none or more than 64 readers; else as [`Sealed::new`].
    #[cfg(feature = "encrypt")]
    pub fn seal(
        &self,
        salt: [u8; 32],
        readers: &[crate::encrypt::Recipient],
    ) -> Result<Sealed, DecodeError> {
        let once: alloc::collections::BTreeSet<String> =
            readers.iter().map(ToString::to_string).collect();
        let (meta, plaintext) = self.plaintext(salt, [StanzaType::X25519].repeat(once.len()));
        let payload = crate::encrypt::encrypt(readers, &plaintext)?;
        Sealed::new(meta, payload, self.logic.as_ref())
    }
}

/// A capsule whose payload is encrypted, before it is signed.
#[derive(Clone, Debug)]
pub struct Sealed {
    meta: Meta,
    entries: Vec<(String, Vec<u8>)>,
}

impl Sealed {
    /// Binds the payload, and the package if it is embedded.
    ///
    /// # Errors
    /// As [`Meta::decode`], [`Meta::check_facts`] and [`Meta::check_links`] for metadata that no
    /// reader would take.
    pub fn new(
        mut meta: Meta,
        payload: Vec<u8>,
        logic: Option<&(Logic, Vec<u8>)>,
    ) -> Result<Self, DecodeError> {
        let mut entries = Vec::from([(PAYLOAD.to_string(), payload)]);
        let embedded = logic.filter(|(logic, _)| logic.embedded);
        entries.extend(embedded.map(|(_, package)| (LOGIC.to_string(), package.clone())));
        entries.sort();
        meta.entries = entries.iter().map(|(name, bytes)| EntryRef::of(name, bytes)).collect();
        // The reader is the one place that knows the rules.
        let meta = Meta::decode(&meta.encode())?;
        meta.check_facts()?;
        meta.check_links()?;
        Ok(Self { meta, entries })
    }

    /// Returns the metadata.
    #[must_use]
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Returns the id, which signatures do not change.
    #[must_use]
    pub fn id(&self) -> CapsuleId {
        self.meta.id()
    }

    /// Signs with these keys and returns the file.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn sign<'s>(
        self,
        secrets: impl IntoIterator<Item = &'s SecretKey>,
    ) -> Result<Vec<u8>, DecodeError> {
        let statement = self.meta.signed_statement();
        let mut writer = Writer::new(Kind::Capsule, self.meta.encode());
        for secret in secrets {
            let name = SignatureName::of(secret.public()).entry_name();
            writer.push(name, Envelope::sign(&statement, secret).encode());
        }
        for (name, bytes) in self.entries {
            writer.push(name, bytes);
        }
        writer.finish()
    }
}
