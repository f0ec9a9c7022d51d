//! Integration tests of the metering crate: vectors and properties of the metered module.

mod rewrite;
mod vectors;
