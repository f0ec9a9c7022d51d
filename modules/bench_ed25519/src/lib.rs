//! Benchmark guest: verifies one Ed25519 signature in plain WebAssembly.
//!
//! Input: 32 bytes of public key, 64 bytes of signature, then the message.
//! Output: one byte, 1 if the signature holds, else 0.
#![no_std]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;

use ed25519_dalek::{Signature, VerifyingKey};
use kapsule_guest::Error;

/// Verifies the signature in `input`.
///
/// # Errors
/// [`Error::INPUT`] if there is no whole key and signature.
pub fn run(input: &[u8]) -> Result<Vec<u8>, Error> {
    let short = || Error::input("a key of 32 and a signature of 64 bytes come first");
    let (key, rest) = input.split_first_chunk::<32>().ok_or_else(short)?;
    let (signature, message) = rest.split_first_chunk::<64>().ok_or_else(short)?;
    let signature = Signature::from_bytes(signature);
    let holds = VerifyingKey::from_bytes(key)
        .is_ok_and(|key| key.verify_strict(message, &signature).is_ok());
    Ok(vec![u8::from(holds)])
}

kapsule_guest::entry!(raw run);
