//! The one test binary of this crate.

mod forged;
mod mutation;
mod programs;
mod runs;
