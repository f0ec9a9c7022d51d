//! The one test binary of this crate.

mod argument;
mod checklist;
mod chips;
mod forged;
mod malformed;
mod mutation;
mod programs;
mod proven_run;
mod runs;
mod soundness;
mod vectors;
