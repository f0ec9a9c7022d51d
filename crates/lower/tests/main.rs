//! Integration tests of the lowering: vectors, words, and programs that the check must refuse.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests read vector files")]

mod check;
mod program;
mod vectors;
mod words;
