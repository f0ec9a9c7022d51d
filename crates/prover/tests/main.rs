//! The one test binary of this crate.
#![expect(clippy::unwrap_used, reason = "helpers that cannot go on fail the test that calls them")]

mod argument;
mod checklist;
mod chips;
mod forged;
mod malformed;
mod mutation;
mod programs;
mod proven_run;
mod provided;
mod runs;
mod soundness;
mod vectors;
