//! Keys, identities and signatures.
//!
//! # Spec
//! `spec/keys.md`; vectors in `spec/vectors/keys/`.

mod ecdsa;
mod ed25519;
mod file;
mod identity;
mod mldsa44;
mod test_keys;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use kapsule_abi::ErrorCode;
use zeroize::Zeroizing;

pub use file::{KeyFile, PublicLine, Uses};
pub use identity::{Identity, IdentityId};
pub use test_keys::is_published_test_key;

use crate::DecodeError;
use crate::cbor;
use crate::hash::{self, digest_id};

digest_id! {
    /// Look-up hint for a key.
    ///
    /// Signatures are checked with the full key, and rights belong to an [`IdentityId`].
    KeyId
}

/// A signature algorithm; the number is part of formats and never reused.
///
/// Every build signs and verifies with all of them, since a guest may ask for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Suite {
    /// Ed25519 of RFC 8032, pure.
    Ed25519 = 1,
    /// ECDSA with SHA-256 over P-256.
    P256 = 2,
    /// ML-DSA-44 of FIPS 204; never the only suite of an identity.
    MlDsa44 = 3,
    /// ECDSA with SHA-256 over secp256k1.
    Secp256k1 = 4,
}

impl Suite {
    /// Every suite in order of its number.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::P256, Self::MlDsa44, Self::Secp256k1];

    /// Returns the number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the name, as key text has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::MlDsa44 => "mldsa44",
            Self::Secp256k1 => "secp256k1",
        }
    }

    /// Returns the suite with this number.
    ///
    /// # Errors
    /// E034 if the table lacks it.
    pub fn from_number(number: u64) -> Result<Self, DecodeError> {
        let suite = Self::ALL.into_iter().find(|suite| u64::from(suite.number()) == number);
        suite.ok_or_else(|| unsupported(format!("suite {number} is unknown, allowed 1 to 4")))
    }

    /// Returns the suite with this name.
    ///
    /// # Errors
    /// E034 if the table lacks it.
    pub fn from_name(name: &str) -> Result<Self, DecodeError> {
        let suite = Self::ALL.into_iter().find(|suite| suite.name() == name);
        suite.ok_or_else(|| unsupported("suite name is unknown"))
    }

    /// Tells whether a key of this suite may only stand beside one of another suite.
    #[must_use]
    pub const fn is_additive(self) -> bool {
        matches!(self, Self::MlDsa44)
    }

    /// Checks what can be said of a signature without its key.
    ///
    /// # Errors
    /// E036 for a wrong length, an S that is not reduced or not low, or DER that is not strict.
    pub fn check_signature_form(self, signature: &[u8]) -> Result<(), DecodeError> {
        match self {
            Self::Ed25519 => ed25519::signature_form(signature).map(drop),
            Self::P256 => ecdsa::p256::signature_form(signature).map(drop),
            Self::MlDsa44 => mldsa44::signature_form(signature).map(drop),
            Self::Secp256k1 => ecdsa::secp256k1::signature_form(signature).map(drop),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

fn unsupported(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::SuiteUnsupported, detail)
}

/// A public key that passed the import checks of its suite.
///
/// Prints and parses as key text, for example `ed25519:d75a98..`.
/// Equality of keys says nothing about who holds them; rights belong to an [`Identity`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    suite: Suite,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Checks and wraps the key bytes of a suite.
    ///
    /// # Errors
    /// E035 for bytes of another length, that are not the canonical encoding of a curve point, or
    /// that encode a point of small order.
    pub fn new(suite: Suite, bytes: &[u8]) -> Result<Self, DecodeError> {
        match suite {
            Suite::Ed25519 => ed25519::import(bytes).map(drop),
            Suite::P256 => ecdsa::p256::import(bytes).map(drop),
            Suite::MlDsa44 => mldsa44::import(bytes).map(drop),
            Suite::Secp256k1 => ecdsa::secp256k1::import(bytes).map(drop),
        }?;
        Ok(Self { suite, bytes: bytes.into() })
    }

    /// Returns the suite.
    #[must_use]
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Returns the key bytes without the suite.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the key id.
    ///
    /// Decompresses a key of suite 2, which takes some tens of microseconds.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let (keytype, scheme, public) = match self.suite {
            Suite::Ed25519 => ("ed25519", "ed25519", HEXLOWER.encode(&self.bytes)),
            Suite::P256 => ("ecdsa", "ecdsa-sha2-nistp256", ecdsa::p256_pem(&self.bytes)),
            Suite::MlDsa44 => ("ml-dsa", "ml-dsa-44", HEXLOWER.encode(&self.bytes)),
            Suite::Secp256k1 => ("ecdsa", "ecdsa-sha2-secp256k1", HEXLOWER.encode(&self.bytes)),
        };
        let preimage = format!(
            r#"{{"keytype":"{keytype}","keyval":{{"public":"{public}"}},"scheme":"{scheme}"}}"#
        );
        KeyId::new(hash::sha256(preimage.as_bytes()))
    }

    /// Names the key in a message: suite and key id, since key bytes can be 1,312.
    #[must_use]
    pub fn brief(&self) -> String {
        format!("{} key {}", self.suite, self.id())
    }

    /// Verifies a signature over `message`.
    ///
    /// Takes tens to hundreds of microseconds by suite, and time linear in the message.
    ///
    /// # Errors
    /// E036 if the signature is malformed, E032 if it is not one of this key over this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), DecodeError> {
        let verify = match self.suite {
            Suite::Ed25519 => ed25519::verify,
            Suite::P256 => ecdsa::p256::verify,
            Suite::MlDsa44 => mldsa44::verify,
            Suite::Secp256k1 => ecdsa::secp256k1::verify,
        };
        verify(&self.bytes, message, signature)
    }

    /// Returns the key as KCBOR: `[suite, bytes]`.
    #[must_use]
    pub fn to_cbor(&self) -> cbor::Value {
        cbor::Value::array([
            cbor::Value::Uint(u64::from(self.suite.number())),
            cbor::Value::Bytes(self.bytes.clone()),
        ])
    }
}

impl cbor::FromValue for PublicKey {
    fn from_value(value: cbor::Value) -> Result<Self, DecodeError> {
        let mut items = cbor::Items::new(value, "pubkey", 2..=2)?;
        let suite = Suite::from_number(items.required()?)?;
        let bytes: Vec<u8> = items.required()?;
        items.finish()?;
        Self::new(suite, &bytes)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.suite.name(), HEXLOWER.encode(&self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = DecodeError;

    /// # Errors
    /// E008 if the text is not a name, a colon and lower-case hex; else as [`PublicKey::new`].
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let refused = || {
            let detail = "key text is not `<suite>:<lower-case hex>`";
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        };
        let (name, hex) = text.split_once(':').ok_or_else(refused)?;
        let suite = Suite::from_name(name)?;
        let bytes = HEXLOWER.decode(hex.as_bytes()).map_err(|_| refused())?;
        Self::new(suite, &bytes)
    }
}

/// A secret key; wiped when dropped, printed by nothing.
///
/// [`fmt::Debug`] shows the public key alone.
#[derive(Clone)]
pub struct SecretKey {
    seed: Zeroizing<[u8; SecretKey::BYTES]>,
    public: PublicKey,
}

impl SecretKey {
    /// Length of the secret in bytes.
    pub const BYTES: usize = 32;

    /// Derives the key pair of a suite from its 32 secret bytes.
    ///
    /// They are the seed of suites 1 and 3 and the big-endian scalar of suites 2 and 4.
    /// A new key needs bytes from a cryptographic random number generator.
    ///
    /// # Errors
    /// E035 for a scalar that is 0 or not below the group order, one chance in 2^32 for random
    /// bytes in suite 2 and in 2^128 in suite 4.
    pub fn from_seed(suite: Suite, seed: &[u8; Self::BYTES]) -> Result<Self, DecodeError> {
        let bytes = match suite {
            Suite::Ed25519 => ed25519::derive(seed).into(),
            Suite::P256 => ecdsa::p256::derive(seed)?,
            Suite::MlDsa44 => mldsa44::derive(seed),
            Suite::Secp256k1 => ecdsa::secp256k1::derive(seed)?,
        };
        Ok(Self { seed: Zeroizing::new(*seed), public: PublicKey { suite, bytes } })
    }

    /// Returns the public key.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Returns the secret bytes, for a key file alone.
    #[must_use]
    pub fn expose_seed(&self) -> &[u8; Self::BYTES] {
        &self.seed
    }

    /// Signs `message`.
    ///
    /// # Determinism
    /// Depends on the key and the message; no random number is drawn in any suite.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.public.suite {
            Suite::Ed25519 => ed25519::sign(&self.seed, message).into(),
            Suite::P256 => ecdsa::p256::sign(&self.seed, message),
            Suite::MlDsa44 => mldsa44::sign(&self.seed, message),
            Suite::Secp256k1 => ecdsa::secp256k1::sign(&self.seed, message),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public)
    }
}

#[cfg(test)]
mod tests;
