//! Secret keys in the forms that other programs write: hex, and PEM of PKCS#8 or SEC 1.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::key::{KeyFile, SecretKey, Suite, Uses};
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode as _, Tag, Tagged as _};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::EcPrivateKey;
use zeroize::Zeroizing;

/// Algorithm of RFC 8410.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Algorithm of RFC 5480; its parameters name the curve.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// Curve P-256 of RFC 5480.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// Curve secp256k1 of SEC 2.
const SECP256K1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.10");
/// Algorithm of RFC 9881.
const ML_DSA_44: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.17");

/// Hex digits of a secret.
const SECRET_HEX: usize = 2 * SecretKey::BYTES;

/// The 32 secret bytes of a key.
type Secret = Zeroizing<[u8; SecretKey::BYTES]>;

/// Reads a secret key of a Kapsule key file, of 64 hex digits, or of PEM.
///
/// `suite` is what the caller says it is; hex needs it, since it says nothing itself.
///
/// # Errors
/// E509 for another form or another suite than the caller says, E035 for a secret that is no
/// scalar; else as [`KeyFile::decode`].
pub(crate) fn read(
    bytes: &[u8],
    suite: Option<Suite>,
    created_ms: u64,
) -> Result<KeyFile, DecodeError> {
    let text = bytes.trim_ascii();
    let file = if text.starts_with(b"{") {
        KeyFile::decode(text)?
    } else {
        let (found, secret) = match text.starts_with(b"-----BEGIN ") {
            true => from_pem(text)?,
            false => from_hex(text, suite)?,
        };
        let secret = SecretKey::from_seed(found, &secret)?;
        KeyFile { created_ms, uses: Uses::Sign, secret }
    };
    let found = file.secret.public().suite();
    match suite {
        Some(suite) if suite != found => {
            Err(refused(format!("the key is of suite {found}, asked for is {suite}")))
        }
        _ => Ok(file),
    }
}

fn from_hex(text: &[u8], suite: Option<Suite>) -> Result<(Suite, Secret), DecodeError> {
    let mut secret = Secret::default();
    let decoded =
        text.len() == SECRET_HEX && HEXLOWER_PERMISSIVE.decode_mut(text, &mut *secret).is_ok();
    if !decoded {
        return Err(refused("found neither a key file nor PEM nor 64 hex digits"));
    }
    let suite = suite.ok_or_else(|| refused("64 hex digits do not say their suite"))?;
    Ok((suite, secret))
}

/// Reads the first private key among the PEM blocks of a text.
fn from_pem(text: &[u8]) -> Result<(Suite, Secret), DecodeError> {
    let text = str::from_utf8(text).map_err(|_| refused("the PEM is not text"))?;
    let mut lines = text.lines().map(str::trim);
    let label = loop {
        let line = lines.next().ok_or_else(|| refused("the PEM holds no private key"))?;
        let label = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        if let Some(label) = label.filter(|label| label.ends_with("PRIVATE KEY")) {
            break label;
        }
    };
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    lines.take_while(|line| !line.starts_with('-')).for_each(|line| base64.push_str(line));
    let der = BASE64.decode(base64.as_bytes()).map(Zeroizing::new);
    let der = der.map_err(|_| refused("the PEM is not base64"))?;
    match label {
        "PRIVATE KEY" => from_pkcs8(&der),
        "EC PRIVATE KEY" => from_sec1(&der, None),
        label => Err(refused(format!(
            "the PEM is a {label}, allowed are PRIVATE KEY and EC PRIVATE KEY without a password"
        ))),
    }
}

fn from_pkcs8(der: &[u8]) -> Result<(Suite, Secret), DecodeError> {
    let malformed = || refused("the PEM is no PKCS#8 private key");
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| malformed())?;
    let inner = info.private_key.as_bytes();
    match info.algorithm.oid {
        ED25519 => {
            let seed = <&OctetStringRef>::from_der(inner).map_err(|_| malformed())?;
            Ok((Suite::Ed25519, secret(seed.as_bytes())?))
        }
        EC => from_sec1(inner, Some(info.algorithm.parameters_oid().map_err(|_| malformed())?)),
        ML_DSA_44 => Ok((Suite::MlDsa44, secret(ml_dsa_seed(inner)?)?)),
        other => Err(refused(format!("the key has algorithm {other}, which is of no suite"))),
    }
}

/// Returns the seed of the choice of RFC 9881 section 6: seed alone, or seed and expanded key.
fn ml_dsa_seed(inner: &[u8]) -> Result<&[u8], DecodeError> {
    let expanded =
        || refused("the ML-DSA-44 key has no seed; the expanded form cannot be imported");
    let any = AnyRef::from_der(inner).map_err(|_| expanded())?;
    if any.tag() != Tag::Sequence {
        // The seed is [0] IMPLICIT; the expanded key alone is an octet string.
        return match inner.first() {
            Some(0x80) => Ok(any.value()),
            _ => Err(expanded()),
        };
    }
    let (seed, _) = <&OctetStringRef>::from_der_partial(any.value()).map_err(|_| expanded())?;
    Ok(seed.as_bytes())
}

fn from_sec1(der: &[u8], curve: Option<ObjectIdentifier>) -> Result<(Suite, Secret), DecodeError> {
    let key = EcPrivateKey::try_from(der).map_err(|_| refused("the key is not SEC 1 DER"))?;
    let named = key.parameters.and_then(sec1::EcParameters::named_curve);
    let suite = match curve.or(named) {
        Some(P256) => Suite::P256,
        Some(SECP256K1) => Suite::Secp256k1,
        Some(other) => return Err(refused(format!("the key is on curve {other}, of no suite"))),
        None => return Err(refused("the key does not name its curve")),
    };
    Ok((suite, secret(key.private_key)?))
}

fn secret(bytes: &[u8]) -> Result<Secret, DecodeError> {
    let found = bytes.len();
    let bytes: &[u8; SecretKey::BYTES] = bytes
        .try_into()
        .map_err(|_| refused(format!("the secret has {found} bytes, allowed are 32")))?;
    Ok(Zeroizing::new(*bytes))
}

fn refused(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::KeyFileForm, detail)
}
