//! The same cases against the host in memory and the one on disk, and what only the latter meets.
#![expect(clippy::unwrap_used, reason = "helpers that cannot go on fail the test that calls them")]

mod disk;
mod suite;
mod support;
