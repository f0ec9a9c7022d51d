//! What the standard modules share: names of people and posts, and reading CBOR with errors that
//! say where.
//!
//! The readers expect bytes that [`kapsule_guest::kcbor::validate`] accepted: lengths are definite
//! and map keys ascend.
#![no_std]

extern crate alloc;

mod name;
pub mod read;

pub use name::{NAME_BYTES_MAX, Name};

/// Version of every input and output of the standard modules.
pub const VERSION: u64 = 1;
