//! The standard modules as they are committed, on both backends.

mod agent;
mod blocklist;
mod float;
mod transfer;
