//! Authoring forms of manifest and policy: what people write, turned into the canonical forms.
//!
//! No verifier reads an authoring form; packing does, once.
//! A syntax is read into a tree, and one table says for each key what it accepts and where it
//! goes, so another syntax needs a reader and nothing else.
//!
//! # Spec
//! `spec/package.md`, section "Authoring forms"; vectors in `spec/vectors/authoring/`.

mod draft;
mod entry;
mod fees;
mod json;
mod syntax;
mod table;
mod toml;
mod tree;
mod unit;
mod yaml;

use alloc::string::{String, ToString};
use core::fmt;

use kapsule_abi::ErrorCode;

pub use draft::{Draft, Inputs};
pub use syntax::{Syntax, Text};

use crate::DecodeError;

/// Which of the two files an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The manifest file.
    Manifest,
    /// The policy file.
    Policy,
}

/// Why an authoring form was refused.
///
/// Prints as `key: detail (line n)`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct AuthoringError {
    /// Stable code: E042 for a value, E043 for a form, or the code of the canonical rule.
    pub code: ErrorCode,
    /// File that the line belongs to.
    pub source: Source,
    /// Key path, such as `limits.memory`; empty where the whole file is meant.
    pub key: String,
    /// Line in the file, counted from 1, where it is known.
    pub line: Option<u32>,
    /// What was found and what was allowed.
    pub detail: String,
}

impl fmt::Display for AuthoringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.detail)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for AuthoringError {}

/// Where a value stands, for errors.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    source: Source,
    key: String,
    line: Option<u32>,
}

impl Place {
    fn refuse(&self, code: ErrorCode, detail: impl Into<String>) -> AuthoringError {
        AuthoringError {
            code,
            source: self.source,
            key: self.key.clone(),
            line: self.line,
            detail: detail.into(),
        }
    }

    /// Refuses a value that is not understood.
    fn unit(&self, detail: impl Into<String>) -> AuthoringError {
        self.refuse(ErrorCode::UnitSyntax, detail)
    }

    /// Takes over the error of a canonical rule.
    fn canonical(&self, error: &DecodeError) -> AuthoringError {
        self.refuse(error.code, error.to_string())
    }
}
