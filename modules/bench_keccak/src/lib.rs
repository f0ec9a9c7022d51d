//! Benchmark guest: Keccak-256 of its input, computed in plain WebAssembly.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;

use kapsule_guest::Error;
use sha3::{Digest, Keccak256};

/// Returns the digest of `input`.
///
/// # Errors
/// None.
pub fn run(input: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(Keccak256::digest(input).to_vec())
}

kapsule_guest::entry!(raw run);

#[cfg(test)]
mod tests {
    #[test]
    fn the_digest_of_nothing_is_the_published_one() {
        let digest = super::run(&[]).unwrap();
        assert_eq!(digest[..4], [0xc5, 0xd2, 0x46, 0x01]);
        assert_eq!(digest.len(), 32);
    }
}
