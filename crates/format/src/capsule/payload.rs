//! The plaintext of a payload: an inner header that says where it belongs, the body, padding.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::body::{Body, content_type};
use super::kind;
use super::meta::{Meta, conflict};
use crate::cbor::{self, Fields, FromValue as _, Value};
use crate::hash::{Tag, tagged};
use crate::key::Identity;
use crate::{DecodeError, Digest};

/// What a sender learns of a payload that does not open, whatever the reason is.
///
/// The code of the error is for the reader's own report and log alone.
pub const OPEN_REFUSED: &str = "the payload does not open";

/// Length of the number before the inner header.
const LENGTH_BYTES: usize = 4;

/// What an identity opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Content type.
    pub content_type: String,
    /// What the capsule says.
    pub body: Body,
    /// Its bytes, for a guest that reads them itself.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Returns the length that a plaintext of `length` bytes is padded to.
///
/// At most 12 % are added, and a length tells about as much as its floating-point form with a
/// mantissa of a few bits.
///
/// # Examples
/// ```
/// use kapsule_format::capsule::padded;
///
/// assert_eq!([100, 1_000, 4_097, 65_537, 1_000_000].map(padded), [
///     104, 1_024, 4_352, 67_584, 1_015_808
/// ]);
/// ```
#[must_use]
pub const fn padded(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let kept = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept)) - 1;
    length.saturating_add(mask) & !mask
}

/// Returns the commitment of key 11.
pub(super) fn commitment(salt: &[u8; 32], content_type: &str, body: &[u8]) -> Digest {
    tagged(Tag::CapsulePlain, &[salt, content_type.as_bytes(), body])
}

/// Writes the plaintext of a capsule whose metadata are complete but for their entries.
pub(super) fn write(
    meta: &Meta,
    salt: &[u8; 32],
    content_type: &str,
    body: &[u8],
) -> Zeroizing<Vec<u8>> {
    let inner = cbor::encode(&Value::Map(vec![
        (0, 1.into()),
        (1, meta.binding().into()),
        (2, meta.author.to_cbor()),
        (3, salt.to_vec().into()),
        (4, content_type.into()),
        (5, (body.len() as u64).into()),
    ]));
    let length = padded((LENGTH_BYTES + inner.len() + body.len()) as u64) as usize;
    // Large enough from the start, so that no copy of the plaintext is left behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(length));
    plaintext.extend_from_slice(&(inner.len() as u32).to_be_bytes());
    plaintext.extend_from_slice(&inner);
    plaintext.extend_from_slice(body);
    plaintext.resize(length, 0);
    plaintext
}

/// The header inside the encryption.
struct Inner {
    binding: Digest,
    /// Whether its author is that of the metadata.
    by_author: bool,
    salt: [u8; 32],
    content_type: String,
    body_bytes: u64,
}

impl Inner {
    fn decode(bytes: &[u8], author: &Identity) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "inner")?;
        fields.version(1)?;
        let inner = Self {
            binding: fields.required(1)?,
            by_author: is_identity(fields.required(2)?, author)?,
            salt: fields.required(3)?,
            content_type: fields.required(4)?,
            body_bytes: fields.required(5)?,
        };
        fields.finish()?;
        Ok(inner)
    }
}

/// Tells whether a value is this identity.
///
/// The keys of an identity were checked when it was read, and only another one's are checked here.
fn is_identity(value: Value, identity: &Identity) -> Result<bool, DecodeError> {
    if value == identity.to_cbor() {
        return Ok(true);
    }
    Identity::from_value(value).map(|other| other == *identity)
}

/// Reads a plaintext and checks that it belongs to the capsule.
pub(super) fn read(meta: &Meta, plaintext: &[u8]) -> Result<Opened, DecodeError> {
    let cut = || DecodeError::new(ErrorCode::Truncated, "the plaintext ends inside a field");
    let (length, rest) = plaintext.split_first_chunk::<LENGTH_BYTES>().ok_or_else(cut)?;
    let length = u32::from_be_bytes(*length) as usize;
    let (inner, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    let inner = Inner::decode(inner, &meta.author)?;
    let body_bytes = usize::try_from(inner.body_bytes).map_err(|_| cut())?;
    let (body, padding) = rest.split_at_checked(body_bytes).ok_or_else(cut)?;
    // Binding and author come first: a payload of another capsule is told as such.
    let elsewhere = inner.binding != meta.binding() || !inner.by_author;
    if guard!("format.capsule.binding", elsewhere) {
        let detail = "the payload belongs to another capsule or author";
        return Err(DecodeError::new(ErrorCode::BindingMismatch, detail));
    }
    let opens = commitment(&inner.salt, &inner.content_type, body) == meta.commitment;
    if guard!("format.capsule.commitment", !opens) {
        let detail = "the body is not the one that the author committed to";
        return Err(DecodeError::new(ErrorCode::CommitmentMismatch, detail));
    }
    let wanted = padded((plaintext.len() - padding.len()) as u64);
    let zero = padding.iter().all(|byte| *byte == 0);
    if guard!("format.capsule.padding", plaintext.len() as u64 != wanted || !zero) {
        let detail = format!("plaintext of {} bytes, padded it has {wanted}", plaintext.len());
        return Err(DecodeError::new(ErrorCode::PaddingInvalid, detail));
    }
    let known = kind::ALL.contains(&meta.kind.as_str());
    let typed = inner.content_type == content_type(&meta.kind);
    if guard!("format.capsule.content_type", known && !typed) {
        return Err(conflict("the content type is not the one of the kind"));
    }
    let bytes = Zeroizing::new(body.to_vec());
    let body = Body::decode(&meta.kind, body)?;
    check_epoch(meta, &body)?;
    Ok(Opened { content_type: inner.content_type, body, bytes })
}

/// Checks that the secret of an epoch is the one of its recipient.
fn check_epoch(meta: &Meta, body: &Body) -> Result<(), DecodeError> {
    #[cfg(feature = "encrypt")]
    if let (Body::Keyring(epoch), Some(keyring)) = (body, &meta.keyring) {
        let recipient: crate::encrypt::Recipient = keyring.recipient.parse()?;
        if guard!("format.capsule.epoch_recipient", !recipient.is_of(&epoch.identity)) {
            return Err(conflict("the identity of the epoch is not the one of its recipient"));
        }
    }
    #[cfg(not(feature = "encrypt"))]
    let _ = (meta, body);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn padding_grows_a_length_little_and_hides_its_low_bits() {
        for length in 1..100_000_u64 {
            let found = padded(length);
            assert!(found >= length && found * 100 <= length * 112, "{length} to {found}");
            assert_eq!(padded(found), found, "a padded length stays");
        }
        assert_eq!([0, 1, 2, 3, 9, 255].map(padded), [0, 1, 2, 3, 10, 256]);
        let classes: alloc::collections::BTreeSet<u64> = (1..100_000).map(padded).collect();
        assert!(classes.len() < 200, "{} lengths are left", classes.len());
    }
}
