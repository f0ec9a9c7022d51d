//! From the log of a run to the cells of every table.
//!
//! # Map
//! [`Log`] records a run, `record` is what a row generator sees of a step, and each chip has one
//! module with one pure function from a record to a row.

mod alu;
mod assemble;
mod brc;
mod call;
mod compare;
mod count;
mod frame;
mod io;
mod jump;
mod movc;
mod record;
mod transcript;

pub use assemble::{Unproven, assemble, chip_table};
pub use record::Log;
