//! The one test binary of this crate.

mod budget;
mod registry;
mod statement;
mod transcript;
