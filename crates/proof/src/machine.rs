//! What all tables share: columns, buses, the builder and the list of tables.
//!
//! Tables are written once, against [`Builder`]; proving, verifying, checking and describing differ
//! in the builder alone.

mod builder;
mod bus;
mod check;
mod columns;
mod registry;
mod row;
mod table;

pub use builder::{Builder, Instr, Next};
pub use bus::{AND, BYTE2, CNT, DYN, EXEC, IMG, Lookup, MEM, P2, PROG, Permutation, RNG, TX, TXS};
pub use check::{Checked, Failure, Message, Rows, check_segment, rows_of};
pub(crate) use columns::columns;
pub use columns::{Access, Columns, Operands, State};
pub use registry::{DIGEST, describe, digest};
pub use row::{RowBuilder, Sink};
pub use table::{Image, Kind, Program, Table, Trace};
