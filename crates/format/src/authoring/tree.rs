//! The tree that every authoring syntax is read into.

use alloc::string::String;
use alloc::vec::Vec;

use super::Place;

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
}
