//! The statement of a proof of execution, the circuit and the verifier.
//!
//! A proof shows that a lowered program, started at one of its entries, ended as stated, with
//! exactly the stated fuel and with a transcript of the stated digest.
//!
//! # Map
//! [`RunStatement`] is the claim, [`Transcript`] the digest of all words that entered and left,
//! [`machine`] the list of tables and what they share, [`chips`] and [`tables`] the tables
//! themselves, and [`publics`] the public values that tie them to the claim.
//! [`Key`] is what a verifier derives from a program, [`verify`] judges a [`ProofFile`], and
//! [`ProvenRun`] is one with the words of its run, which are compared with input and output.
//!
//! # Invariants
//! - Nothing here runs a program: a verifier believes constraints and its own lowering.
//! - Every constraint is written once, for proving, verifying, checking and describing.
//! - Types of the proof system occur in [`machine`], [`chips`] and [`tables`], which the prover
//!   fills, in [`argument`], which it writes, and nowhere else in public.
//!
//! # Spec
//! `spec/proof.md`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod argument;
pub mod chips;
mod codec;
mod config;
mod error;
pub mod field;
mod file;
mod key;
pub mod machine;
mod params;
pub mod publics;
mod run;
mod statement;
pub mod tables;
mod transcript;
mod verify;

pub use config::{Scheme, config, seed};
pub use error::{DecodeError, VerifyError};
pub use file::{PROOF_MAX, ProofFile, SegmentProof};
pub use key::{Key, program_digest};
pub use params::ParamSet;
pub use run::{EVENTS_MAX, Known, ProvenRun, RUN_MAX, Shown};
pub use statement::{ENTRY_MAX, ProvenOutcome, RunStatement, SEGMENTS_MAX, SegmentPublic, VERSION};
pub use transcript::{Compression, Direction, Preamble, Transcript, TranscriptEnd, half_block};
pub use verify::{Expected, heights_fit, verify};
