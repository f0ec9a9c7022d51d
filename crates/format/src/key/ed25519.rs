//! Suite 1: Ed25519 of RFC 8032 with the strict acceptance rule.

use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
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

/// The points whose order divides 8, each in its canonical encoding.
const SMALL_ORDER: [[u8; 32]; 8] = {
    let mut points = [[0; 32], [0; 32], [0; 32], PRIME, ORDER_8_LOW, ORDER_8_LOW, ORDER_8, ORDER_8];
    // y is 1; 0 with either sign; -1; and two values, each with either sign.
    points[0][0] = 1;
    points[2][31] = 0x80;
    points[3][0] -= 1;
    points[5][31] |= 0x80;
    points[7][31] |= 0x80;
    points
};

/// The two values of y of points of order 8, which are each other's negative.
const ORDER_8_LOW: [u8; 32] = [
    0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
    0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
];
const ORDER_8: [u8; 32] = [
    0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
    0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
];

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
/// The key has passed [`import`], so it is no point of small order.
/// The library computes what R has to be and compares the encodings, so that an R of another form
/// differs; what is left of the strict rule is a look at eight encodings, where its own
/// `verify_strict` decompresses R once more.
pub(super) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), DecodeError> {
    let signature = signature_form(signature)?;
    let key = <&[u8; KEY_BYTES]>::try_from(key).expect("the length was checked at import");
    let small = SMALL_ORDER.contains(signature.r_bytes());
    let valid = decompress(key)?.verify(message, &signature).is_ok();
    if !valid || guard!("format.key.small_r", small) {
        let detail = "ed25519 signature does not verify with this key and message";
        return Err(DecodeError::new(ErrorCode::SignatureInvalid, detail));
    }
    Ok(())
}

pub(super) fn derive(seed: &[u8; 32]) -> [u8; KEY_BYTES] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

pub(super) fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;

    /// The points of small order are a group of 8, so eight different ones are all of them.
    #[test]
    fn the_points_of_small_order_are_these_eight() {
        let distinct: BTreeSet<_> = SMALL_ORDER.iter().collect();
        assert_eq!(distinct.len(), 8);
        for bytes in &SMALL_ORDER {
            assert!(decompress(bytes).unwrap().is_weak(), "{bytes:02x?}");
            let mut y = *bytes;
            y[31] &= 0x7f;
            assert!(y.iter().rev().lt(PRIME.iter().rev()), "{bytes:02x?} is canonical");
        }
    }

    /// Signatures whose equation holds with an R of small order, which the holder of the secret can
    /// make for any message: with R as identity, and with an R of order 8 under a key that is the
    /// sum of an honest one and a point of order 8.
    #[test]
    fn an_r_of_small_order_is_refused_though_the_equation_holds() {
        let cases = [
            (
                "b02b51146f310199596dc509904c75d74b5f5b8319578f075f15a51b7702e437",
                "0100000000000000000000000000000000000000000000000000000000000000\
                 a8f029999162c38762de120d3e5cdf382aec158f5c69af37853659f5bb60e10e",
            ),
            (
                "1999a49109a7df4dc1f4b137951a6fb77c21e889c62ea902017c64a69d083b87",
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\
                 745503874e1ba733b6c3f8dd132745a4615ef867935feaa6824e1ab0d808e80b",
            ),
        ];
        for (key, signature) in cases {
            let key: [u8; KEY_BYTES] = crate::hash::decode_hex(key).unwrap();
            let bytes: [u8; SIGNATURE_BYTES] = crate::hash::decode_hex(signature).unwrap();
            let parsed = Signature::from_bytes(&bytes);
            let library = import(&key).unwrap();
            assert!(library.verify(&[0], &parsed).is_ok(), "the equation holds");
            assert!(library.verify_strict(&[0], &parsed).is_err());
            let refused = verify(&key, &[0], &bytes).unwrap_err();
            assert_eq!(refused.code, ErrorCode::SignatureInvalid);
        }
    }
}
