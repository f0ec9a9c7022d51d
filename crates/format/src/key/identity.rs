//! Identities: the sets of keys that rights belong to.

use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::{PublicKey, Suite};
use crate::DecodeError;
use crate::cbor;
use crate::hash::{self, Tag, digest_id};

/// Greatest number of keys in an identity: one per suite.
const KEYS_MAX: usize = Suite::ALL.len();

digest_id! {
    /// Names an author, issuer, owner, writer, signer, grantee or requester.
    IdentityId
}

/// One to four keys, one per suite, in order of the suite; every one of them signs.
///
/// Compares by its keys, of which the id is a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    keys: Vec<PublicKey>,
    id: IdentityId,
}

impl Identity {
    /// Forms an identity of keys in order of their suite.
    ///
    /// # Errors
    /// E008 for no key, more than four, or suites that do not ascend strictly; E034 if every key
    /// is of a suite that is only additive.
    pub fn new(keys: Vec<PublicKey>) -> Result<Self, DecodeError> {
        let refuse = |code, detail: &str| Err(DecodeError::new(code, detail));
        if guard!("format.key.identity_empty", keys.is_empty()) {
            return refuse(ErrorCode::SchemaViolation, "identity has 0 keys, allowed 1 to 4");
        }
        let ascending = keys.is_sorted_by(|left, right| left.suite() < right.suite());
        if guard!("format.key.identity_order", !ascending) {
            let detail = "keys of an identity are not in ascending order of their suite";
            return refuse(ErrorCode::SchemaViolation, detail);
        }
        // Ascending suites bound the number of keys.
        debug_assert!(!ascending || keys.len() <= KEYS_MAX);
        if guard!("format.key.identity_additive", keys.iter().all(|key| key.suite().is_additive()))
        {
            let detail = "identity has mldsa44 alone, allowed is it beside another suite";
            return refuse(ErrorCode::SuiteUnsupported, detail);
        }
        let id = IdentityId::new(hash::tagged(Tag::Identity, &[&cbor::encode(&to_cbor(&keys))]));
        Ok(Self { keys, id })
    }

    /// Forms an identity of key texts in order of their suite.
    ///
    /// # Errors
    /// As [`PublicKey`] and [`Identity::new`].
    pub(crate) fn from_texts(texts: &[String]) -> Result<Self, DecodeError> {
        let keys: Result<_, DecodeError> = texts.iter().map(|text| text.parse()).collect();
        Self::new(keys?)
    }

    /// Tells whether a key of this identity is one of `other`, which lacks another one of it.
    ///
    /// An identity never shrinks, so that a key whose suite is broken cannot speak alone.
    #[must_use]
    pub fn is_shrunk_to(&self, other: &Self) -> bool {
        let shared = |key: &PublicKey| other.contains(key);
        self.keys.iter().any(shared) && !self.keys.iter().all(shared)
    }

    /// Returns the keys in order of their suite.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Tells whether this key is one of the identity.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key)
    }

    /// Returns the identity id.
    #[must_use]
    pub const fn id(&self) -> IdentityId {
        self.id
    }

    /// Returns the keys as KCBOR.
    #[must_use]
    pub fn to_cbor(&self) -> cbor::Value {
        to_cbor(&self.keys)
    }
}

fn to_cbor(keys: &[PublicKey]) -> cbor::Value {
    cbor::Value::array(keys.iter().map(PublicKey::to_cbor))
}

impl TryFrom<PublicKey> for Identity {
    type Error = DecodeError;

    /// Forms the identity of one key alone.
    ///
    /// # Errors
    /// E034 if the suite of the key is only additive.
    fn try_from(key: PublicKey) -> Result<Self, DecodeError> {
        Self::new([key].into())
    }
}

impl cbor::FromValue for Identity {
    fn from_value(value: cbor::Value) -> Result<Self, DecodeError> {
        Self::new(Vec::<PublicKey>::from_value(value)?)
    }
}
