//! Suites 2 and 4: ECDSA with SHA-256 over P-256 and over secp256k1.
//!
//! Both curves have one set of rules, so one macro defines both modules; the libraries share their
//! types but no trait that is shorter than the macro.

use alloc::format;
use alloc::string::String;

use ::p256::ecdsa::VerifyingKey;
use data_encoding::BASE64;
use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;

/// Length of a compressed point (SEC 1 section 2.3.3).
const KEY_BYTES: usize = 33;

/// Checks length and tag of key bytes; one point then has one encoding.
fn check_compressed(bytes: &[u8], suite: &str) -> Result<(), DecodeError> {
    let found = bytes.len();
    if found != KEY_BYTES {
        let detail = format!("{suite} key has {found} bytes, allowed {KEY_BYTES}");
        return Err(DecodeError::new(ErrorCode::KeyInvalid, detail));
    }
    // A library also reads 05, the compact form, which stands for one of two points by convention.
    if guard!("format.key.compressed", !matches!(bytes[0], 2 | 3)) {
        let tag = bytes[0];
        let detail = format!("{suite} key starts with {tag:02x}, allowed 02 and 03");
        return Err(DecodeError::new(ErrorCode::KeyInvalid, detail));
    }
    Ok(())
}

/// Defines the functions of one suite over the curve of one library.
macro_rules! suite {
    ($module:ident, $library:ident) => {
        pub(in crate::key) mod $module {
            use alloc::format;
            use alloc::vec::Vec;

            use kapsule_abi::{ErrorCode, guard};
            use $library::ecdsa::signature::{Signer as _, Verifier as _};
            use $library::ecdsa::{Signature, SigningKey, VerifyingKey};

            use crate::DecodeError;

            const SUITE: &str = stringify!($module);

            /// Checks key bytes at import: compressed form, and a point of the curve.
            pub(in crate::key) fn import(bytes: &[u8]) -> Result<VerifyingKey, DecodeError> {
                super::check_compressed(bytes, SUITE)?;
                VerifyingKey::from_sec1_bytes(bytes).map_err(|_| {
                    let detail = format!("{SUITE} key is not a point of the curve");
                    DecodeError::new(ErrorCode::KeyInvalid, detail)
                })
            }

            /// Checks the form of a signature: strict DER, r and s in range, and a low s.
            pub(in crate::key) fn signature_form(bytes: &[u8]) -> Result<Signature, DecodeError> {
                let refuse = |detail| DecodeError::new(ErrorCode::SignatureForm, detail);
                let signature = Signature::from_der(bytes).map_err(|_| {
                    refuse(format!(
                        "{SUITE} signature of {} bytes is not DER of two minimal integers from 1 \
                         to n - 1",
                        bytes.len()
                    ))
                })?;
                let high = signature.normalize_s() != signature;
                if guard!("format.key.low_s", high) {
                    return Err(refuse(format!("s of the {SUITE} signature is above n / 2")));
                }
                Ok(signature)
            }

            pub(in crate::key) fn verify(
                key: &[u8],
                message: &[u8],
                signature: &[u8],
            ) -> Result<(), DecodeError> {
                let signature = signature_form(signature)?;
                import(key)?.verify(message, &signature).map_err(|_| {
                    let detail =
                        format!("{SUITE} signature does not verify with this key and message");
                    DecodeError::new(ErrorCode::SignatureInvalid, detail)
                })
            }

            /// Returns the public key of a scalar, which has to be from 1 to n - 1.
            pub(in crate::key) fn derive(scalar: &[u8; 32]) -> Result<Vec<u8>, DecodeError> {
                let key = SigningKey::from_slice(scalar).map_err(|_| {
                    let detail = format!("{SUITE} scalar is not from 1 to n - 1");
                    DecodeError::new(ErrorCode::KeyInvalid, detail)
                })?;
                Ok(key.verifying_key().to_sec1_point(true).as_bytes().into())
            }

            /// Signs with the nonce of RFC 6979 and a low s.
            pub(in crate::key) fn sign(scalar: &[u8; 32], message: &[u8]) -> Vec<u8> {
                let key = SigningKey::from_slice(scalar).expect("a secret key has a public key");
                let signature: Signature = key.sign(message);
                signature.normalize_s().to_der().as_bytes().into()
            }
        }
    };
}

suite!(p256, p256);
suite!(secp256k1, k256);

/// DER of a SubjectPublicKeyInfo for P-256 up to the uncompressed point (RFC 5480).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Characters of a line of PEM (RFC 7468).
const PEM_COLUMNS: usize = 64;

/// Returns the SubjectPublicKeyInfo of a P-256 key as PEM, with an uncompressed point.
pub(super) fn p256_pem(key: &[u8]) -> String {
    let key = VerifyingKey::from_sec1_bytes(key).expect("a public key was imported");
    let spki = [&P256_SPKI[..], key.to_sec1_point(false).as_bytes()].concat();
    let base64 = BASE64.encode(&spki);
    let mut pem = String::from("-----BEGIN PUBLIC KEY-----\n");
    // Base64 is ASCII, so its bytes are its characters.
    for line in base64.as_bytes().chunks(PEM_COLUMNS) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + "-----END PUBLIC KEY-----\n"
}
