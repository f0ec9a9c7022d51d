//! The one test binary of this crate.

mod argument;
mod chips;
mod forged;
mod mutation;
mod programs;
mod runs;
