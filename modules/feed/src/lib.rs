#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod input;

use alloc::format;
use alloc::vec::Vec;

use kapsule_guest::host::{self, Called};
use kapsule_guest::{BUFFER_BYTES_MAX, Errno, Error};

pub use input::Input;

/// Code of a package that did not complete with 0.
pub const CALLEE_ERROR: u16 = Error::MODULE;
/// Code of an output that is longer than a call carries.
pub const OUTPUT_ERROR: u16 = Error::MODULE + 1;

/// Longest output of a nested run in bytes: one buffer less the header of the answer.
pub const OUTPUT_BYTES_MAX: usize = BUFFER_BYTES_MAX as usize - 16;

/// Runs a package on an input.
pub type Call<'a> = &'a mut dyn FnMut(&[u8; 32], &[u8]) -> Result<Called, Errno>;

/// Orders a feed; `call` runs the two packages.
///
/// # Errors
/// The codes of the README's table.
pub fn run_with(bytes: &[u8], call: Call<'_>) -> Result<Vec<u8>, Error> {
    let input = Input::decode(bytes)?;
    let trust = output("trust", call(input.trust_package, input.trust_input))?;
    output("rank", call(input.rank_package, &input.rank_input(&trust)))
}

/// Orders a feed with the packages of the host.
///
/// # Errors
/// As [`run_with`].
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run_with(bytes, &mut |package, input| host::call(package, "", input, OUTPUT_BYTES_MAX))
}

/// Returns the output of a nested run that completed with 0.
fn output(package: &str, called: Result<Called, Errno>) -> Result<Vec<u8>, Error> {
    let called = called.map_err(|errno| {
        Error::new(Error::HOST, format!("the package of {package} was not run: {}", errno.name()))
    })?;
    if !called.is_success() {
        let Called { class, detail, .. } = called;
        let text = format!("{package} ended with outcome class {class}, detail {detail}");
        return Err(Error::new(CALLEE_ERROR, text));
    }
    called.output.ok_or_else(|| {
        let length = called.output_bytes;
        let text = format!("{length} bytes of {package} exceed the limit of {OUTPUT_BYTES_MAX}");
        Error::new(OUTPUT_ERROR, text)
    })
}

kapsule_guest::entry!(raw run);
