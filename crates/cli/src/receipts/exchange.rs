//! Other people's forms of a receipt: the envelopes by themselves, and Sigstore bundles.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::DecodeError;
use kapsule_format::envelope::{Envelope, Expected};
use kapsule_format::key::{KeyId, PublicKey};
use kapsule_format::receipt::{Receipt, SignatureName};
use serde_json::{Value, json};

/// Media type of a Sigstore bundle.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A form that others read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// DSSE envelope with the in-toto statement.
    Dsse,
    /// The in-toto statement alone, which nobody vouches for.
    Statement,
    /// Sigstore bundle v0.3 with the key id as hint.
    Sigstore,
}

/// Returns the signature of a receipt by this key, or the only one, in a form for others.
pub(crate) fn export(
    receipt: &Receipt<'_>,
    form: Form,
    keyid: Option<KeyId>,
) -> Result<Vec<u8>, DecodeError> {
    if form == Form::Statement {
        return Ok(receipt.claim().signed_statement());
    }
    let wanted = |name: &SignatureName| keyid.is_none_or(|keyid| name.keyid == keyid);
    let found: Vec<(SignatureName, &[u8])> =
        receipt.container().envelopes().filter(|(name, _)| wanted(name)).collect();
    let [(name, bytes)] = found.as_slice() else {
        let detail = format!("{} signatures fit, wanted is one", found.len());
        return Err(DecodeError::new(ErrorCode::SignatureMissing, detail));
    };
    // What others get is checked as a verifier would, but for the key.
    let statement = receipt.claim().signed_statement();
    let envelope = Envelope::decode(bytes)?;
    envelope.check(&Expected { statement: &statement, suite: name.suite, key_id: name.keyid })?;
    if form == Form::Dsse {
        return Ok(bytes.to_vec());
    }
    let dsse: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let bundle = json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {
            "publicKey": { "hint": name.keyid.to_string() },
            "tlogEntries": [],
        },
        "dsseEnvelope": dsse,
    });
    Ok(format!("{bundle}\n").into_bytes())
}

/// Takes a signature over a receipt from one of the forms; its key is found among `keys`.
///
/// Returns the attached entry that it makes.
pub(crate) fn import(
    receipt: &Receipt<'_>,
    bytes: &[u8],
    keys: &[PublicKey],
) -> Result<(SignatureName, Vec<u8>), DecodeError> {
    let refuse = |detail: &str| DecodeError::new(ErrorCode::EnvelopeForm, detail.to_owned());
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| DecodeError::new(ErrorCode::JsonNotCanonical, error.to_string()))?;
    let dsse = match value.get("mediaType") {
        None => &value,
        Some(found) if found == MEDIA_TYPE => {
            value.get("dsseEnvelope").ok_or_else(|| refuse("the bundle has no dsseEnvelope"))?
        }
        Some(_) => return Err(refuse("the bundle is of another media type than v0.3")),
    };
    // Others write members in any order and with white space; the values are those of the form.
    let canonical = canonical(dsse).ok_or_else(|| refuse("the envelope has a value of no use"))?;
    let envelope = Envelope::decode(&canonical)?;
    let key_id = dsse["signatures"][0]["keyid"].as_str().unwrap_or_default();
    let key = keys.iter().find(|key| key.id().to_string() == key_id).ok_or_else(|| {
        let detail = format!("the key {key_id:?} is neither the issuer's nor in the trust file");
        DecodeError::new(ErrorCode::KeyidMismatch, detail)
    })?;
    let statement = receipt.claim().signed_statement();
    let name = SignatureName::of(key);
    let expected = Expected { statement: &statement, suite: key.suite(), key_id: key.id() };
    if let Err(error) = envelope.verify(&expected, key)
        && guard!("cli.receipt.import", true)
    {
        return Err(error);
    }
    Ok((name, envelope.encode()))
}

/// Writes the envelope of another tool in the one byte form.
fn canonical(dsse: &Value) -> Option<Vec<u8>> {
    use kapsule_format::json::{self, Value as Own};
    fn own(value: &Value) -> Option<Own> {
        Some(match value {
            Value::String(text) => Own::Text(text.clone()),
            Value::Array(list) => Own::Array(list.iter().map(own).collect::<Option<_>>()?),
            Value::Object(members) => {
                let member = |(name, value): (&String, &Value)| {
                    json::is_member_name(name).then_some((name.clone(), own(value)?))
                };
                Own::object(members.iter().map(member).collect::<Option<Vec<_>>>()?)
            }
            _ => return None,
        })
    }
    let value = own(dsse)?;
    Some(json::encode(&value))
}
