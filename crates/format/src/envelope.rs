//! Statements, the bytes that are signed, and envelope files.
//!
//! # Spec
//! `spec/keys.md`, section "Envelopes"; vectors in `spec/vectors/envelope/`.

mod attached;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use data_encoding::BASE64;
use kapsule_abi::{ErrorCode, guard};

use crate::json::{self, Fields, Value};
use crate::key::{KeyId, PublicKey, SecretKey, Suite};
use crate::limits;
use crate::{DecodeError, Digest};

pub use attached::{SignatureName, Signatures};

pub(crate) use attached::check_carried;

/// Payload type of every envelope, part of the signed bytes.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Type of every statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// Returns the pre-authentication encoding of DSSE v1: the message that every suite signs.
///
/// Lengths stand before the parts, so two pairs never give the same bytes.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Signs a statement: returns the signature over its [`pae`].
#[must_use]
pub fn sign_statement(statement: &[u8], secret: &SecretKey) -> Vec<u8> {
    secret.sign(&pae(PAYLOAD_TYPE, statement))
}

/// Verifies a signature over the [`pae`] of a statement.
///
/// # Errors
/// As [`PublicKey::verify`].
pub fn verify_statement(
    statement: &[u8],
    key: &PublicKey,
    signature: &[u8],
) -> Result<(), DecodeError> {
    key.verify(&pae(PAYLOAD_TYPE, statement), signature)
}

/// What a statement is about: a name and the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Name, fixed by the predicate type.
    pub name: String,
    /// SHA-256 of the named bytes.
    pub sha256: Digest,
}

/// An in-toto statement; all of it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Subjects, in the order that the predicate type fixes.
    pub subjects: Vec<Subject>,
    /// Predicate type, such as `urn:kapsule:package-author:v1`.
    pub predicate_type: String,
    /// Members of the predicate.
    pub predicate: BTreeMap<String, Value>,
}

impl Statement {
    /// Encodes the statement; these bytes are the payload.
    ///
    /// # Panics
    /// As [`json::encode`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let subject = |subject: &Subject| {
            Value::object([
                ("digest", Value::object([("sha256", subject.sha256.into())])),
                ("name", subject.name.as_str().into()),
            ])
        };
        json::encode(&Value::object([
            ("_type", STATEMENT_TYPE.into()),
            ("predicate", Value::Object(self.predicate.clone())),
            ("predicateType", self.predicate_type.as_str().into()),
            ("subject", Value::array(self.subjects.iter().map(subject))),
        ]))
    }

    /// Decodes a statement, for one that an envelope carries.
    ///
    /// # Errors
    /// E007, E008 or E009 for its form, E001 for another `_type`.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(json::decode(bytes)?, "statement")?;
        let statement_type: String = fields.required("_type")?;
        if guard!("format.envelope.statement_type", statement_type != STATEMENT_TYPE) {
            let detail = format!("_type of the statement is not {STATEMENT_TYPE}");
            return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
        }
        let Value::Object(predicate) = fields.required("predicate")? else {
            let detail = "predicate of the statement is not an object";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        };
        let predicate_type = fields.required("predicateType")?;
        let subjects = fields.objects("subject")?.into_iter();
        let subjects = subjects.map(read_subject).collect::<Result<_, _>>()?;
        fields.finish()?;
        Ok(Self { subjects, predicate_type, predicate })
    }
}

fn read_subject(mut fields: Fields) -> Result<Subject, DecodeError> {
    let mut digest = fields.object("digest")?;
    let sha256 = digest.required("sha256")?;
    digest.finish()?;
    let name = fields.required("name")?;
    fields.finish()?;
    Ok(Subject { name, sha256 })
}

/// What a verifier knows of an envelope before it opens it.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Bytes of the statement, rebuilt from the artefact.
    pub statement: &'a [u8],
    /// Suite that the file name states.
    pub suite: Suite,
    /// Key id that the file name states.
    pub key_id: KeyId,
}

/// An envelope file: a payload and exactly one signature.
///
/// The payload is authenticated once [`Envelope::verify`] passed; the key id never is, it is
/// recomputed from the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload: Vec<u8>,
    key_id: String,
    signature: Vec<u8>,
}

impl Envelope {
    /// Signs a statement and puts it into an envelope.
    #[must_use]
    pub fn sign(statement: &[u8], secret: &SecretKey) -> Self {
        let signature = sign_statement(statement, secret);
        Self::from_signature(statement, secret.public().id(), signature)
    }

    /// Puts a statement and a signature that was made elsewhere into an envelope.
    #[must_use]
    pub fn from_signature(statement: &[u8], key_id: KeyId, signature: Vec<u8>) -> Self {
        Self { payload: statement.into(), key_id: key_id.to_string(), signature }
    }

    /// Returns the payload, which is not authenticated before [`Envelope::verify`] passed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Returns the key id that the file states, which is never authenticated.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the signature bytes.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Encodes the file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let signature = Value::object([
            ("keyid", Value::Text(self.key_id.clone())),
            ("sig", Value::Text(BASE64.encode(&self.signature))),
        ]);
        json::encode(&Value::object([
            ("payload", Value::Text(BASE64.encode(&self.payload))),
            ("payloadType", PAYLOAD_TYPE.into()),
            ("signatures", Value::array([signature])),
        ]))
    }

    /// Decodes the file and checks its form; no signature is verified.
    ///
    /// # Errors
    /// E004 above 65,536 bytes; E007, E008 or E009 for the RJSON; E030 for another number of
    /// signatures, another payload type, or base64 that is not canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if guard!("format.envelope.bytes", bytes.len() > limits::ENVELOPE_BYTES_MAX) {
            let (found, max) = (bytes.len(), limits::ENVELOPE_BYTES_MAX);
            let detail = format!("envelope of {found} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let mut fields = Fields::new(json::decode(bytes)?, "envelope")?;
        let payload: String = fields.required("payload")?;
        let payload_type: String = fields.required("payloadType")?;
        let mut signatures = fields.objects("signatures")?;
        fields.finish()?;
        if guard!("format.envelope.signatures", signatures.len() > 1) {
            let detail = format!("envelope has {} signatures, allowed 1", signatures.len());
            return Err(DecodeError::new(ErrorCode::EnvelopeForm, detail));
        }
        let Some(mut entry) = signatures.pop() else {
            let detail = "envelope has 0 signatures, allowed 1";
            return Err(DecodeError::new(ErrorCode::EnvelopeForm, detail));
        };
        let key_id = entry.required("keyid")?;
        let signature: String = entry.required("sig")?;
        entry.finish()?;
        if guard!("format.envelope.payload_type", payload_type != PAYLOAD_TYPE) {
            let detail = format!("payloadType of the envelope is not {PAYLOAD_TYPE}");
            return Err(DecodeError::new(ErrorCode::EnvelopeForm, detail));
        }
        let payload = decode_base64(&payload, "payload")?;
        Ok(Self { payload, key_id, signature: decode_base64(&signature, "sig")? })
    }

    /// Checks what can be checked without the key: statement, name and signature form.
    ///
    /// # Errors
    /// E031 if the payload is another statement, E038 if the key id differs from the one of the
    /// file name, E036 or E034 for the form of the signature.
    pub fn check(&self, expected: &Expected<'_>) -> Result<(), DecodeError> {
        if guard!("format.envelope.statement", self.payload != expected.statement) {
            let detail = "payload differs from the statement that the artefact gives";
            return Err(DecodeError::new(ErrorCode::StatementMismatch, detail));
        }
        if guard!("format.envelope.name", self.key_id != expected.key_id.to_string()) {
            let detail = "keyid differs from the one that the file name states";
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        expected.suite.check_signature_form(&self.signature)
    }

    /// Checks the envelope and verifies its signature with the key found by its id.
    ///
    /// # Errors
    /// As [`Envelope::check`]; E038 if the key has another id or suite, E032 if the signature does
    /// not verify.
    pub fn verify(&self, expected: &Expected<'_>, key: &PublicKey) -> Result<(), DecodeError> {
        self.check(expected)?;
        if guard!("format.envelope.key_id", key.id() != expected.key_id) {
            let detail = "key has another id than the envelope states";
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        if guard!("format.envelope.suite", key.suite() != expected.suite) {
            let (found, stated) = (key.suite(), expected.suite);
            let detail = format!("key is of suite {found}, the name states {stated}");
            return Err(DecodeError::new(ErrorCode::KeyidMismatch, detail));
        }
        verify_statement(&self.payload, key, &self.signature)
    }
}

fn decode_base64(text: &str, member: &str) -> Result<Vec<u8>, DecodeError> {
    let refuse = |position: usize| {
        let detail = format!("{member} is not canonical base64 at character {position}");
        DecodeError::new(ErrorCode::EnvelopeForm, detail)
    };
    let bytes = BASE64.decode(text.as_bytes()).map_err(|error| refuse(error.position))?;
    // The library also reads several padded texts one after the other as one.
    let padding = text.find('=').unwrap_or(text.len());
    if guard!("format.envelope.base64", BASE64.encode(&bytes) != text) {
        return Err(refuse(padding));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
