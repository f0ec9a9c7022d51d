//! The standard modules as they are committed, on both backends.

mod float;
mod transfer;
