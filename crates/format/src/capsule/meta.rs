//! The metadata: the index of a capsule, whose bytes have its id, and all that is public of it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::keyring::Keyring;
use super::{CapsuleId, ChannelId, LOGIC, PAYLOAD, flag, kind};
use crate::cbor::{self, Fields, FromValue, Items, Value, ascending, bounded};
use crate::container::{self, EntryRef, Kind};
use crate::envelope::{Statement, Subject};
use crate::hash::{Tag, sha256, tagged};
use crate::key::{Identity, IdentityId};
use crate::package::PackageId;
use crate::policy::PolicyHash;
use crate::stanza::StanzaType;
use crate::text::{is_entry_name, is_ident, is_made_of};
use crate::transcript::Extensions;
use crate::{DecodeError, Digest, json, limits};

/// Type of the predicate that the author of a capsule signs.
pub const PREDICATE: &str = "urn:kapsule:capsule:v1";

/// Key of the list of bound entries, which the binding leaves out.
const ENTRIES: u64 = 15;

/// The package that a capsule asks its readers to process it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logic {
    /// Its `capsule_hash`.
    pub package: PackageId,
    /// Entry to run.
    pub entry: String,
    /// Its runtime policy hash.
    pub policy: PolicyHash,
    /// Whether the capsule holds it as `logic.mod`.
    pub embedded: bool,
}

impl Logic {
    fn to_cbor(&self) -> Value {
        Value::Array(vec![
            (*self.package.digest()).into(),
            self.entry.as_str().into(),
            (*self.policy.digest()).into(),
            self.embedded.into(),
        ])
    }
}

impl FromValue for Logic {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "logic", 4..=4)?;
        let found = Self {
            package: PackageId::new(items.required()?),
            entry: items.required()?,
            policy: PolicyHash::new(items.required()?),
            embedded: items.required()?,
        };
        items.finish()?;
        if guard!("format.capsule.logic_entry", !is_entry_name(&found.entry)) {
            return Err(schema("entry of logic is not a name of an entry"));
        }
        Ok(found)
    }
}

/// What everybody sees of a capsule; all of it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// What the body is, an ident; [`kind`] has those with a form.
    pub kind: String,
    /// Channel; absent in the keyring that starts one.
    pub channel: Option<ChannelId>,
    /// Who says it; every key signs.
    pub author: Identity,
    /// Number among the author's capsules in the channel, from 0 without gaps.
    pub seq: u64,
    /// Capsules that this one follows, ascending.
    pub prev: Vec<CapsuleId>,
    /// The author's capsule before this one.
    pub back: Option<CapsuleId>,
    /// Claimed time in milliseconds since 1970.
    pub time_ms: u64,
    /// Flags for relays, ascending.
    pub flags: Vec<String>,
    /// What to process the body with.
    pub logic: Option<Logic>,
    /// Types of the recipient stanzas of the payload, all of them equal, grease left out.
    pub stanzas: Vec<StanzaType>,
    /// Commitment to the body.
    pub commitment: Digest,
    /// Millisecond after which the capsule is no longer wanted.
    pub expiry_ms: Option<u64>,
    /// Epoch whose key the body is encrypted to.
    pub epoch: u64,
    /// Keys and rights of the epoch, in a keyring alone.
    pub keyring: Option<Keyring>,
    /// Bound entries, ascending by name.
    pub entries: Vec<EntryRef>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

impl Meta {
    /// Decodes the metadata and checks everything that has a form.
    ///
    /// # Errors
    /// E002, E003, E006, E008 or E009 for the form; E004 above 65,536 bytes; E005 for another
    /// version; E025 for a bound entry of another name; E034 or E035 for a key; E054 for stanza
    /// types that are unknown or mixed.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if guard!("format.capsule.meta_bytes", bytes.len() > limits::CAPSULE_META_BYTES_MAX) {
            let (found, max) = (bytes.len(), limits::CAPSULE_META_BYTES_MAX);
            let detail = format!("meta.cbor of {found} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let mut fields = Fields::new(cbor::decode(bytes)?, "capsule-meta")?;
        fields.version(1)?;
        let meta = Self {
            kind: fields.required(1)?,
            channel: fields.optional(2)?.map(ChannelId::new),
            author: fields.required(3)?,
            seq: fields.required(4)?,
            prev: ids(bounded(&mut fields, 5, 0..=limits::CAPSULE_PARENTS_MAX)?),
            back: fields.optional(6)?.map(CapsuleId::new),
            time_ms: fields.required(7)?,
            flags: bounded(&mut fields, 8, 0..=limits::CAPSULE_FLAGS_MAX)?,
            logic: fields.optional(9)?,
            stanzas: stanzas(&bounded::<String>(&mut fields, 10, 1..=limits::STANZAS_MAX as u64)?)?,
            commitment: fields.required(11)?,
            expiry_ms: fields.optional(12)?,
            epoch: fields.required(13)?,
            keyring: fields.optional(14)?,
            entries: bounded(&mut fields, ENTRIES, 1..=limits::CAPSULE_ENTRIES_MAX)?,
            extensions: fields.finish_ext()?,
        };
        meta.check_form()?;
        Ok(meta)
    }

    /// Encodes the metadata, of which each value has exactly one form.
    ///
    /// # Panics
    /// As [`cbor::encode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(&Value::Map(self.members()))
    }

    /// Returns the id of the capsule.
    #[must_use]
    pub fn id(&self) -> CapsuleId {
        CapsuleId::new(sha256(&self.encode()))
    }

    /// Tells whether this starts a channel.
    #[must_use]
    pub const fn is_genesis(&self) -> bool {
        self.channel.is_none()
    }

    /// Returns the channel, which the genesis names by its own id.
    #[must_use]
    pub fn channel_id(&self) -> ChannelId {
        self.channel.unwrap_or_else(|| ChannelId::of_genesis(self.id()))
    }

    /// Tells whether a flag is set.
    #[must_use]
    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// Returns what ties a payload to this capsule: the hash of the metadata without the list of
    /// entries, since that one names the payload.
    #[must_use]
    pub fn binding(&self) -> Digest {
        let mut members = self.members();
        members.retain(|(key, _)| *key != ENTRIES);
        tagged(Tag::CapsuleBinding, &[&cbor::encode(&Value::Map(members))])
    }

    /// Returns the bytes that every key of the author signs: an in-toto statement whose subject is
    /// the metadata.
    #[must_use]
    pub fn signed_statement(&self) -> Vec<u8> {
        self.statement_of(self.id())
    }

    /// Returns the statement of [`Meta::signed_statement`] where the id is known already.
    pub(super) fn statement_of(&self, id: CapsuleId) -> Vec<u8> {
        let mut predicate: BTreeMap<String, json::Value> = BTreeMap::new();
        let mut put = |name: &str, value: json::Value| predicate.insert(name.to_string(), value);
        put("author", json::Value::Text(self.author.id().to_string()));
        if let Some(channel) = self.channel {
            put("channel", json::Value::Text(channel.to_string()));
        }
        put("epoch", self.epoch.into());
        put("kind", self.kind.as_str().into());
        put("seq", self.seq.into());
        let subject = Subject { name: Kind::Capsule.name().to_string(), sha256: *id.digest() };
        Statement { subjects: vec![subject], predicate_type: PREDICATE.to_string(), predicate }
            .encode()
    }

    /// Checks the facts that stand in the metadata twice.
    ///
    /// The identity that a public channel publishes is compared with its recipient where the
    /// feature `encrypt` is on.
    ///
    /// # Errors
    /// E017 for facts that disagree, E035 for a recipient that is none.
    pub fn check_facts(&self) -> Result<(), DecodeError> {
        let listed = self.entries.iter().any(|entry| entry.name == LOGIC);
        let embedded = self.logic.as_ref().is_some_and(|logic| logic.embedded);
        if guard!("format.capsule.logic_listed", listed != embedded) {
            return Err(conflict("logic.mod is listed exactly where logic says embedded"));
        }
        let Some(keyring) = &self.keyring else { return Ok(()) };
        if guard!("format.capsule.keyring_epoch", keyring.epoch != self.epoch) {
            let (found, epoch) = (keyring.epoch, self.epoch);
            return Err(conflict(format!(
                "keyring of epoch {found} in a capsule of epoch {epoch}"
            )));
        }
        let public = self.has_flag(flag::PUBLIC);
        if guard!("format.capsule.keyring_public", keyring.identity.is_some() != public) {
            let detail = "a keyring publishes its identity exactly where it has the flag public";
            return Err(conflict(detail));
        }
        keyring.check_recipient()
    }

    /// Checks what the links of one capsule show by themselves.
    ///
    /// # Errors
    /// E050 if `back` is absent though there is a capsule before, or the other way round, or if
    /// `back` or the keyring of the epoch before is not one of `prev`.
    pub fn check_links(&self) -> Result<(), DecodeError> {
        let refuse = |detail: &str| Err(DecodeError::new(ErrorCode::CapsuleSequence, detail));
        if guard!("format.capsule.back_present", self.back.is_some() != (self.seq > 0)) {
            return refuse("back is there exactly where seq is above 0");
        }
        let is_parent = |id: &CapsuleId| self.prev.contains(id);
        if guard!("format.capsule.back_parent", !self.back.iter().all(is_parent)) {
            return refuse("back is not one of prev");
        }
        let before = self.keyring.as_ref().and_then(|keyring| keyring.previous);
        if guard!("format.capsule.keyring_parent", !before.iter().all(is_parent)) {
            return refuse("the keyring of the epoch before is not one of prev");
        }
        Ok(())
    }

    fn check_form(&self) -> Result<(), DecodeError> {
        if guard!("format.capsule.kind", !is_ident(&self.kind)) {
            return Err(schema("kind is not an ident"));
        }
        ascending("prev", &self.prev)?;
        ascending("flags", &self.flags)?;
        if guard!("format.capsule.flag", !self.flags.iter().all(|flag| is_flag(flag))) {
            return Err(schema("a flag does not match [a-z0-9][a-z0-9:.-]{0,31}"));
        }
        let is_keyring = self.kind == kind::KEYRING;
        if guard!("format.capsule.keyring_kind", self.keyring.is_some() != is_keyring) {
            return Err(schema("key 14 is there exactly where the kind is keyring"));
        }
        let starts = is_keyring && self.seq == 0 && self.epoch == 0 && self.prev.is_empty();
        if guard!("format.capsule.channel_absent", self.is_genesis() && !starts) {
            return Err(schema(
                "a capsule without channel is no keyring of epoch 0 and seq 0 without prev",
            ));
        }
        ascending("bound entries", self.entries.iter().map(|entry| &entry.name))?;
        let extra = |name: &str| name.starts_with("x/") && container::is_name(name);
        let bound = |name: &str| matches!(name, PAYLOAD | LOGIC) || extra(name);
        if let Some(entry) = self.entries.iter().find(|entry| !bound(&entry.name))
            && guard!("format.capsule.bound_name", true)
        {
            let detail = format!("entry {:?} cannot be bound", crate::text::shown(&entry.name));
            return Err(DecodeError::new(ErrorCode::ContainerUnlisted, detail));
        }
        let listed = self.entries.iter().any(|entry| entry.name == PAYLOAD);
        if guard!("format.capsule.payload_listed", !listed) {
            return Err(schema("key 15 does not list payload.age"));
        }
        Ok(())
    }

    fn members(&self) -> Vec<(u64, Value)> {
        let mut members: Vec<(u64, Value)> = vec![(0, 1.into()), (1, self.kind.as_str().into())];
        let mut put = |key: u64, value: Value| members.push((key, value));
        if let Some(channel) = self.channel {
            put(2, (*channel.digest()).into());
        }
        put(3, self.author.to_cbor());
        put(4, self.seq.into());
        put(5, Value::array(self.prev.iter().map(|id| *id.digest())));
        if let Some(back) = self.back {
            put(6, (*back.digest()).into());
        }
        put(7, self.time_ms.into());
        put(8, Value::array(self.flags.iter().map(String::as_str)));
        if let Some(logic) = &self.logic {
            put(9, logic.to_cbor());
        }
        put(10, Value::array(self.stanzas.iter().map(|stanza| stanza.name())));
        put(11, self.commitment.into());
        if let Some(expiry) = self.expiry_ms {
            put(12, expiry.into());
        }
        put(13, self.epoch.into());
        if let Some(keyring) = &self.keyring {
            put(14, keyring.to_cbor());
        }
        put(ENTRIES, Value::array(self.entries.iter().map(EntryRef::to_cbor)));
        members.extend(self.extensions.iter().cloned());
        members
    }
}

/// Tells whether a text may be a flag.
pub(super) fn is_flag(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    text.bytes().next().is_some_and(plain)
        && is_made_of(text, 32, |byte| plain(byte) || matches!(byte, b':' | b'.' | b'-'))
}

/// Reads the list of stanza types.
fn stanzas(names: &[String]) -> Result<Vec<StanzaType>, DecodeError> {
    let read = |name: &String| {
        StanzaType::from_name(name).ok_or_else(|| {
            let detail = format!("stanza type {:?} is unknown", crate::text::shown(name));
            DecodeError::new(ErrorCode::StanzaMismatch, detail)
        })
    };
    let types: Vec<StanzaType> = names.iter().map(read).collect::<Result<_, _>>()?;
    let mixed = types.iter().any(|other| Some(other) != types.first());
    if guard!("format.capsule.stanzas_mixed", mixed) {
        let detail = "key 10 lists stanzas of two types";
        return Err(DecodeError::new(ErrorCode::StanzaMismatch, detail));
    }
    Ok(types)
}

pub(super) fn ids(digests: Vec<Digest>) -> Vec<CapsuleId> {
    digests.into_iter().map(CapsuleId::new).collect()
}

pub(super) fn identities(digests: Vec<Digest>) -> Vec<IdentityId> {
    digests.into_iter().map(IdentityId::new).collect()
}

pub(super) fn schema(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::SchemaViolation, detail)
}

pub(super) fn conflict(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::FactsConflict, detail)
}
