//! The same cases against the host in memory and the one on disk, and what only the latter meets.

mod disk;
mod suite;
mod support;
