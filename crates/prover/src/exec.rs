//! The machine that lowered programs run on.
//!
//! [`Machine::run`] interprets a program from a program counter until it ends; every word that
//! enters or leaves passes through the caller's [`Words`], and a [`Tracer`] sees each step.

mod alu;
mod decode;
mod machine;
mod memory;
mod ops;
mod run;
mod trace;
mod words;

pub use machine::{Bounds, End, ExecError, Execution, Machine};
pub use trace::{Access, NoTrace, Step, Tracer};
pub use words::{Recorded, Words};
