//! Integration tests of the metering crate: vectors and properties of the metered module.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read vector files")]

mod rewrite;
mod vectors;
