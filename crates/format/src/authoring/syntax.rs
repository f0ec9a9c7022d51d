//! The three syntaxes, and the rules that they share.

use alloc::format;
use alloc::string::String;

use kapsule_abi::{ErrorCode, guard};

use super::tree::{Node, Value};
use super::{AuthoringError, Place, Source, json, toml, yaml};
use crate::limits::AUTHORING_BYTES_MAX;

/// What an authoring file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// TOML 1.0.
    Toml,
    /// The restricted YAML of the specification.
    Yaml,
    /// JSON of RFC 8259, without repeated names.
    Json,
}

impl Syntax {
    /// Returns the syntax that a file name announces by its extension.
    ///
    /// # Examples
    /// ```
    /// use kapsule_format::authoring::Syntax;
    ///
    /// assert_eq!(Syntax::from_extension("yml"), Some(Syntax::Yaml));
    /// assert_eq!(Syntax::from_extension("ini"), None);
    /// ```
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Returns the name for messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        }
    }
}

/// The text of an authoring file.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// What it is written in.
    pub syntax: Syntax,
    /// The whole file.
    pub text: &'a str,
}

/// Reads one file, whose outermost value is a table.
pub(super) fn read(file: Text<'_>, source: Source) -> Result<Node, AuthoringError> {
    let whole = Place { source, key: String::new(), line: None };
    let Text { syntax, text } = file;
    if guard!("format.authoring.size", text.len() > AUTHORING_BYTES_MAX) {
        let found = text.len();
        return Err(whole.refuse(
            ErrorCode::LimitExceeded,
            format!("file of {found} bytes exceeds the limit of {AUTHORING_BYTES_MAX} bytes"),
        ));
    }
    let root = match syntax {
        Syntax::Toml => toml::read(text, whole),
        Syntax::Yaml => yaml::read(text, whole),
        Syntax::Json => json::read(text, whole),
    }?;
    match root.value {
        Value::Table(_) => Ok(root),
        other => Err(root.place.ambiguous(format!("the file is {}, not a table", other.kind()))),
    }
}
