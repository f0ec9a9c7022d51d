//! The one test binary of this crate.

mod registry;
mod statement;
mod transcript;
