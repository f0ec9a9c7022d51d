//! Reader: a byte-level validator first, then the values, then the comparison of the bytes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::encode::encode;
use super::{UINT_MAX, Value};
use crate::DecodeError;
use crate::limits;

const _: () = assert!(size_of::<Value>() <= 32, "`decode` promises it");

/// Decodes one KCBOR item that fills `bytes`.
///
/// Takes time and memory linear in the length of `bytes`, which the caller has limited: an item
/// of one byte becomes a value of at most 32.
///
/// # Errors
/// E002 if the input ends early, E003 for bytes after the item, E004 for text over 65,536 bytes,
/// E006 for every other departure from the form.
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut validator = Reader { bytes, position: 0 };
    validator.validate(1)?;
    if guard!("format.cbor.trailing", validator.position != bytes.len()) {
        let detail = "found bytes after the item, allowed the end";
        return Err(DecodeError::at(ErrorCode::TrailingBytes, validator.position, detail));
    }
    let value = Reader { bytes, position: 0 }.value()?;
    // An internal assertion: the validator leaves it nothing to find.
    if encode(&value) != bytes {
        return Err(DecodeError::new(ErrorCode::NotBijective, "item encodes to other bytes"));
    }
    Ok(value)
}

/// Tells whether text may hold this character.
pub(super) fn is_text_char(character: char) -> bool {
    !matches!(character, '\0'..='\u{9}' | '\u{b}'..='\u{1f}' | '\u{7f}')
}

/// A head: what stands in the first one to nine bytes of an item.
#[derive(Clone, Copy)]
enum Head {
    Uint(u64),
    Bytes(u64),
    Text(u64),
    Array(u64),
    Map(u64),
    Bool(bool),
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Moves over one item; `depth` counts the arrays and maps open inside, if it is one of them.
    fn validate(&mut self, depth: u32) -> Result<(), DecodeError> {
        let start = self.position;
        let head = self.head()?;
        let nested = matches!(head, Head::Array(_) | Head::Map(_));
        if guard!("format.cbor.depth", nested && depth > limits::DEPTH_MAX) {
            return Err(refuse(start, "depth is above 16"));
        }
        match head {
            Head::Uint(_) | Head::Bool(_) => Ok(()),
            Head::Bytes(length) => self.take(length).map(drop),
            Head::Text(length) => self.text(start, length).map(drop),
            Head::Array(count) => (0..count).try_for_each(|_| self.validate(depth + 1)),
            Head::Map(count) => self.validate_map(count, depth),
        }
    }

    fn validate_map(&mut self, count: u64, depth: u32) -> Result<(), DecodeError> {
        let mut last = None;
        for _ in 0..count {
            let start = self.position;
            let key = self.key()?;
            if guard!("format.cbor.key_order", last.is_some_and(|last| last >= key)) {
                return Err(refuse(start, "key is repeated or out of order, allowed ascending"));
            }
            last = Some(key);
            self.validate(depth + 1)?;
        }
        Ok(())
    }

    /// Builds the item that starts here; the validator has seen it.
    fn value(&mut self) -> Result<Value, DecodeError> {
        let start = self.position;
        Ok(match self.head()? {
            Head::Uint(number) => Value::Uint(number),
            Head::Bytes(length) => Value::Bytes(self.take(length)?.to_vec()),
            Head::Text(length) => Value::Text(String::from(self.text(start, length)?)),
            Head::Array(count) => {
                let elements: Result<Vec<_>, _> = (0..count).map(|_| self.value()).collect();
                Value::Array(elements?)
            }
            Head::Map(count) => {
                let mut entries = Vec::new();
                for _ in 0..count {
                    entries.push((self.key()?, self.value()?));
                }
                Value::Map(entries)
            }
            Head::Bool(flag) => Value::Bool(flag),
        })
    }

    fn key(&mut self) -> Result<u64, DecodeError> {
        let start = self.position;
        match self.head()? {
            Head::Uint(key) => Ok(key),
            _ => Err(refuse(start, "map key is not an unsigned integer")),
        }
    }

    fn head(&mut self) -> Result<Head, DecodeError> {
        let start = self.position;
        let initial = self.take(1)?[0];
        let (major, info) = (initial >> 5, initial & 0x1f);
        match (major, info) {
            (7, 20) => return Ok(Head::Bool(false)),
            (7, 21) => return Ok(Head::Bool(true)),
            (1 | 6 | 7, _) => {
                let detail = "found a negative integer, tag, float or other simple value";
                return Err(refuse(start, detail));
            }
            _ => {}
        }
        let argument = self.argument(start, info)?;
        Ok(match major {
            0 => {
                if guard!("format.cbor.uint_max", argument > UINT_MAX) {
                    return Err(refuse(start, "integer is above 2^53-1"));
                }
                Head::Uint(argument)
            }
            2 => Head::Bytes(argument),
            3 => Head::Text(argument),
            4 => Head::Array(argument),
            _ => Head::Map(argument),
        })
    }

    fn argument(&mut self, start: usize, info: u8) -> Result<u64, DecodeError> {
        let (width, least) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(refuse(start, "found an indefinite or reserved length")),
        };
        let bytes = self.take(width)?;
        let argument = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        if guard!("format.cbor.shortest_head", argument < least) {
            return Err(refuse(start, "head is not the shortest one"));
        }
        Ok(argument)
    }

    fn text(&mut self, start: usize, length: u64) -> Result<&'a str, DecodeError> {
        if guard!("format.cbor.text_bytes", length > limits::TEXT_BYTES_MAX as u64) {
            let max = limits::TEXT_BYTES_MAX;
            let detail = format!("text of {length} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::at(ErrorCode::LimitExceeded, start, detail));
        }
        let bytes = self.take(length)?;
        let content = self.position - bytes.len();
        let text = core::str::from_utf8(bytes)
            .map_err(|error| refuse(content + error.valid_up_to(), "text is not UTF-8"))?;
        let control = text.char_indices().find(|(_, character)| !is_text_char(*character));
        match control {
            Some((index, _)) if guard!("format.cbor.text_char", true) => {
                Err(refuse(content + index, "control character in text"))
            }
            _ => Ok(text),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let rest = &self.bytes[self.position..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let Some(taken) = taken else {
            let detail = format!("found {} bytes, allowed {length} here", rest.len());
            return Err(DecodeError::at(ErrorCode::Truncated, self.bytes.len(), detail));
        };
        self.position += taken.len();
        Ok(taken)
    }
}

fn refuse(position: usize, detail: &str) -> DecodeError {
    DecodeError::at(ErrorCode::CborNotCanonical, position, detail)
}
