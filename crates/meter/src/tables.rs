//! The frozen metering tables: `fuel-1` and `stack-1`.
//!
//! A table never changes under its name; other numbers need a new name.

mod fuel_1;
pub mod stack_1;

pub use fuel_1::{BLOCK_COST_MAX, DYNAMIC_UNITS_PER_FUEL, operator_cost};

/// Names of the tables and of the rewriting pass, as receipts carry them.
pub const METERING: &str = "fuel-1 stack-1 meter-1";

/// Fuel of one millisecond of a `cpu` limit.
///
/// Chosen: a published rate, about what the JIT runs on a 2020s core.
pub const FUEL_PER_MS: u64 = 1_000_000;
