//! Availability: a challenger picks chunks of an audit bundle, and a provider shows them.
//!
//! # Spec
//! `spec/receipt.md`, section "Availability".

mod sampling;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::ReceiptId;
use super::claim::Claim;
use crate::cbor::{self, FromValue, Items, Value as Cbor};
use crate::container::Kind;
use crate::envelope::{Envelope, SignatureName, Statement, Subject, check_carried};
use crate::hash::{encode_hex, sha256};
use crate::json::{Fields, Value};
use crate::key::{Identity, IdentityId, SecretKey, Suite};
use crate::limits::{RESPONSE_BYTES_MAX, SAMPLES_MAX};
use crate::tree::{self, CHUNK_BYTES};
use crate::{DecodeError, Digest};
pub use sampling::Sampling;
use sampling::draw;

/// Type of the predicate of a challenge.
const CHALLENGE: &str = "urn:kapsule:da-challenge:v1";
/// Type of the predicate of an attestation.
const ATTESTATION: &str = "urn:kapsule:da-attestation:v1";
/// Prefix of the attached entries that hold attestations.
pub const ATTESTATIONS: &str = "da/";
/// Number of children of an inner node of the tree over the chunks.
const ARITY: u64 = 2;

/// A challenger's question: show these chunks of the bundle of this receipt.
///
/// Every field is signed; the statement carries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Which receipt.
    pub receipt_id: ReceiptId,
    /// Merkle root over the chunks of its bundle.
    pub chunk_root: Digest,
    /// Number of chunks.
    pub chunk_count: u64,
    /// Random bytes, from which the chunks are drawn.
    pub seed: [u8; 32],
    /// How many chunks are asked for.
    pub k: u64,
    /// When it was asked, in milliseconds.
    pub issued_at: u64,
    /// Last millisecond for an answer.
    pub answer_by: u64,
    /// Who asks.
    pub issuer: IdentityId,
}

/// A challenger's word on what came of a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// Which receipt.
    pub receipt_id: ReceiptId,
    /// Merkle root over the chunks of its bundle.
    pub chunk_root: Digest,
    /// SHA-256 of the statement of the challenge.
    pub challenge_id: Digest,
    /// How many chunks were asked for.
    pub k: u64,
    /// When it was answered, in milliseconds.
    pub answered_at: u64,
    /// Indices of chunks that were not shown, ascending; none if the bundle is available.
    pub missing: Vec<u64>,
    /// SHA-256 of the response.
    pub response: Digest,
    /// Who attests.
    pub issuer: IdentityId,
}

impl Challenge {
    /// Returns the indices of the chunks that are asked for, in the order of the draw.
    #[must_use]
    pub fn indices(&self) -> Vec<u64> {
        draw(&self.seed, &self.receipt_id, &self.chunk_root, (self.chunk_count, self.k))
    }

    /// Returns the id: the SHA-256 of the statement.
    #[must_use]
    pub fn id(&self) -> Digest {
        sha256(&self.statement())
    }

    /// Returns the statement that the challenger signs.
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        let predicate = [
            ("answer_by", self.answer_by.into()),
            ("arity", ARITY.into()),
            ("chunk_count", self.chunk_count.into()),
            ("chunk_len", (CHUNK_BYTES as u64).into()),
            ("chunk_root", self.chunk_root.into()),
            ("issued_at", self.issued_at.into()),
            ("issuer", (*self.issuer.digest()).into()),
            ("k", self.k.into()),
            ("receipt_id", (*self.receipt_id.digest()).into()),
            ("seed", Value::Text(encode_hex(&self.seed))),
        ];
        statement(CHALLENGE, &self.receipt_id, predicate)
    }

    /// Reads a challenge from a statement that an envelope carries.
    ///
    /// # Errors
    /// E207 for a statement that is no challenge.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Self::read(payload).map_err(|error| {
            let detail = format!("not a challenge: {error}");
            DecodeError::new(ErrorCode::ChallengeInvalid, detail)
        })
    }

    fn read(payload: &[u8]) -> Result<Self, DecodeError> {
        let (mut fields, receipt_id) = predicate(payload, CHALLENGE)?;
        fields.uint("arity", ARITY..=ARITY)?;
        fields.uint("chunk_len", CHUNK_BYTES as u64..=CHUNK_BYTES as u64)?;
        let seed: Digest = fields.required("seed")?;
        let challenge = Self {
            receipt_id,
            chunk_root: fields.required("chunk_root")?,
            chunk_count: fields.uint("chunk_count", 1..=1 << 30)?,
            seed: *seed.as_bytes(),
            k: fields.uint("k", 1..=SAMPLES_MAX)?,
            issued_at: fields.required("issued_at")?,
            answer_by: fields.required("answer_by")?,
            issuer: IdentityId::new(fields.required("issuer")?),
        };
        fields.finish()?;
        Ok(challenge)
    }

    /// Checks that the challenge is about the bundle of this claim.
    ///
    /// # Errors
    /// E207 if it is about something else.
    pub fn check_claim(&self, claim: &Claim) -> Result<(), DecodeError> {
        let own = claim.bundle.is_some_and(|bundle| {
            let count = bundle.size.div_ceil(CHUNK_BYTES as u64);
            (bundle.chunk_root, count) == (self.chunk_root, self.chunk_count)
        });
        if guard!("format.da.claim", !own || self.receipt_id != claim.id()) {
            let detail = "the challenge is about the bundle of another receipt";
            return Err(DecodeError::new(ErrorCode::ChallengeInvalid, detail));
        }
        Ok(())
    }

    /// Answers the challenge from the bundle; chunks that it lacks are left out.
    ///
    /// # Errors
    /// E206 if this is another bundle.
    pub fn respond(&self, bundle: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let chunks: Vec<&[u8]> = bundle.chunks(CHUNK_BYTES).collect();
        let leaves: Vec<Digest> = chunks.iter().map(|chunk| tree::chunk_leaf(chunk)).collect();
        if guard!("format.da.bundle", tree::root_of_hashes(&leaves) != self.chunk_root) {
            let detail = "the bundle has another chunk root than the challenge";
            return Err(DecodeError::new(ErrorCode::BundleMismatch, detail));
        }
        let asked: BTreeSet<u64> = self.indices().into_iter().collect();
        let sample = |index: u64| {
            let place = usize::try_from(index).ok()?;
            let path = tree::inclusion_proof(&leaves, place)?;
            let chunk = chunks.get(place)?.to_vec();
            let path = Cbor::array(path);
            Some(Cbor::Array(vec![index.into(), chunk.into(), path]))
        };
        Ok(cbor::encode(&Cbor::Map(vec![
            (0, 1.into()),
            (1, self.id().into()),
            (2, Cbor::Array(asked.into_iter().filter_map(sample).collect())),
        ])))
    }

    /// Checks a response; returns the indices of the chunks that it does not show, ascending.
    ///
    /// # Errors
    /// E004 for its length, E209 for a response to something else, for a chunk that nobody asked
    /// for, and for one that does not lead to the root.
    pub fn check(&self, response: &[u8]) -> Result<Vec<u64>, DecodeError> {
        if guard!("format.da.response_bytes", response.len() as u64 > RESPONSE_BYTES_MAX) {
            let detail = format!("the response exceeds {RESPONSE_BYTES_MAX} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        let refuse = |detail: String| DecodeError::new(ErrorCode::ResponseInvalid, detail);
        let malformed = |error: DecodeError| refuse(error.to_string());
        let (challenge, shown) = read_response(response).map_err(malformed)?;
        if guard!("format.da.other_challenge", challenge != self.id()) {
            return Err(refuse("the response is to another challenge".into()));
        }
        let mut asked: BTreeSet<u64> = self.indices().into_iter().collect();
        let mut last = None;
        for Sample { index, chunk, path } in shown {
            if guard!("format.da.order", last.is_some_and(|last| last >= index)) {
                return Err(refuse("the samples are not in ascending order".into()));
            }
            last = Some(index);
            if guard!("format.da.asked", !asked.remove(&index)) {
                return Err(refuse(format!("nobody asked for chunk {index}")));
            }
            let (root, count) = (&self.chunk_root, self.chunk_count);
            let leaf = tree::chunk_leaf(&chunk);
            let leads = tree::verify_inclusion(root, count, index, &leaf, &path);
            if guard!("format.da.path", !leads) {
                return Err(refuse(format!("chunk {index} does not lead to the root")));
            }
        }
        Ok(asked.into_iter().collect())
    }
}

/// A challenge file: one envelope of each key of the challenger, each on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedChallenge {
    challenge: Challenge,
    statement: Vec<u8>,
    envelopes: Vec<Envelope>,
}

impl SignedChallenge {
    /// Signs a challenge with the keys of its issuer, and returns the file.
    #[must_use]
    pub fn sign<'s>(
        challenge: &Challenge,
        secrets: impl IntoIterator<Item = &'s SecretKey>,
    ) -> Vec<u8> {
        let statement = challenge.statement();
        let line = |secret| [Envelope::sign(&statement, secret).encode(), b"\n".to_vec()].concat();
        secrets.into_iter().flat_map(line).collect()
    }

    /// Reads a challenge file; no signature is verified.
    ///
    /// # Errors
    /// E207 for a file that is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let refuse = |detail: &str| DecodeError::new(ErrorCode::ChallengeInvalid, detail);
        let text = bytes.strip_suffix(b"\n");
        let text = text.ok_or_else(|| refuse("the challenge ends without a line end"))?;
        let lines = || text.split(|byte| *byte == b'\n');
        if guard!("format.da.challenge_lines", lines().count() > Suite::ALL.len()) {
            return Err(refuse("the challenge has more envelopes than there are suites"));
        }
        let read = |line| {
            Envelope::decode(line).map_err(|error| refuse(&format!("not a challenge: {error}")))
        };
        let envelopes: Vec<Envelope> = lines().map(read).collect::<Result<_, _>>()?;
        let statement = envelopes.first().map(|one| one.payload().to_vec()).unwrap_or_default();
        let differ = envelopes.iter().any(|one| one.payload() != statement);
        if guard!("format.da.challenge_statements", differ) {
            return Err(refuse("the envelopes of the challenge carry different statements"));
        }
        Ok(Self { challenge: Challenge::decode(&statement)?, statement, envelopes })
    }

    /// Returns what is asked, which nobody has vouched for yet.
    #[must_use]
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Checks that the challenge is of this identity, and signed by every key of it.
    ///
    /// # Errors
    /// E207 for the challenge of another identity, E033 where a key did not sign, E032, E034, E036
    /// or E038 for a signature.
    pub fn verify(&self, challenger: &Identity) -> Result<(), DecodeError> {
        if guard!("format.da.challenger", challenger.id() != self.challenge.issuer) {
            let detail = format!("the challenge is of {}", self.challenge.issuer);
            return Err(DecodeError::new(ErrorCode::ChallengeInvalid, detail));
        }
        check_carried(&self.statement, challenger, |name| {
            let keyid = name.keyid.to_string();
            self.envelopes.iter().find(|envelope| envelope.key_id() == keyid)
        })
    }
}

impl Attestation {
    /// Returns the attached entries by which the challenger attests, as number `number`.
    #[must_use]
    pub fn sign<'s>(
        &self,
        number: u8,
        secrets: impl IntoIterator<Item = &'s SecretKey>,
    ) -> Vec<(String, Vec<u8>)> {
        let (statement, folder) = (self.statement(), format!("{ATTESTATIONS}{number:02}."));
        let sign = |secret: &SecretKey| {
            let name = SignatureName::of(secret.public()).below(&folder);
            (name, Envelope::sign(&statement, secret).encode())
        };
        secrets.into_iter().map(sign).collect()
    }

    /// Returns the statement that the challenger signs.
    #[must_use]
    pub fn statement(&self) -> Vec<u8> {
        let result = if self.missing.is_empty() { "available" } else { "missing" };
        let predicate = [
            ("answered_at", self.answered_at.into()),
            ("challenge_id", self.challenge_id.into()),
            ("chunk_root", self.chunk_root.into()),
            ("issuer", (*self.issuer.digest()).into()),
            ("k", self.k.into()),
            ("missing", Value::array(self.missing.iter().copied())),
            ("receipt_id", (*self.receipt_id.digest()).into()),
            ("response_sha256", self.response.into()),
            ("result", result.into()),
        ];
        statement(ATTESTATION, &self.receipt_id, predicate)
    }

    /// Reads an attestation from a statement that an envelope carries.
    ///
    /// # Errors
    /// E001, E007, E008 or E009 for its form.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let (mut fields, receipt_id) = predicate(payload, ATTESTATION)?;
        let result: String = fields.required("result")?;
        let found = Self {
            receipt_id,
            chunk_root: fields.required("chunk_root")?,
            challenge_id: fields.required("challenge_id")?,
            k: fields.uint("k", 1..=SAMPLES_MAX)?,
            answered_at: fields.required("answered_at")?,
            missing: fields.required("missing")?,
            response: fields.required("response_sha256")?,
            issuer: IdentityId::new(fields.required("issuer")?),
        };
        fields.finish()?;
        let word = if found.missing.is_empty() { "available" } else { "missing" };
        let ascending = crate::text::is_ascending(&found.missing);
        if guard!("format.da.result", result != word || !ascending) {
            let detail = "result and missing chunks of the attestation disagree";
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(found)
    }
}

/// One chunk of a response.
struct Sample {
    index: u64,
    chunk: Vec<u8>,
    path: Vec<Digest>,
}

impl FromValue for Sample {
    fn from_value(value: Cbor) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "da-sample", 3..=3)?;
        let found =
            Self { index: items.required()?, chunk: items.required()?, path: items.required()? };
        items.finish()?;
        Ok(found)
    }
}

fn read_response(response: &[u8]) -> Result<(Digest, Vec<Sample>), DecodeError> {
    let mut fields = cbor::Fields::new(cbor::decode(response)?, "da-response")?;
    fields.version(1)?;
    let challenge = fields.required(1)?;
    let samples = fields.required(2)?;
    fields.finish()?;
    Ok((challenge, samples))
}

fn statement<const N: usize>(
    predicate_type: &str,
    receipt_id: &ReceiptId,
    predicate: [(&str, Value); N],
) -> Vec<u8> {
    let subject = Subject { name: Kind::Receipt.name().to_string(), sha256: *receipt_id.digest() };
    let predicate = predicate.into_iter().map(|(name, value)| (name.to_string(), value));
    Statement {
        subjects: [subject].into(),
        predicate_type: predicate_type.to_string(),
        predicate: predicate.collect::<BTreeMap<String, Value>>(),
    }
    .encode()
}

/// Opens a carried statement of one type; the subject and the predicate name one receipt.
fn predicate(payload: &[u8], expect: &str) -> Result<(Fields, ReceiptId), DecodeError> {
    let Statement { subjects, predicate_type, predicate } = Statement::decode(payload)?;
    if guard!("format.da.type", predicate_type != expect) {
        let detail = format!("the statement is not of the type {expect}");
        return Err(DecodeError::new(ErrorCode::UnknownFormat, detail));
    }
    let mut fields = Fields::new(Value::Object(predicate), "predicate")?;
    let receipt_id: Digest = fields.required("receipt_id")?;
    let subject = Subject { name: Kind::Receipt.name().to_string(), sha256: receipt_id };
    if guard!("format.da.subject", subjects != [subject]) {
        let detail = "subject and receipt_id of the statement differ";
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok((fields, ReceiptId::new(receipt_id)))
}

#[cfg(test)]
mod tests;
