//! The one test binary of this crate.

mod argument;
mod checklist;
mod chips;
mod forged;
mod malformed;
mod mutation;
mod programs;
mod runs;
mod soundness;
