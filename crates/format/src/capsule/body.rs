//! The bodies of the kinds that have a form.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::{CapsuleId, kind};
use crate::DecodeError;
use crate::cbor::{self, Fields, FromValue, Items, Value, bounded};
use crate::container::EntryRef;
use crate::key::IdentityId;
use crate::transcript::Extensions;

/// Greatest weight of an edge: all of an author's trust.
const WEIGHT_PPM_MAX: u64 = 1_000_000;

/// Returns the content type of the bodies of a kind.
#[must_use]
pub fn content_type(kind: &str) -> String {
    format!("application/vnd.kapsule.{kind}+cbor")
}

/// Text for everybody who reads the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Media type of the text.
    pub media_type: String,
    /// Text.
    pub text: String,
    /// Files by their digests.
    pub attachments: Vec<EntryRef>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// Text about another capsule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What it is about.
    pub target: CapsuleId,
    /// Text.
    pub text: String,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// Whom the author trusts or blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who it is about.
    pub about: IdentityId,
    /// Weight in millionths.
    pub weight_ppm: u64,
    /// Whether the author wants to see nothing of it.
    pub blocked: bool,
    /// Millisecond after which the statement counts no longer; 0 is never.
    pub expiry_ms: u64,
}

/// A word about an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Who it is about.
    pub about: IdentityId,
    /// The word.
    pub value: String,
    /// Whether it takes an earlier one back.
    pub negated: bool,
    /// Claimed time in milliseconds since 1970.
    pub created_ms: u64,
    /// Millisecond after which it counts no longer; 0 is never.
    pub expiry_ms: u64,
}

/// Whom the author trusts, and labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustBody {
    /// Edges of the graph.
    pub edges: Vec<Edge>,
    /// Labels.
    pub labels: Vec<Label>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// A named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Vec<u8>,
}

/// A goal for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What is to be reached.
    pub goal: String,
    /// What the agent needs to know.
    pub params: Vec<Param>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// An amount that goes from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who pays.
    pub from: IdentityId,
    /// Who is paid.
    pub to: IdentityId,
    /// Count of 10^-18 units.
    pub amount: u128,
    /// Number among the payments of who pays.
    pub nonce: u64,
}

/// Transfers of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Asset.
    pub asset: String,
    /// Transfers in order.
    pub transfers: Vec<Transfer>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

/// The secret of an epoch, for the members of a channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Age identity, `AGE-SECRET-KEY-1...`.
    pub identity: Zeroizing<String>,
    /// Keys 64 to 65535.
    pub extensions: Extensions,
}

impl core::fmt::Debug for Epoch {
    /// Prints that there is one, never the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Epoch(..)")
    }
}

/// What a capsule says to those who can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Text.
    Post(Post),
    /// Text about another capsule.
    Comment(Comment),
    /// Trust statements and labels.
    Trust(TrustBody),
    /// A goal for an agent.
    Agent(Agent),
    /// Transfers.
    Ledger(Ledger),
    /// The secret of an epoch.
    Keyring(Epoch),
    /// Bytes of a kind that this version does not know.
    Other(Vec<u8>),
}

impl Body {
    /// Decodes the body of a kind; that of an unknown kind is kept as it is.
    ///
    /// # Errors
    /// E002, E003, E006, E008 or E009 for the form; E005 for another version.
    pub fn decode(kind: &str, bytes: &[u8]) -> Result<Self, DecodeError> {
        let open = |what| -> Result<Fields, DecodeError> {
            let mut fields = Fields::new(cbor::decode(bytes)?, what)?;
            fields.version(1)?;
            Ok(fields)
        };
        Ok(match kind {
            kind::POST => Self::Post(Post::take(open("body-post")?)?),
            kind::COMMENT => Self::Comment(Comment::take(open("body-comment")?)?),
            kind::TRUST => Self::Trust(TrustBody::take(open("body-trust")?)?),
            kind::AGENT => Self::Agent(Agent::take(open("body-agent")?)?),
            kind::LEDGER => Self::Ledger(Ledger::take(open("body-ledger")?)?),
            kind::KEYRING => Self::Keyring(Epoch::take(open("body-keyring")?)?),
            _ => Self::Other(bytes.into()),
        })
    }

    /// Encodes the body, of which each value has exactly one form.
    ///
    /// # Errors
    /// As [`cbor::try_encode`], for text that has no form.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, DecodeError> {
        let (mut members, extensions): (Vec<Value>, &Extensions) = match self {
            Self::Post(post) => (post.members(), &post.extensions),
            Self::Comment(comment) => {
                let target = *comment.target.digest();
                (vec![target.into(), comment.text.as_str().into()], &comment.extensions)
            }
            Self::Trust(trust) => (trust.members(), &trust.extensions),
            Self::Agent(agent) => (agent.members(), &agent.extensions),
            Self::Ledger(ledger) => (ledger.members(), &ledger.extensions),
            Self::Keyring(epoch) => (vec![epoch.identity.as_str().into()], &epoch.extensions),
            Self::Other(bytes) => return Ok(Zeroizing::new(bytes.clone())),
        };
        members.insert(0, 1.into());
        let numbered = (0..).zip(members).chain(extensions.iter().cloned());
        cbor::try_encode(&Value::Map(numbered.collect())).map(Zeroizing::new)
    }
}

impl Post {
    /// Returns a post of plain text.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            media_type: "text/plain".into(),
            text: text.into(),
            attachments: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            media_type: fields.required(1)?,
            text: fields.required(2)?,
            attachments: bounded(&mut fields, 3, 0..=32)?,
            extensions: fields.finish_ext()?,
        })
    }

    fn members(&self) -> Vec<Value> {
        vec![
            self.media_type.as_str().into(),
            self.text.as_str().into(),
            Value::array(self.attachments.iter().map(EntryRef::to_cbor)),
        ]
    }
}

impl Comment {
    /// Returns a comment on a capsule.
    #[must_use]
    pub fn on(target: CapsuleId, text: impl Into<String>) -> Self {
        Self { target, text: text.into(), extensions: Vec::new() }
    }

    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            target: CapsuleId::new(fields.required(1)?),
            text: fields.required(2)?,
            extensions: fields.finish_ext()?,
        })
    }
}

impl TrustBody {
    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            edges: bounded(&mut fields, 1, 0..=1_024)?,
            labels: bounded(&mut fields, 2, 0..=1_024)?,
            extensions: fields.finish_ext()?,
        })
    }

    fn members(&self) -> Vec<Value> {
        vec![
            Value::array(self.edges.iter().map(Edge::to_cbor)),
            Value::array(self.labels.iter().map(Label::to_cbor)),
        ]
    }
}

impl Edge {
    fn to_cbor(&self) -> Value {
        Value::Array(vec![
            (*self.about.digest()).into(),
            self.weight_ppm.into(),
            self.blocked.into(),
            self.expiry_ms.into(),
        ])
    }
}

impl FromValue for Edge {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "edge", 4..=4)?;
        let edge = Self {
            about: IdentityId::new(items.required()?),
            weight_ppm: items.uint(0..=WEIGHT_PPM_MAX)?,
            blocked: items.required()?,
            expiry_ms: items.required()?,
        };
        items.finish()?;
        Ok(edge)
    }
}

impl Label {
    fn to_cbor(&self) -> Value {
        Value::Array(vec![
            (*self.about.digest()).into(),
            self.value.as_str().into(),
            self.negated.into(),
            self.created_ms.into(),
            self.expiry_ms.into(),
        ])
    }
}

impl FromValue for Label {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "label-record", 5..=5)?;
        let label = Self {
            about: IdentityId::new(items.required()?),
            value: items.required()?,
            negated: items.required()?,
            created_ms: items.required()?,
            expiry_ms: items.required()?,
        };
        items.finish()?;
        Ok(label)
    }
}

impl Agent {
    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            goal: fields.required(1)?,
            params: bounded(&mut fields, 2, 0..=256)?,
            extensions: fields.finish_ext()?,
        })
    }

    fn members(&self) -> Vec<Value> {
        let param = |param: &Param| {
            Value::Array(vec![param.name.as_str().into(), param.value.clone().into()])
        };
        vec![self.goal.as_str().into(), Value::array(self.params.iter().map(param))]
    }
}

impl FromValue for Param {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "param", 2..=2)?;
        let param = Self { name: items.required()?, value: items.required()? };
        items.finish()?;
        Ok(param)
    }
}

impl Ledger {
    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        Ok(Self {
            asset: fields.required(1)?,
            transfers: bounded(&mut fields, 2, 1..=256)?,
            extensions: fields.finish_ext()?,
        })
    }

    fn members(&self) -> Vec<Value> {
        vec![self.asset.as_str().into(), Value::array(self.transfers.iter().map(Transfer::to_cbor))]
    }
}

impl Transfer {
    fn to_cbor(&self) -> Value {
        Value::Array(vec![
            (*self.from.digest()).into(),
            (*self.to.digest()).into(),
            self.amount.to_be_bytes().to_vec().into(),
            self.nonce.into(),
        ])
    }
}

impl FromValue for Transfer {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "transfer", 4..=4)?;
        let transfer = Self {
            from: IdentityId::new(items.required()?),
            to: IdentityId::new(items.required()?),
            amount: u128::from_be_bytes(items.required()?),
            nonce: items.required()?,
        };
        items.finish()?;
        Ok(transfer)
    }
}

impl Epoch {
    fn take(mut fields: Fields) -> Result<Self, DecodeError> {
        let identity = Zeroizing::new(fields.required::<String>(1)?);
        let extensions = fields.finish_ext()?;
        if guard!("format.capsule.epoch_identity", !identity.starts_with("AGE-SECRET-KEY-1")) {
            // The text is never repeated: it may be a secret of another form.
            let detail = "key 1 of body-keyring is no identity, allowed AGE-SECRET-KEY-1...";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(Self { identity, extensions })
    }
}
