//! Writer of the one byte form.

use alloc::vec::Vec;

use kapsule_abi::ErrorCode;

use super::decode::is_text_char;
use super::{UINT_MAX, Value};
use crate::{DecodeError, limits};

/// Room that output starts with; chosen, most items are no longer.
const START_BYTES: usize = 512;

/// Encodes an item in its one byte form.
///
/// # Panics
/// If an integer is above [`UINT_MAX`], keys of a map do not ascend strictly, or text holds a
/// control character other than the line feed: such an item has no byte form, and values that
/// come from outside are checked first.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(START_BYTES);
    write_item(&mut out, value);
    out
}

/// Encodes an item whose text comes from outside, such as from a person.
///
/// # Errors
/// E004 for text over 65,536 bytes, E006 for a control character other than the line feed, or an
/// integer above [`UINT_MAX`].
///
/// # Panics
/// If keys of a map do not ascend strictly.
pub fn try_encode(value: &Value) -> Result<Vec<u8>, DecodeError> {
    check(value)?;
    Ok(encode(value))
}

fn check(value: &Value) -> Result<(), DecodeError> {
    let refuse = |code, detail: &str| Err(DecodeError::new(code, detail));
    match value {
        Value::Uint(number) if *number > UINT_MAX => {
            refuse(ErrorCode::CborNotCanonical, "an integer is above 2^53-1")
        }
        Value::Text(text) if text.len() > limits::TEXT_BYTES_MAX => {
            refuse(ErrorCode::LimitExceeded, "a text has more than 65,536 bytes")
        }
        Value::Text(text) if !text.chars().all(is_text_char) => {
            let detail = "a text holds a control character, allowed is the line feed alone";
            refuse(ErrorCode::CborNotCanonical, detail)
        }
        Value::Array(elements) => elements.iter().try_for_each(check),
        Value::Map(entries) => entries.iter().try_for_each(|(_, entry)| check(entry)),
        Value::Uint(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => Ok(()),
    }
}

fn write_item(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Uint(number) => write_uint(out, *number),
        Value::Bytes(bytes) => {
            write_head(out, 2, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Value::Text(text) => {
            assert!(text.chars().all(is_text_char), "text holds no control character");
            write_head(out, 3, text.len() as u64);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Array(elements) => {
            write_head(out, 4, elements.len() as u64);
            for element in elements {
                write_item(out, element);
            }
        }
        Value::Map(entries) => {
            assert!(entries.is_sorted_by(|left, right| left.0 < right.0), "map keys ascend");
            write_head(out, 5, entries.len() as u64);
            for (key, entry) in entries {
                write_uint(out, *key);
                write_item(out, entry);
            }
        }
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
    }
}

fn write_uint(out: &mut Vec<u8>, number: u64) {
    assert!(number <= UINT_MAX, "integer is at most 2^53-1");
    write_head(out, 0, number);
}

/// Writes a head with the shortest argument.
fn write_head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let initial = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(initial | bytes[7]),
        24..=0xff => out.extend_from_slice(&[initial | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(initial | 25);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(initial | 26);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(initial | 27);
            out.extend_from_slice(&bytes);
        }
    }
}
