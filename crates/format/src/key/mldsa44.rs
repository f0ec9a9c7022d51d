//! Suite 3: ML-DSA-44 of FIPS 204, pure, with the empty context.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::ErrorCode;
use ml_dsa::signature::{Keypair as _, SignatureEncoding as _, Signer as _, Verifier as _};
use ml_dsa::{EncodedSignature, EncodedVerifyingKey, MlDsa44, Signature, SigningKey, VerifyingKey};

use crate::DecodeError;

const KEY_BYTES: usize = 1_312;
const SIGNATURE_BYTES: usize = 2_420;

/// Checks key bytes at import; every 1,312 bytes are a key (FIPS 204 algorithm 23).
pub(super) fn import(bytes: &[u8]) -> Result<VerifyingKey<MlDsa44>, DecodeError> {
    let encoded = EncodedVerifyingKey::<MlDsa44>::try_from(bytes).map_err(|_| {
        let detail = format!("mldsa44 key has {} bytes, allowed {KEY_BYTES}", bytes.len());
        DecodeError::new(ErrorCode::KeyInvalid, detail)
    })?;
    Ok(VerifyingKey::decode(&encoded))
}

/// Checks the form of a signature, which is its length; the rest is part of verification.
pub(super) fn signature_form(signature: &[u8]) -> Result<&EncodedSignature<MlDsa44>, DecodeError> {
    signature.try_into().map_err(|_| {
        let found = signature.len();
        let detail = format!("mldsa44 signature has {found} bytes, allowed {SIGNATURE_BYTES}");
        DecodeError::new(ErrorCode::SignatureForm, detail)
    })
}

/// Verifies as FIPS 204 algorithm 3; that includes norm of z and form of the hint.
pub(super) fn verify(key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), DecodeError> {
    let encoded = signature_form(signature)?;
    let key = import(key)?;
    let valid =
        Signature::decode(encoded).is_some_and(|signature| key.verify(message, &signature).is_ok());
    if valid {
        return Ok(());
    }
    let detail = "mldsa44 signature does not verify with this key and message";
    Err(DecodeError::new(ErrorCode::SignatureInvalid, detail))
}

pub(super) fn derive(seed: &[u8; 32]) -> Vec<u8> {
    SigningKey::<MlDsa44>::from_seed(&(*seed).into()).verifying_key().encode().to_vec()
}

/// Signs by the deterministic variant of FIPS 204 algorithm 2.
pub(super) fn sign(seed: &[u8; 32], message: &[u8]) -> Vec<u8> {
    SigningKey::<MlDsa44>::from_seed(&(*seed).into()).sign(message).to_vec()
}
