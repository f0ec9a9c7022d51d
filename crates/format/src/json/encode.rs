//! Writer of the one byte form.

use alloc::format;
use alloc::vec::Vec;

use super::{UINT_MAX, Value, is_member_name};

/// Room that output starts with; chosen, most values are no longer.
const START_BYTES: usize = 1_024;

/// Encodes a value in its one byte form.
///
/// # Panics
/// If an integer is above [`UINT_MAX`], text holds U+0000, or a member name is outside the
/// grammar: such a value has no byte form, and values that come from outside are checked first.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(START_BYTES);
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(members) => {
            // Names are ASCII, so byte order equals the UTF-16 order of RFC 8785.
            let mut separator = b'{';
            for (name, member) in members {
                assert!(is_member_name(name), "member name is in the grammar");
                out.push(separator);
                separator = b',';
                write_text(out, name);
                out.push(b':');
                write_value(out, member);
            }
            if members.is_empty() {
                out.push(b'{');
            }
            out.push(b'}');
        }
        Value::Array(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(out, element);
            }
            out.push(b']');
        }
        Value::Text(text) => write_text(out, text),
        Value::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Value::Uint(number) => {
            assert!(*number <= UINT_MAX, "integer is at most 2^53-1");
            out.extend_from_slice(format!("{number}").as_bytes());
        }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..0x20);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        let Some((byte, after)) = rest[plain..].split_first() else { break };
        match *byte {
            0 => panic!("text holds no U+0000"),
            byte @ 0x01..0x20 => match short_escape(byte) {
                Some(letter) => out.extend_from_slice(&[b'\\', letter]),
                None => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            },
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = after;
    }
    out.push(b'"');
}

/// Returns the letter that follows the backslash for a control character that has one.
pub(super) const fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        0x08 => Some(b'b'),
        0x09 => Some(b't'),
        0x0a => Some(b'n'),
        0x0c => Some(b'f'),
        0x0d => Some(b'r'),
        _ => None,
    }
}
