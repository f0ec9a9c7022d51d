//! Integration tests: the wasm suite, the backends and lowered programs against each other and in
//! the tables of the circuit, fuzz bodies, bad input, receipts and their forgeries, and the
//! standard modules.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod backend_faults;
mod bad_input;
mod corpus;
mod differential;
mod lowered;
mod pools;
mod receipts;
mod replay_vectors;
mod standard;
mod suite;
mod traced;
