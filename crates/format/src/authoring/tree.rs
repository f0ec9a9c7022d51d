//! The tree that every authoring syntax is read into.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{AuthoringError, Place};
use crate::json::UINT_MAX;
use crate::limits::DEPTH_MAX;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What authors can write; floats, dates and nulls have no place here.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Integer(u64),
    Bool(bool),
    List(Vec<Node>),
    /// Members in any order, without repetition.
    Table(Vec<(String, Node)>),
}

impl Value {
    /// Names the type, for error texts.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "an integer",
            Self::Bool(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// Makes a text.
    pub(super) fn text(place: &Place, text: impl Into<String>) -> Result<Self, AuthoringError> {
        let text = text.into();
        // U+0000 has no canonical form.
        if guard!("format.authoring.nul", text.contains('\0')) {
            return Err(place.refuse(ErrorCode::SchemaViolation, "text holds U+0000"));
        }
        Ok(Self::Text(text))
    }

    /// Makes an integer of what the digits `shown` came to, if they came to anything.
    pub(super) fn integer(
        place: &Place,
        shown: &str,
        found: Option<u64>,
    ) -> Result<Self, AuthoringError> {
        let detail = || format!("found {shown}, allowed are 0 to {UINT_MAX}");
        let allowed = found.filter(|number| *number <= UINT_MAX);
        allowed.map(Self::Integer).ok_or_else(|| place.unit(detail()))
    }
}

/// Refuses lists and tables nested deeper than any key needs.
pub(super) fn check_depth(place: &Place, depth: u32) -> Result<(), AuthoringError> {
    if guard!("format.authoring.depth", depth > DEPTH_MAX) {
        let detail = format!("lists and tables are nested deeper than {DEPTH_MAX}");
        return Err(place.refuse(ErrorCode::LimitExceeded, detail));
    }
    Ok(())
}

/// The names that a table has so far; TOML's reader looks for repetitions by itself.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Refuses a name that the table has already.
    pub(super) fn add(&mut self, name: &str, place: &Place) -> Result<(), AuthoringError> {
        if guard!("format.authoring.repeated_key", !self.0.insert(name.to_string())) {
            return Err(place.ambiguous("the key is given twice"));
        }
        Ok(())
    }
}

/// Where the lines of a file start.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(offset, _)| offset).collect())
    }

    /// Returns the line of a byte offset, counted from 1.
    pub(super) fn at(&self, offset: usize) -> u32 {
        // A file has at most 2^18 bytes.
        self.0.partition_point(|end| *end < offset) as u32 + 1
    }
}

impl Place {
    /// Returns the place of a member of a table.
    pub(super) fn member(&self, name: &str, line: u32) -> Self {
        let key = match self.key.is_empty() {
            true => name.to_string(),
            false => format!("{}.{name}", self.key),
        };
        Self { source: self.source, key, line: Some(line) }
    }

    /// Returns the place of an item of a list.
    pub(super) fn item(&self, index: usize, line: u32) -> Self {
        let key = format!("{}[{index}]", self.key);
        Self { source: self.source, key, line: Some(line) }
    }

    /// Returns the same place on another line.
    pub(super) fn on(&self, line: u32) -> Self {
        Self { line: Some(line), ..self.clone() }
    }

    /// Refuses a form that authors may not use.
    pub(super) fn ambiguous(&self, detail: impl Into<String>) -> AuthoringError {
        self.refuse(ErrorCode::AuthoringAmbiguous, detail)
    }
}
