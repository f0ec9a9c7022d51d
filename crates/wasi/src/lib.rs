//! Makes a module of a command-line program that was built for `wasm32-wasip1`.
//!
//! The program's imports of `wasi_snapshot_preview1` become functions inside the module, which
//! are written over the hostcalls of `kapsule_v1`; no host implements WASI.
//! Standard input is the run's input, standard output its output, standard error its log;
//! arguments and environment are constants; the entry `run` calls the program's `_start` and
//! returns its exit code.
//!
//! # Examples
//! ```
//! use kapsule_wasi::{Options, adapt};
//!
//! let program = wat::parse_str(
//!     r#"(module
//!         (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!         (memory (export "memory") 1)
//!         (func (export "_start") (call $exit (i32.const 3)) unreachable))"#,
//! )?;
//! let module = adapt(&program, &Options::default())?;
//! assert_eq!(module[..4], *b"\0asm");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//! `program` reads the program, `table` lists what it may import and how each is answered, `reach`
//! finds the functions in which the program may end, `shims` writes the answering functions, and
//! `assemble` puts the module together.
//!
//! # Invariants
//! - The module is a function of program and options alone.
//! - An answering function touches only memory that the program passes to it.
//! - No function of the program runs on after `proc_exit`.
//!
//! # Spec
//! `spec/wasi.md`.
#![no_std]

extern crate alloc;

mod assemble;
mod error;
mod program;
mod reach;
mod shims;
mod table;

use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

pub use error::WasiError;
pub use table::{NAMESPACE, names};

/// Greatest sum of the bytes of arguments and environment, each with its NUL.
///
/// Chosen: they become code, eight bytes an instruction.
pub const CONSTANT_BYTES_MAX: usize = 16_384;

/// What the program is told of its surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Arguments, the program's own name first.
    pub args: Vec<String>,
    /// Environment, each as `NAME=value`.
    pub env: Vec<String>,
    /// Whether clocks give the run's time, for which the package needs the grant `time`; otherwise
    /// every clock stands at 0.
    pub clock: bool,
}

/// Makes a module of a program.
///
/// Takes a few milliseconds for 100 KB of code.
///
/// # Errors
/// E004 for too many bytes of arguments, E008 for a NUL in one, E401 for invalid wasm, E403 for an
/// import that is not a function of `wasi_snapshot_preview1`, E404 for a program without `_start`.
/// What the profile does not accept is refused by the meter later.
///
/// # Determinism
/// Depends on the program's bytes and the options alone.
pub fn adapt(program: &[u8], options: &Options) -> Result<Vec<u8>, WasiError> {
    check(options)?;
    let program = program::read(program)?;
    let exiting = reach::may_exit(&program);
    assemble::assemble(&program, &exiting, options)
}

fn check(options: &Options) -> Result<(), WasiError> {
    let texts = || options.args.iter().chain(&options.env);
    let bytes: usize = texts().map(|text| text.len().saturating_add(1)).sum();
    if guard!("wasi.options.bytes", bytes > CONSTANT_BYTES_MAX) {
        let detail = alloc::format!(
            "arguments and environment of {bytes} bytes exceed the limit of {CONSTANT_BYTES_MAX}"
        );
        return Err(WasiError::new(ErrorCode::LimitExceeded, detail));
    }
    if guard!("wasi.options.nul", texts().any(|text| text.contains('\0'))) {
        let detail = "an argument or a variable holds U+0000, which ends one";
        return Err(WasiError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(())
}
