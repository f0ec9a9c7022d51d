//! Lowers a WebAssembly module to the register code whose execution is proven.
//!
//! # Map
//! [`isa`] is the machine: opcodes, address map and reserved program counters; [`LProgram`] is a
//! lowered program with its canonical encoding.
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

pub mod isa;
mod program;

pub use program::{EntryStub, Instr, LProgram, MemoryLayout, TableEntry, limbs};
