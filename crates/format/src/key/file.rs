//! Bytes of key files; reading and writing the files is the caller's part.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use kapsule_abi::{ErrorCode, guard};
use zeroize::Zeroizing;

use super::{Identity, PublicKey, SecretKey, Suite};
use crate::DecodeError;
use crate::json::{self, Fields, Value};

const SCHEMA: &str = "kapsule/key/1";

/// What stands before the secret in a key file; members are sorted, so it occurs once, early.
const SECRET_MARK: &[u8] = br#","key":""#;

/// Hex digits of a secret.
const SECRET_HEX: usize = 2 * SecretKey::BYTES;

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uses {
    /// Envelopes only.
    Sign,
    /// Notes of other logs.
    Cosign,
    /// Notes of the own log.
    Log,
    /// Notes of any log.
    CosignAndLog,
}

impl Uses {
    const ALL: [Self; 4] = [Self::Sign, Self::Cosign, Self::Log, Self::CosignAndLog];

    /// Returns the names as a key file lists them.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Sign => &["sign"],
            Self::Cosign => &["cosign"],
            Self::Log => &["log"],
            Self::CosignAndLog => &["cosign", "log"],
        }
    }

    fn from_names(names: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|uses| uses.names() == names)
    }
}

/// A secret key with the facts that its file states.
///
/// # Spec
/// `spec/keys.md`, section "Key files".
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// Claimed time of creation, in milliseconds since 1970; proves nothing.
    pub created_ms: u64,
    /// What the key may sign.
    pub uses: Uses,
    /// The key.
    pub secret: SecretKey,
}

impl KeyFile {
    /// Encodes the file.
    ///
    /// The secret is written into the buffer that is returned and nowhere else.
    ///
    /// # Panics
    /// If `created_ms` is above 2^53-1.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let public = self.secret.public();
        let blank = Value::object([
            ("created_ms", Value::Uint(self.created_ms)),
            ("key", Value::Text("0".repeat(SECRET_HEX))),
            ("keyid", Value::Text(public.id().to_string())),
            ("public", Value::Text(public.to_string())),
            ("schema", SCHEMA.into()),
            ("uses", Value::array(self.uses.names().iter().copied())),
        ]);
        let mut bytes = Zeroizing::new(json::encode(&blank));
        let start = secret_start(&bytes).expect("the member `key` was just written");
        let place = &mut bytes[start..start + SECRET_HEX];
        HEXLOWER.encode_mut(self.secret.expose_seed(), place);
        bytes
    }

    /// Decodes a file and recomputes `keyid` and `public`.
    ///
    /// # Errors
    /// E005 for another schema number, E034 for an unknown suite, and E509 for everything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (masked, seed) = take_secret(bytes)?;
        let (created_ms, stated) = read_masked(&masked).map_err(as_key_file)?;
        let secret = SecretKey::from_seed(stated.suite, &seed).map_err(as_key_file)?;
        if guard!("format.key.file_public", secret.public().to_string() != stated.public) {
            return Err(malformed("public differs from the key that the secret gives"));
        }
        if guard!("format.key.file_keyid", secret.public().id().to_string() != stated.keyid) {
            return Err(malformed("keyid differs from the id of the key"));
        }
        Ok(Self { created_ms, uses: stated.uses, secret })
    }
}

/// What a key file says of its key.
struct Stated {
    suite: Suite,
    keyid: String,
    public: String,
    uses: Uses,
}

/// Returns a copy of the file with the secret replaced by zeros, and the secret.
///
/// The JSON reader works on the copy, so that no value of it holds the secret.
fn take_secret(bytes: &[u8]) -> Result<(Vec<u8>, Zeroizing<[u8; SecretKey::BYTES]>), DecodeError> {
    let mut seed = Zeroizing::new([0; SecretKey::BYTES]);
    let refused = || malformed("member `key` is not 64 lower-case hex digits");
    let start = secret_start(bytes).ok_or_else(refused)?;
    let end = start + SECRET_HEX;
    let hex = bytes.get(start..end).ok_or_else(refused)?;
    HEXLOWER.decode_mut(hex, &mut *seed).map_err(|_| refused())?;
    let mut masked = Vec::with_capacity(bytes.len());
    masked.extend_from_slice(&bytes[..start]);
    masked.resize(end, b'0');
    masked.extend_from_slice(&bytes[end..]);
    Ok((masked, seed))
}

fn secret_start(bytes: &[u8]) -> Option<usize> {
    let mark = bytes.windows(SECRET_MARK.len()).position(|window| window == SECRET_MARK)?;
    Some(mark + SECRET_MARK.len())
}

fn read_masked(masked: &[u8]) -> Result<(u64, Stated), DecodeError> {
    let mut fields = Fields::new(json::decode(masked)?, "key file")?;
    fields.schema(SCHEMA)?;
    let created_ms = fields.required("created_ms")?;
    let _masked_secret: String = fields.required("key")?;
    let keyid = fields.required("keyid")?;
    let public: String = fields.required("public")?;
    let suite = Suite::from_name(public.split(':').next().unwrap_or_default())?;
    let uses: Vec<String> = fields.required("uses")?;
    let uses = Uses::from_names(&uses)
        .ok_or_else(|| malformed("uses is not one of the four lists of names"))?;
    fields.finish()?;
    Ok((created_ms, Stated { suite, keyid, public, uses }))
}

fn malformed(detail: &str) -> DecodeError {
    DecodeError::new(ErrorCode::KeyFileForm, detail)
}

fn as_key_file(mut error: DecodeError) -> DecodeError {
    let kept = matches!(error.code, ErrorCode::VersionUnsupported | ErrorCode::SuiteUnsupported);
    if !kept {
        error.code = ErrorCode::KeyFileForm;
    }
    error
}

/// The one line of a `.pub` file: a public key and its label.
///
/// The label is a name for people and is not authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicLine {
    key: PublicKey,
    label: String,
}

impl PublicLine {
    /// Joins a key and a label.
    ///
    /// # Errors
    /// E509 if the label does not match `[A-Za-z0-9@._-]{1,64}`.
    pub fn new(key: PublicKey, label: impl Into<String>) -> Result<Self, DecodeError> {
        let label = label.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@._-".contains(&byte);
        let matches = (1..=64).contains(&label.len()) && label.bytes().all(allowed);
        if guard!("format.key.label", !matches) {
            return Err(malformed("label is not 1 to 64 of the characters A-Z a-z 0-9 @ . _ -"));
        }
        Ok(Self { key, label })
    }

    /// Reads the lines of one identity, in order of their suite, and their common label.
    ///
    /// # Errors
    /// E509 for no line or labels that differ; else as [`PublicLine::from_str`] and
    /// [`Identity::new`].
    pub fn decode_identity(text: &str) -> Result<(String, Identity), DecodeError> {
        let lines = text.split_inclusive('\n').map(str::parse);
        let lines: Vec<Self> = lines.collect::<Result<_, _>>()?;
        let label = lines.first().map(|line| line.label.clone()).unwrap_or_default();
        let foreign = lines.iter().any(|line| line.label != label);
        if guard!("format.key.labels", lines.is_empty() || foreign) {
            return Err(malformed("found no line, or lines with several labels"));
        }
        let identity = Identity::new(lines.into_iter().map(|line| line.key).collect())?;
        Ok((label, identity))
    }

    /// Returns the key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Returns the label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl fmt::Display for PublicLine {
    /// Writes the line with its line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kapsule-pub {} {}", self.key, self.label)
    }
}

impl FromStr for PublicLine {
    type Err = DecodeError;

    /// # Errors
    /// E509 if the text is not exactly one such line; else as [`PublicKey::from_str`].
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let rest = text.strip_prefix("kapsule-pub ").and_then(|rest| rest.strip_suffix('\n'));
        let parts = rest.and_then(|rest| rest.split_once(' '));
        let Some((key, label)) = parts else {
            return Err(malformed("found another line than `kapsule-pub <key text> <label>`"));
        };
        let key = key.parse().map_err(|error: DecodeError| {
            let context =
                format!("key of the label {:?}", label.chars().take(64).collect::<String>());
            error.within(&context)
        })?;
        Self::new(key, label)
    }
}
