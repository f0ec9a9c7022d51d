//! Why a statement or a proof is refused.

use alloc::string::String;

use kapsule_abi::ErrorCode;
use thiserror::Error;

use crate::params::ParamSet;

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
    /// An argument repeats rows that it could have named.
    #[error("the proof of segment {0} is not in canonical form")]
    Proof(usize),
}

impl DecodeError {
    /// Returns the stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Short(_) => ErrorCode::Truncated,
            Self::Trailing(_) => ErrorCode::TrailingBytes,
            Self::Mark => ErrorCode::UnknownFormat,
            Self::Range { .. } | Self::Utf8 => ErrorCode::SchemaViolation,
            Self::Limit { .. } => ErrorCode::LimitExceeded,
            Self::Proof(_) => ErrorCode::NotBijective,
        }
    }
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
    /// The words are none that a host gives and a program asks for.
    #[error("the words are not those of a run that a host answered by the rules")]
    Words,
    /// The run ended otherwise than expected.
    #[error("the run ended with {found}, expected is {expected}")]
    Ended {
        /// How it ended.
        found: kapsule_abi::Outcome,
        /// What was expected.
        expected: kapsule_abi::Outcome,
    },
    /// The run was given or used other fuel than expected.
    #[error("{what} is {found}, expected is {expected}")]
    OtherFuel {
        /// Which of the two numbers.
        what: &'static str,
        /// The number of the statement.
        found: u64,
        /// What was expected.
        expected: u64,
    },
    /// The run read another input.
    #[error("hostcall {call} of the run read something else than this input holds")]
    Input {
        /// Position among the hostcalls.
        call: usize,
    },
    /// The run wrote another output.
    #[error("the run wrote {found} bytes, which are not the {expected} bytes of this output")]
    Output {
        /// Bytes that it wrote.
        found: usize,
        /// Bytes of the output that was expected.
        expected: usize,
    },
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

impl VerifyError {
    /// Returns the stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Decode(error) => error.code(),
            Self::Version { .. } | Self::Isa { .. } => ErrorCode::ProofSystemUnsupported,
            Self::ParamSet(number) if *number == ParamSet::TEST.number => {
                ErrorCode::DevProofRefused
            }
            Self::ParamSet(_) => ErrorCode::ProofSystemUnsupported,
            Self::Module | Self::Program => ErrorCode::ProofProgramMismatch,
            Self::Policy => ErrorCode::ProofPolicyMismatch,
            Self::Binding => ErrorCode::ProofBindingMismatch,
            Self::Entry(_) => ErrorCode::ProofEntryMismatch,
            Self::Transcript | Self::Words => ErrorCode::ProofTranscriptMismatch,
            Self::Input { .. } => ErrorCode::ProofInputMismatch,
            Self::Output { .. } => ErrorCode::ProofOutputMismatch,
            Self::Ended { .. } | Self::Outcome => ErrorCode::ProofOutcomeMismatch,
            Self::OtherFuel { .. } | Self::Fuel => ErrorCode::ProofFuelMismatch,
            Self::Segments { .. }
            | Self::Public(_)
            | Self::Tables
            | Self::Heights(_)
            | Self::Argument => ErrorCode::ProofInvalid,
        }
    }
}
