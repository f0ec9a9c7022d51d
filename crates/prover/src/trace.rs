//! From the log of a run to the cells of every table.
//!
//! # Map
//! [`Log`] records a run, `record` is what a row generator sees of a step, and each chip has one
//! module with one pure function from a record to a row.

mod aligned;
mod alu;
mod assemble;
mod binary;
mod bit;
mod brc;
mod brtab;
mod call;
mod calli;
mod chg;
mod cnt;
mod compare;
mod count;
mod div;
mod ext;
mod frame;
mod io;
mod jump;
mod memg;
mod movc;
mod mul;
mod record;
mod select;
mod setc;
mod shift;
mod span;
mod transcript;

pub use assemble::assemble;
pub use record::Log;
