//! Runs the module's core natively: CBOR from stdin, CBOR to stdout.
//!
//! A comparison with the output of the built module shows what compiler and engine add: nothing.

use std::io::{Read, Write, stdin, stdout};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let mut input = Vec::new();
    stdin().read_to_end(&mut input)?;
    stdout().write_all(&blocklist::run(&input)?)?;
    Ok(())
}
