//! The keyring of an epoch: its keys, and who may write and who decides on the next one.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::CapsuleId;
use super::meta::{identities, schema};
use crate::DecodeError;
use crate::cbor::{Fields, FromValue, Value, ascending, bounded};
use crate::envelope::Signatures;
use crate::key::{Identity, IdentityId};
use crate::limits::{KEYRING_IDS_MAX, KEYRING_OWNERS_MAX};
use crate::transcript::Extensions;

/// Keys and rights of one epoch of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyring {
    /// Epoch, counted from 0.
    pub epoch: u64,
    /// Age recipient that writers of the epoch encrypt to.
    pub recipient: String,
    /// Millisecond from which writers use the epoch.
    pub not_before_ms: u64,
    /// Keyring of the epoch before.
    pub previous: Option<CapsuleId>,
    /// Who may sign the next keyring, ascending by identity id.
    pub owners: Vec<Identity>,
    /// Who may write besides the owners, ascending; nobody listed means anybody.
    pub writers: Vec<IdentityId>,
    /// Age identity of the epoch, in a public channel.
    pub identity: Option<String>,
    /// Who may no longer write, ascending.
    pub revoked: Vec<IdentityId>,
    /// Number of owners that sign the next keyring.
    pub threshold: u64,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

impl Keyring {
    /// Returns the keyring of epoch 0 of a channel with one owner, in which anybody may write.
    #[must_use]
    pub fn first(recipient: String, owner: Identity) -> Self {
        Self {
            epoch: 0,
            recipient,
            not_before_ms: 0,
            previous: None,
            owners: vec![owner],
            writers: Vec::new(),
            identity: None,
            revoked: Vec::new(),
            threshold: 1,
            extensions: Vec::new(),
        }
    }

    /// Checks that an author may write in this epoch.
    ///
    /// # Errors
    /// E136 if it is neither owner nor writer where writers are listed, if it is revoked, or if it
    /// is an owner's identity without one of its keys.
    pub fn check_author(&self, author: &Identity) -> Result<(), DecodeError> {
        let id = author.id();
        let refuse = |why: &str| {
            let epoch = self.epoch;
            let detail = format!("author {id} {why} in the keyring of epoch {epoch}");
            Err(DecodeError::new(ErrorCode::AuthorNotAllowed, detail))
        };
        if guard!("format.capsule.revoked", self.revoked.contains(&id)) {
            return refuse("is revoked");
        }
        let shrunk = self.owners.iter().any(|owner| owner.is_shrunk_to(author));
        if guard!("format.capsule.shrunk_owner", shrunk) {
            return refuse("lacks a key of an owner");
        }
        let listed = self.writers.contains(&id) || self.owners.iter().any(|owner| owner.id() == id);
        if guard!("format.capsule.writer", !listed && !self.writers.is_empty()) {
            return refuse("is neither owner nor writer");
        }
        Ok(())
    }

    /// Checks that enough owners signed the next keyring.
    ///
    /// # Errors
    /// E137 if fewer did than the threshold asks for.
    pub fn check_successor(&self, signatures: &Signatures) -> Result<(), DecodeError> {
        let signed = self.owners.iter().filter(|owner| signatures.is_by(owner)).count() as u64;
        if guard!("format.capsule.keyring_quorum", signed < self.threshold) {
            let (epoch, threshold) = (self.epoch, self.threshold);
            let detail = format!("{signed} owners of epoch {epoch} signed, asked for {threshold}");
            return Err(DecodeError::new(ErrorCode::KeyringAuthority, detail));
        }
        Ok(())
    }

    /// Checks that every owner signed, as the start of a channel asks.
    ///
    /// # Errors
    /// E137 for an owner of whom a key did not sign.
    pub fn check_genesis(&self, signatures: &Signatures) -> Result<(), DecodeError> {
        let absent = self.owners.iter().find(|owner| !signatures.is_by(owner));
        match absent {
            Some(owner) if guard!("format.capsule.genesis_owners", true) => {
                let detail = format!("owner {} did not sign the start of the channel", owner.id());
                Err(DecodeError::new(ErrorCode::KeyringAuthority, detail))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the recipient is one, and that a published identity belongs to it.
    pub(super) fn check_recipient(&self) -> Result<(), DecodeError> {
        #[cfg(feature = "encrypt")]
        {
            let recipient: crate::encrypt::Recipient = self.recipient.parse()?;
            let other = |identity: &String| !recipient.is_of(identity);
            if guard!("format.capsule.published", self.identity.as_ref().is_some_and(other)) {
                let detail = "the published identity is not the one of the recipient";
                return Err(super::meta::conflict(detail));
            }
        }
        Ok(())
    }

    fn check_form(&self) -> Result<(), DecodeError> {
        ascending("owners", self.owners.iter().map(Identity::id))?;
        ascending("writers", &self.writers)?;
        ascending("revoked", &self.revoked)?;
        if guard!("format.capsule.keyring_previous", self.previous.is_some() != (self.epoch > 0)) {
            return Err(schema("key 3 of keyring is there exactly where the epoch is above 0"));
        }
        let owners = self.owners.len() as u64;
        if guard!("format.capsule.threshold", self.threshold > owners) {
            let threshold = self.threshold;
            return Err(schema(format!("{threshold} of {owners} owners are to sign")));
        }
        Ok(())
    }

    pub(super) fn to_cbor(&self) -> Value {
        let ids = |list: &[IdentityId]| Value::array(list.iter().map(|id| *id.digest()));
        let mut members: Vec<(u64, Value)> = vec![
            (0, self.epoch.into()),
            (1, self.recipient.as_str().into()),
            (2, self.not_before_ms.into()),
        ];
        members.extend(self.previous.map(|id| (3, (*id.digest()).into())));
        members.push((4, Value::array(self.owners.iter().map(Identity::to_cbor))));
        members.push((5, ids(&self.writers)));
        members.extend(self.identity.as_ref().map(|identity| (6, identity.as_str().into())));
        members.push((7, ids(&self.revoked)));
        members.push((8, self.threshold.into()));
        members.extend(self.extensions.iter().cloned());
        Value::Map(members)
    }
}

impl FromValue for Keyring {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "keyring")?;
        let keyring = Self {
            epoch: fields.required(0)?,
            recipient: fields.required(1)?,
            not_before_ms: fields.required(2)?,
            previous: fields.optional(3)?.map(CapsuleId::new),
            owners: bounded(&mut fields, 4, 1..=KEYRING_OWNERS_MAX)?,
            writers: identities(bounded(&mut fields, 5, 0..=KEYRING_IDS_MAX)?),
            identity: fields.optional(6)?,
            revoked: identities(bounded(&mut fields, 7, 0..=KEYRING_IDS_MAX)?),
            threshold: fields.uint(8, 1..=KEYRING_OWNERS_MAX)?,
            extensions: fields.finish_ext()?,
        };
        keyring.check_form()?;
        Ok(keyring)
    }
}
