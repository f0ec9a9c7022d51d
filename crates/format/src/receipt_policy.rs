//! Receipt policies: what a verifier demands of a receipt, and what its issuer submitted to.
//!
//! A policy is a closed set of rules; an issuer names one by its SHA-256 in the claim, and a
//! verifier who has the same file enforces it.
//! Which policies are in force stands in a [`Registry`], whose Merkle root a trust file pins, and
//! who may issue receipts under them in an [`Acl`].
//!
//! # Spec
//! `spec/receipt-policy.md`; vectors in `spec/vectors/receipt-policy/`.

mod acl;
mod registry;
mod rules;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

pub use acl::{Acl, AclEntry};
pub use registry::{PolicyProof, Registered, Registry, Status};
pub(crate) use rules::decode_image;
pub use rules::{AuditMode, AuditRule, DaRule, LogRule, RuleName, Rules, Tool};

use crate::hash::sha256;
use crate::json::{self, Fields, Value};
use crate::text::{is_ascending, is_made_of};
use crate::{DecodeError, Digest};

/// Value of `schema` in a receipt policy.
pub const SCHEMA: &str = "kapsule/receipt-policy/1";

/// Rules for receipts, named by id and version.
///
/// Its digest authenticates it: the issuer signs that, and the verifier pins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptPolicy {
    /// Names the policy.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Rules that always hold.
    pub rules: Rules,
    /// Rules that are added for one track, ascending by id.
    pub tracks: Vec<Track>,
}

/// Rules that an issuer chooses by the name of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Names the track.
    pub id: String,
    /// Its rules.
    pub rules: Rules,
}

impl ReceiptPolicy {
    /// Decodes the canonical form.
    ///
    /// # Errors
    /// E001, E004, E005, E007, E008, E009 or E034.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::of_file(bytes, "receipt-policy")?;
        fields.schema(SCHEMA)?;
        let (id, version) = (id(&mut fields)?, version(&mut fields)?);
        let rules = Rules::decode(fields.object("rules")?)?;
        let tracks = fields.objects("tracks")?.into_iter().map(Track::decode);
        let policy = Self { id, version, rules, tracks: tracks.collect::<Result<_, _>>()? };
        fields.finish()?;
        ascending("receipt-policy.tracks", policy.tracks.iter().map(|one| &one.id))?;
        Ok(policy)
    }

    /// Encodes the canonical form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        json::encode(&Value::object([
            ("id", self.id.as_str().into()),
            ("rules", self.rules.to_value()),
            ("schema", SCHEMA.into()),
            ("tracks", Value::array(self.tracks.iter().map(Track::to_value))),
            ("version", self.version.as_str().into()),
        ]))
    }

    /// Returns the SHA-256 of the file, by which claims and registries name it.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        sha256(&self.encode())
    }

    /// Returns the rules of a track; the empty name is the track without rules of its own.
    #[must_use]
    pub fn track(&self, id: &str) -> Option<Rules> {
        match id {
            "" => Some(Rules::default()),
            _ => self.tracks.iter().find(|track| track.id == id).map(|track| track.rules.clone()),
        }
    }
}

impl Track {
    fn decode(mut fields: Fields) -> Result<Self, DecodeError> {
        let track = Self { id: id(&mut fields)?, rules: Rules::decode(fields.object("rules")?)? };
        fields.finish()?;
        Ok(track)
    }

    fn to_value(&self) -> Value {
        Value::object([("id", self.id.as_str().into()), ("rules", self.rules.to_value())])
    }
}

/// Tells whether a text may name a policy, a registry or a track.
#[must_use]
pub fn is_policy_id(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    text.bytes().next().is_some_and(plain)
        && is_made_of(text, 64, |byte| plain(byte) || matches!(byte, b'_' | b'.' | b'-'))
}

fn id(fields: &mut Fields) -> Result<String, DecodeError> {
    fields.text("id", "[a-z0-9][a-z0-9_.-]{0,63}", is_policy_id)
}

fn version(fields: &mut Fields) -> Result<String, DecodeError> {
    fields.text("version", "[A-Za-z0-9._-]{1,32}", |text| {
        is_made_of(text, 32, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
        })
    })
}

/// Refuses a list that is not in strictly ascending order.
fn ascending<T: PartialOrd>(
    what: &str,
    keys: impl IntoIterator<Item = T>,
) -> Result<(), DecodeError> {
    if guard!("format.rules.order", !is_ascending(keys)) {
        let detail = format!("{what} are not in strictly ascending order");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(())
}
