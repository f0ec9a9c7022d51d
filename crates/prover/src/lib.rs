//! Executes lowered programs, with a log of every step where a proof is to be made of it.
//!
//! # Map
//! [`exec`] is the machine of `spec/lowering.md`: plain and fast, or under the eyes of a
//! [`exec::Tracer`].
//!
//! # Invariants
//! - Nothing here is trusted: a verifier believes the circuit, and recomputes the lowering.
//! - With and without a tracer the machine takes the same steps.

mod argument;
pub mod exec;
pub mod prove;
pub mod trace;
