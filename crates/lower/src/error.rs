//! Why a module has no lowered program.

use alloc::string::{String, ToString};
use core::fmt;

use kapsule_abi::ErrorCode;
use kapsule_meter::MeterError;

use crate::check::Fault;

/// Why a module that runs cannot be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It uses a feature outside profile `integer-1`, such as `float`.
    Feature(&'static str),
    /// The memory maximum in force is above 16,384 pages.
    MemoryTooLarge,
    /// The code is above 2^21 instructions, or a table of the module has no place in the layout.
    TooLarge,
    /// An import that is no hostcall.
    Import,
}

impl Reason {
    /// Returns the name that reports print in `provable: no (<name>)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feature(name) => name,
            Self::MemoryTooLarge => "memory-too-large",
            Self::TooLarge => "too-large",
            Self::Import => "import",
        }
    }

    /// Returns the stable code: E402 for a feature, E403 for an import, E004 for a size.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Feature(_) => ErrorCode::ModuleFeatureRefused,
            Self::Import => ErrorCode::ImportRefused,
            Self::MemoryTooLarge | Self::TooLarge => ErrorCode::LimitExceeded,
        }
    }
}

/// A module that was not lowered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LowerError {
    /// The module is invalid, or outside the limits or the ABI, and does not run either.
    Module(MeterError),
    /// The module runs, but unproven.
    Unprovable {
        /// Why.
        reason: Reason,
        /// What was found, in one lower-case line.
        detail: String,
    },
    /// The lowered program breaks a rule, which is a mistake of this crate.
    Fault(Fault),
}

impl LowerError {
    /// Returns the stable code, or `None` for a mistake of this crate.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Module(error) => Some(error.code),
            Self::Unprovable { reason, .. } => Some(reason.code()),
            Self::Fault(_) => None,
        }
    }

    pub(crate) fn unprovable(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Unprovable { reason, detail: detail.into() }
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(error) => error.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::Unprovable { reason, detail } => {
                write!(f, "provable: no ({}): {detail}", reason.name())
            }
        }
    }
}

impl core::error::Error for LowerError {}

impl From<MeterError> for LowerError {
    fn from(error: MeterError) -> Self {
        match error.feature {
            Some(name) => {
                Self::Unprovable { reason: Reason::Feature(name), detail: error.to_string() }
            }
            None => Self::Module(error),
        }
    }
}

impl From<Fault> for LowerError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<wasmparser::Error> for LowerError {
    fn from(error: wasmparser::Error) -> Self {
        Self::Module(error.into())
    }
}
