//! Suite 1: Ed25519 of RFC 8032 with the strict acceptance rule.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;

const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// Order of the base point, little-endian (RFC 8032 section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The prime of the field, little-endian (RFC 8032 section 5.1).
const PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    prime
};

/// Checks key bytes at import: length, point on the curve, canonical encoding, order.
///
/// The other form that a point can have, the sign of an x that is 0, belongs to points of small
/// order alone.
pub(super) fn import(bytes: &[u8]) -> Result<VerifyingKey, DecodeError> {
    let refuse = |detail: &str| DecodeError::new(ErrorCode::KeyInvalid, detail);
    let Ok(bytes) = <&[u8; KEY_BYTES]>::try_from(bytes) else {
        let detail = alloc::format!("ed25519 key has {} bytes, allowed {KEY_BYTES}", bytes.len());
        return Err(refuse(&detail));
    };
    let key = decompress(bytes)?;
    let mut y = *bytes;
    y[31] &= 0x7f;
    if guard!("format.key.canonical", !y.iter().rev().lt(PRIME.iter().rev())) {
        return Err(refuse("ed25519 key is not the canonical encoding of its point"));
    }
    if guard!("format.key.small_order", key.is_weak()) {
        return Err(refuse("ed25519 key is a point of small order"));
    }
    Ok(key)
}

fn decompress(bytes: &[u8; KEY_BYTES]) -> Result<VerifyingKey, DecodeError> {
    VerifyingKey::from_bytes(bytes).map_err(|_| {
        DecodeError::new(ErrorCode::KeyInvalid, "ed25519 key is not a point of the curve")
    })
}

/// Checks the form of a signature: length, and S below the group order.
pub(super) fn signature_form(signature: &[u8]) -> Result<Signature, DecodeError> {
    let refuse = |detail: &str| DecodeError::new(ErrorCode::SignatureForm, detail);
    let Ok(signature) = <&[u8; SIGNATURE_BYTES]>::try_from(signature) else {
        let (found, allowed) = (signature.len(), SIGNATURE_BYTES);
        let detail = alloc::format!("ed25519 signature has {found} bytes, allowed {allowed}");
        return Err(refuse(&detail));
    };
    let s = &signature[32..];
    if guard!("format.key.signature_s", !s.iter().rev().lt(ORDER.iter().rev())) {
        return Err(refuse("S of the ed25519 signature is not below the group order"));
    }
    Ok(Signature::from_bytes(signature))
}

/// Verifies with the equation without cofactor; refuses an R of small order or of another form.
///
/// The key has passed [`import`].
pub(super) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), DecodeError> {
    let signature = signature_form(signature)?;
    let key = <&[u8; KEY_BYTES]>::try_from(key).expect("the length was checked at import");
    decompress(key)?.verify_strict(message, &signature).map_err(|_| {
        let detail = "ed25519 signature does not verify with this key and message";
        DecodeError::new(ErrorCode::SignatureInvalid, detail)
    })
}

pub(super) fn derive(seed: &[u8; 32]) -> [u8; KEY_BYTES] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

pub(super) fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}
