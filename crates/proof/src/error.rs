//! Why a statement or a proof is refused.

use alloc::string::String;

use thiserror::Error;

/// Why bytes are no statement or no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end early.
    #[error("bytes end at offset {0}, inside a field")]
    Short(usize),
    /// Bytes follow the end.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// The bytes do not start with the mark of the format.
    #[error("the bytes do not start with the mark of a proof file")]
    Mark,
    /// A field has a value outside its range.
    #[error("{field} holds {found}, which is outside its range")]
    Range {
        /// Name of the field.
        field: &'static str,
        /// The value.
        found: u64,
    },
    /// A list or string is longer than allowed.
    #[error("{field} has {found} entries or bytes, at most {allowed} are allowed")]
    Limit {
        /// Name of the field.
        field: &'static str,
        /// Its length.
        found: u64,
        /// The limit.
        allowed: u64,
    },
    /// The entry name is no UTF-8 text.
    #[error("the entry name is not UTF-8")]
    Utf8,
    /// The opaque part of a proof is not in its one form.
    #[error("the proof of segment {0} is not in canonical form")]
    Proof(usize),
}

/// Why a proof of a run is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// The bytes are no proof.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The statement is of another version.
    #[error("the statement has version {found}, this verifier knows version 1")]
    Version {
        /// The version.
        found: u32,
    },
    /// The proof is for another instruction set.
    #[error("the statement is about instruction set {found}, this verifier knows {known}")]
    Isa {
        /// The version in the statement.
        found: u32,
        /// The version that this verifier lowers to.
        known: u32,
    },
    /// The parameter set is unknown or refused here.
    #[error("parameter set {0} is not accepted here")]
    ParamSet(u16),
    /// The proof is about another module.
    #[error("the proof is about another module")]
    Module,
    /// The proof is about another lowered program.
    #[error("the proof is about another program")]
    Program,
    /// The proof is about a run under another policy.
    #[error("the proof is about a run under another policy")]
    Policy,
    /// The proof is bound to another receipt or job.
    #[error("the proof is bound to something else")]
    Binding,
    /// The entry does not exist, or another was asked for.
    #[error("the proof is about entry `{0}`, which is not the one asked for")]
    Entry(String),
    /// The transcript digest is not the one of the words that the verifier holds.
    #[error("the transcript of the proof is not the one of these inputs and outputs")]
    Transcript,
    /// The final state does not show the claimed outcome.
    #[error("the final state does not show the claimed outcome")]
    Outcome,
    /// The fuel numbers contradict each other.
    #[error("the claimed fuel does not follow from the run")]
    Fuel,
    /// The list of segments is not one this version accepts.
    #[error("{found} segments, this version accepts exactly 1")]
    Segments {
        /// Number of segments.
        found: usize,
    },
    /// A public value of a segment is outside its range.
    #[error("public value `{0}` is outside its range")]
    Public(&'static str),
    /// A table that must be present is absent, or an unknown one is present.
    #[error("the tables present are not ones that a proof can have")]
    Tables,
    /// Heights of the tables break a limit.
    #[error("the heights of the tables break limit `{0}`")]
    Heights(&'static str),
    /// The argument itself does not hold.
    #[error("the proof does not prove its statement")]
    Argument,
}
