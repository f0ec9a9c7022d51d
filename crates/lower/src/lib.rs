//! Lowers a WebAssembly module to the register code whose execution is proven.
//!
//! # Map
//! [`isa`] is the machine: opcodes, address map and reserved program counters; [`LProgram`] is a
//! lowered program with its canonical encoding; [`lower`] makes it of a module; [`words`] are the
//! transcript words of a hostcall; [`lprogram_check`] finds out without the lowering whether its
//! result
//! keeps the rules.
//!
//! # Invariants
//! - Lowering is a pure function of the module bytes and the options; every host gives the same
//!   program.
//! - What a verifier trusts of a program is in its encoding, and the encoding is one-to-one.
//!
//! # Spec
//! `spec/lowering.md`.
#![no_std]

extern crate alloc;

mod check;
mod code;
mod error;
mod function;
pub mod isa;
mod lower;
mod module;
mod program;
mod runtime;
pub mod words;

pub use check::{Fault, lprogram_check, opcodes};
pub use error::{LowerError, Reason};
pub use lower::{Lowered, Options, Origin, Passes, Piece, lower};

pub use program::{EntryStub, Instr, LProgram, MemoryLayout, TableEntry, limbs};
