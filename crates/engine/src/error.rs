//! Why there is no outcome: the job was refused before it began, or the host failed.

use alloc::string::String;
use core::fmt;
use kapsule_abi::ErrorCode;

use crate::Backend;

/// The machine's trouble: the run is void, and nothing of it enters a receipt.
///
/// # Determinism
/// Depends on the host; it is never converted into an [`Outcome`](kapsule_abi::Outcome).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The caller's deadline passed.
    #[error("the deadline passed before the run ended")]
    Deadline,
    /// The native stack ended before the stack limit of the metering.
    #[error("backend {0} exhausted the native stack below the stack limit of the metering")]
    NativeStack(Backend),
    /// The host has no memory for what the guest was granted.
    #[error("the host is short of memory that the guest was granted")]
    Memory,
    /// The transcript outgrew what the caller allows it.
    #[error("transcript exceeds the host limit of {allowed} bytes")]
    TranscriptBytes {
        /// Greatest sum of request and response bytes.
        allowed: u64,
    },
    /// The backend refused the metered module.
    #[error("backend {backend} cannot compile the module: {detail}")]
    Compile {
        /// The backend.
        backend: Backend,
        /// What it said.
        detail: String,
    },
    /// The backend could not set the module up.
    #[error("backend {backend} cannot instantiate the module: {detail}")]
    Instantiate {
        /// The backend.
        backend: Backend,
        /// What it said.
        detail: String,
    },
    /// The backend did what no metered module can make it do.
    #[error("backend {backend} failed: {detail}")]
    Backend {
        /// The backend.
        backend: Backend,
        /// What it said.
        detail: String,
    },
    /// The host could not answer a hostcall.
    #[error("the host cannot answer {hostcall}: {detail}")]
    Hostcall {
        /// Import name.
        hostcall: &'static str,
        /// What went wrong.
        detail: String,
    },
}

impl HostError {
    /// Returns the stable code, E409.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::HostAbort
    }
}

/// A job that was refused before anything ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// E127, E403 or E404.
    pub code: ErrorCode,
    /// What was asked and what is allowed, in one lower-case line.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for Refusal {}

/// Why [`run`](crate::run) has no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The job asks for what it may not have; nothing ran.
    #[error("{0}")]
    Refused(Refusal),
    /// The host failed; whatever ran is void.
    #[error("{0}")]
    Host(#[from] HostError),
}

impl RunError {
    /// Returns the stable code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Host(error) => error.code(),
        }
    }
}

impl From<Refusal> for RunError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
