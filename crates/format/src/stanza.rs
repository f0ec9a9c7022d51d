//! The header of a binary age file, as far as everyone can check it without a key.
//!
//! age itself ignores recipient stanzas of unknown types, accepts mixtures and lets a file carry
//! any number of them; a package is stricter, so that its manifest can say who may read it.
//!
//! # Spec
//! `spec/package.md`, section "Encrypted payload"; vectors in `spec/vectors/mod/`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use data_encoding::BASE64_NOPAD;
use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;
use crate::limits::STANZAS_MAX;
use crate::manifest::names;

/// First line of an age file, version 1.
pub const AGE_LINE: &[u8] = b"age-encryption.org/v1\n";

/// End of the type of a stanza that means nothing and keeps readers from assuming.
const GREASE: &str = "-grease";

/// Characters of every line of a stanza body but the last.
const BODY_COLUMNS: usize = 64;

/// Bytes of a wrapped file key: 16 and the tag of the cipher.
const WRAPPED_KEY_BYTES: usize = 32;

/// Bytes of the header's authentication code.
const MAC_BYTES: usize = 32;

/// Bytes behind the header at least: a nonce and the tag of an empty last chunk.
const REST_BYTES_MIN: usize = 16 + 16;

names! {
    /// Type of a recipient stanza.
    StanzaType {
        /// A key of curve25519.
        X25519 = "X25519",
        /// Reserved: a hybrid with ML-KEM-768, which no identity of this build opens.
        MlKem768X25519 = "mlkem768x25519",
    }
}

impl StanzaType {
    /// Returns the bytes of the one argument of such a stanza.
    const fn argument_bytes(self) -> usize {
        match self {
            Self::X25519 => 32,
            Self::MlKem768X25519 => 1_120,
        }
    }
}

/// Reads the header of an age file and returns the type that all its stanzas share, and how many
/// there are.
///
/// # Errors
/// E054 for another form, another or a second type, and for grease anywhere but at the end.
pub fn read(file: &[u8]) -> Result<Vec<StanzaType>, DecodeError> {
    let rest = file.strip_prefix(AGE_LINE).ok_or_else(|| refuse("no age file of version 1"))?;
    let mut lines = Lines { rest };
    let mut types: Vec<StanzaType> = Vec::new();
    let mut greased = false;
    loop {
        let line = lines.next()?;
        if let Some(mac) = line.strip_prefix("--- ") {
            let mac = decode(mac).filter(|mac| mac.len() == MAC_BYTES);
            if guard!("format.stanza.mac", mac.is_none()) {
                return Err(refuse("the header does not end in 32 bytes of base64"));
            }
            break;
        }
        if guard!("format.stanza.grease_last", greased) {
            return Err(refuse("a stanza follows one whose type ends in -grease"));
        }
        let found = stanza(line, &mut lines)?;
        greased = found.is_none();
        types.extend(found);
    }
    check(&types)?;
    let rest = lines.rest.len();
    if guard!("format.stanza.rest", rest < REST_BYTES_MIN) {
        return Err(refuse(format!("{rest} bytes follow the header, allowed {REST_BYTES_MIN}")));
    }
    Ok(types)
}

fn check(types: &[StanzaType]) -> Result<(), DecodeError> {
    let count = types.len();
    if guard!("format.stanza.count", !(1..=STANZAS_MAX).contains(&count)) {
        return Err(refuse(format!("{count} recipient stanzas, allowed 1 to {STANZAS_MAX}")));
    }
    let mixed = types.iter().any(|other| *other != types[0]);
    if guard!("format.stanza.mixed", mixed) {
        return Err(refuse("recipient stanzas of two types in one file"));
    }
    Ok(())
}

/// Reads a stanza whose first line is `line`; `None` stands for grease.
fn stanza(line: &str, lines: &mut Lines<'_>) -> Result<Option<StanzaType>, DecodeError> {
    let words = line.strip_prefix("-> ").ok_or_else(|| refuse("found no stanza line"))?;
    let mut words = words.split(' ');
    let name = words.next().unwrap_or_default();
    let arguments: Vec<&str> = words.collect();
    let visible = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_graphic());
    if guard!("format.stanza.words", ![name].iter().chain(&arguments).all(visible)) {
        return Err(refuse("a stanza line has an empty word or another character"));
    }
    let body = lines.body()?;
    let Some(kind) = StanzaType::from_name(name) else {
        if guard!("format.stanza.type", !name.ends_with(GREASE)) {
            let name = crate::text::shown(name);
            return Err(refuse(format!("a stanza has type {name:?}")));
        }
        return Ok(None);
    };
    let argument = match arguments[..] {
        [argument] => decode(argument).map(|bytes| bytes.len()),
        _ => None,
    };
    let wanted = kind.argument_bytes();
    if guard!("format.stanza.argument", argument != Some(wanted)) {
        return Err(refuse(format!("a {kind} stanza has not one argument of {wanted} bytes")));
    }
    if guard!("format.stanza.body", body.len() != WRAPPED_KEY_BYTES) {
        let found = body.len();
        return Err(refuse(format!(
            "a {kind} stanza wraps {found} bytes, allowed {WRAPPED_KEY_BYTES}"
        )));
    }
    Ok(Some(kind))
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    /// Takes a line without its line feed.
    fn next(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.rest.iter().position(|byte| *byte == b'\n');
        let length = length.ok_or_else(|| refuse("the header does not end"))?;
        let line = core::str::from_utf8(&self.rest[..length]);
        self.rest = &self.rest[length + 1..];
        line.map_err(|_| refuse("the header holds bytes that are no text"))
    }

    /// Takes a stanza body: full lines of base64, then a shorter one.
    fn body(&mut self) -> Result<Vec<u8>, DecodeError> {
        let mut text = String::new();
        loop {
            let line = self.next()?;
            if guard!("format.stanza.columns", line.len() > BODY_COLUMNS) {
                return Err(refuse("a line of a stanza body is longer than 64 characters"));
            }
            text.push_str(line);
            if line.len() < BODY_COLUMNS {
                return decode(&text).ok_or_else(|| refuse("a stanza body is not base64"));
            }
        }
    }
}

/// Decodes base64 without padding, of which a byte string has one form.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()
}

fn refuse(detail: impl Into<String>) -> DecodeError {
    DecodeError::new(ErrorCode::StanzaMismatch, detail)
}
