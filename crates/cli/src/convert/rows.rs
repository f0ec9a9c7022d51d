//! Outputs of the standard modules, back to rows.

use std::collections::BTreeMap;

use kapsule_format::DecodeError;
use kapsule_format::cbor::{self, Fields, FromValue, Items, Value};
use kapsule_format::hash::Digest;
use kapsule_format::key::IdentityId;

use super::{Name, VERSION};
use crate::error::Failure;

/// One row of `trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrustRow {
    /// Who.
    pub(crate) name: Name,
    /// Score in 10^-9.
    pub(crate) score: u64,
    /// Flow kept, at most the credit of a node.
    pub(crate) flow: u64,
    /// Whether the person is blocked.
    pub(crate) blocked: bool,
}

/// The output of `trust`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Whose view it is.
    pub(crate) viewer: Name,
    /// Everyone, best first.
    pub(crate) rows: Vec<TrustRow>,
}

/// One row of `rank`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RankRow {
    /// Which post.
    pub(crate) id: Name,
    /// Score in millionths.
    pub(crate) score: u64,
    /// Factor for the author in millionths.
    pub(crate) author_ppm: u64,
}

/// The output of `rank`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rank {
    /// Every post that is shown, best first.
    pub(crate) trending: Vec<RankRow>,
    /// The posts among them that may be promoted.
    pub(crate) promoted: Vec<RankRow>,
    /// Posts whose author is blocked.
    pub(crate) hidden: Vec<Name>,
}

impl FromValue for TrustRow {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "row", 4..=4)?;
        let row = Self {
            name: items.required()?,
            score: items.required()?,
            flow: items.required()?,
            blocked: items.required()?,
        };
        items.finish().map(|()| row)
    }
}

impl FromValue for RankRow {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "row", 7..=7)?;
        let (id, score) = (items.required()?, items.required()?);
        let _engagement: u64 = items.required()?;
        let author_ppm = items.required()?;
        let (_age, _crowding): (u64, u64) = (items.required()?, items.required()?);
        let _flagged: bool = items.required()?;
        items.finish().map(|()| Self { id, score, author_ppm })
    }
}

impl Trust {
    /// Decodes the output of the trust module.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "trust output")?;
            fields.uint(0, VERSION..=VERSION)?;
            let trust = Self { viewer: fields.required(1)?, rows: fields.required(2)? };
            let (_credit, _iterations): (u64, u64) = (fields.required(3)?, fields.required(4)?);
            fields.finish().map(|()| trust)
        };
        read().map_err(|error| foreign("trust", &error))
    }

    /// Returns the scores of people who are named by identity id, in millionths; 0 if blocked.
    pub(crate) fn scores(&self) -> BTreeMap<IdentityId, u64> {
        let identity = |name: &Name| match name {
            Name::Bytes(bytes) => Some(Digest::new(bytes.as_slice().try_into().ok()?)),
            Name::Number(_) | Name::Text(_) => None,
        };
        let score = |row: &TrustRow| {
            let id = identity(&row.name).map(IdentityId::new);
            // The unit of a row is 10^-9.
            id.map(|id| (id, if row.blocked { 0 } else { row.score / 1_000 }))
        };
        self.rows.iter().filter_map(score).collect()
    }
}

impl Rank {
    /// Decodes the output of the rank module.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "rank output")?;
            fields.uint(0, VERSION..=VERSION)?;
            let rank = Self {
                trending: fields.required(1)?,
                promoted: fields.required(2)?,
                hidden: fields.required(3)?,
            };
            fields.finish().map(|()| rank)
        };
        read().map_err(|error| foreign("rank", &error))
    }
}

/// Reads the output of the trust module as the value that the rank module is given.
pub(crate) fn trust_value(bytes: &[u8]) -> Result<Value, Failure> {
    Trust::decode(bytes)?;
    cbor::decode(bytes).map_err(|error| foreign("trust", &error))
}

/// Refuses a file that is no output of `module`.
pub(crate) fn foreign(module: &str, error: &DecodeError) -> Failure {
    let message = format!("the file is not an output of the {module} package");
    let hint = format!("write one with `kapsule run {module}.mod --input FILE --output FILE`");
    Failure::decode(message, error, hint)
}
