//! The contract between Kapsule guests and hosts: hostcall numbers and signatures, prices, error
//! codes, outcomes and the ABI version.
//!
//! This crate has no dependencies and performs nothing; guests, the metering pass, the engine and
//! the prover all read the same tables.
//!
//! # Invariants
//! - A hostcall number, an [`Errno`] value and an [`ErrorCode`] are never reused.
//! - The tables are constants: nothing here depends on the host.
#![no_std]

#[cfg(feature = "guard-switch")]
extern crate std;

mod error_code;
pub mod guard;
pub mod hostcall;
mod outcome;

pub use error_code::ErrorCode;
pub use hostcall::{Access, Errno, Grant, Hostcall, Length, Param, Price, ValueType};
pub use outcome::{Limit, Outcome, Rule, Trap};

/// Name of this ABI in a manifest (`exec.abi`).
pub const ABI_NAME: &str = "kapsule_v1";

/// Value that the export [`EXPORT_ABI_VERSION`] returns.
pub const ABI_VERSION: u32 = 1;

/// Namespace of every function that a module may import.
pub const IMPORT_NAMESPACE: &str = "kapsule_v1";

/// Name of the exported memory.
pub const EXPORT_MEMORY: &str = "memory";

/// Name of the exported function that returns the ABI version.
pub const EXPORT_ABI_VERSION: &str = "kapsule_abi_version";

/// Prefix of the exports that metering adds; a module may not use it.
pub const RESERVED_EXPORT_PREFIX: &str = "__kapsule_";

/// Bytes of one page of linear memory.
pub const PAGE_BYTES: u32 = 65_536;

/// Greatest length of one buffer of a hostcall, in bytes.
///
/// A longer buffer ends the run with `Denied(argument)`.
///
/// # Spec
/// `spec/limits.md`: one hostcall request or response is at most 2^20 bytes.
pub const BUFFER_BYTES_MAX: u32 = 1 << 20;
