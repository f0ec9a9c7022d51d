//! Verifies a proof of execution inside a sandbox: a module for `kapsule run`.
//!
//! The input is the granted pages (u32), the length of a module (u32), the module, and the proof
//! file of `kapsule prove`; all integers are little-endian.
//! The output says how the run ended and what it wrote.
//! Like every verifier, this one lowers the module itself and takes nothing about the program from
//! the proof; policy and binding it believes, since it is given neither.
//! It ends with 1 and a line in the log if the proof is not accepted.
#![no_std]

extern crate alloc;

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use kapsule_guest::Error;
use kapsule_lower::{Options, lower};
use kapsule_proof::{Expected, Key, Known, ParamSet, ProvenRun};

/// Verifies one proof.
///
/// # Errors
/// Why the input is none, or the proof is not accepted.
pub fn run(input: &[u8]) -> Result<Vec<u8>, Error> {
    let (pages, rest) = number(input)?;
    let (length, rest) = number(rest)?;
    let (module, proof) = rest.split_at_checked(length as usize).ok_or_else(short)?;
    let proof = ProvenRun::decode(proof).map_err(refused)?;
    let statement = proof.statement();
    let params = ParamSet::from_number(statement.param_set);
    let params = params.ok_or_else(|| Error::input("the parameter set is unknown"))?;
    let lowered = lower(module, &Options::new(pages)).map_err(refused)?;
    let key = Key::derive(&lowered.program, params);
    let key = key.ok_or_else(|| Error::input("the program is too large"))?;
    let expected = Expected {
        module_hash: statement.module_hash,
        policy_digest: statement.policy_digest,
        binding: statement.binding,
        entry: &statement.entry,
        transcript: None,
        allow_test_params: false,
    };
    let shown = proof.check(&key, &expected, &Known::default()).map_err(refused)?;
    let head = format!(
        "{}, {} bits proven, fuel {}, output of {} bytes:\n",
        shown.outcome,
        params.proven_bits,
        statement.fuel_used,
        shown.output.len()
    );
    Ok([head.as_bytes(), &shown.output].concat())
}

/// Takes a number off the front.
fn number(bytes: &[u8]) -> Result<(u32, &[u8]), Error> {
    let (word, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    Ok((u32::from_le_bytes(*word), rest))
}

fn short() -> Error {
    Error::input("the input ends early")
}

fn refused(error: impl ToString) -> Error {
    Error::input(error.to_string())
}

kapsule_guest::entry!(raw run);
