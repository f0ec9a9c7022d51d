//! What a command reports when it cannot do what was asked: message, causes and a hint.

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;

/// What class of failure this is; fixes the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A fault of this program or of the machine, exit 1.
    Internal,
    /// The arguments cannot be meant, exit 2.
    Usage,
    /// Ctrl-C, exit 130.
    Interrupted,
    /// A code of the table in `spec/errors.md`.
    Code(ErrorCode),
}

impl Kind {
    /// Returns the process exit code.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
            Self::Code(code) => code.exit_code(),
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Internal => f.write_str("INTERNAL"),
            Self::Usage => f.write_str("USAGE"),
            Self::Interrupted => f.write_str("INTERRUPTED"),
            Self::Code(code) => code.fmt(f),
        }
    }
}

/// A failed command; every one has a hint that says how to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Failure {
    /// Class of the failure.
    pub(crate) kind: Kind,
    /// What could not be done, in one lower-case line.
    pub(crate) message: String,
    /// Why, from the nearest cause to the farthest.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hint: String,
}

impl Failure {
    /// Builds a failure with a code.
    pub(crate) fn new(
        code: ErrorCode,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::of(Kind::Code(code), message, hint)
    }

    /// Builds a failure of the arguments.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(Kind::Usage, message, hint)
    }

    /// Builds a failure of this program or machine.
    pub(crate) fn internal(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::of(Kind::Internal, message, hint)
    }

    /// Builds the failure of a command that Ctrl-C stopped at a safe point.
    pub(crate) fn interrupted(hint: impl Into<String>) -> Self {
        Self::of(Kind::Interrupted, "interrupted", hint)
    }

    /// Builds a failure from what a reader of the formats found.
    pub(crate) fn decode(
        message: impl Into<String>,
        error: &DecodeError,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(error.code, message, hint).cause(error)
    }

    /// Tells whether this is the failure of a code.
    pub(crate) fn is(&self, code: ErrorCode) -> bool {
        self.kind == Kind::Code(code)
    }

    /// Adds a cause.
    pub(crate) fn cause(mut self, cause: impl ToString) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    fn of(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: hint.into() }
    }

    /// Returns the failure as the object that ends the output of `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "kapsule/error/1",
            "code": self.kind.to_string(),
            "message": self.message,
            "causes": self.causes,
            "hint": self.hint,
        })
    }
}

impl std::fmt::Display for Failure {
    /// Writes message and causes in one line, for a place inside another message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// What a command returns: the process exit code, or why it failed.
pub(crate) type Done = Result<u8, Failure>;
