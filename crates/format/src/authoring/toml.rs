//! Reads TOML into a tree.

use alloc::format;
use alloc::string::{String, ToString};

use kapsule_abi::{ErrorCode, guard};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tree::{Node, Value};
use super::{AuthoringError, Place, Source};
use crate::json::UINT_MAX;
use crate::limits::AUTHORING_BYTES_MAX;

/// Reads one file.
pub(super) fn read(text: &str, source: Source) -> Result<Node, AuthoringError> {
    let whole = Place { source, key: String::new(), line: None };
    if guard!("format.authoring.size", text.len() > AUTHORING_BYTES_MAX) {
        let found = text.len();
        return Err(whole.refuse(
            ErrorCode::LimitExceeded,
            format!("file of {found} bytes exceeds the limit of {AUTHORING_BYTES_MAX} bytes"),
        ));
    }
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        let place = Place { line, ..whole.clone() };
        place.refuse(ErrorCode::AuthoringAmbiguous, one_line(error.message()))
    })?;
    table(text, source, "", document.get_ref()).map(|value| Node { place: whole, value })
}

fn table(
    text: &str,
    source: Source,
    path: &str,
    table: &DeTable<'_>,
) -> Result<Value, AuthoringError> {
    let mut members = alloc::vec::Vec::new();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        members.push((name, node(text, source, path, key.span().start, value)?));
    }
    Ok(Value::Table(members))
}

fn node(
    text: &str,
    source: Source,
    key: String,
    start: usize,
    value: &Spanned<DeValue<'_>>,
) -> Result<Node, AuthoringError> {
    let place = Place { source, key, line: Some(line_at(text, start)) };
    let value = match value.get_ref() {
        DeValue::String(string) => {
            // U+0000 has no canonical form.
            if guard!("format.authoring.nul", string.contains('\0')) {
                return Err(place.refuse(ErrorCode::SchemaViolation, "text holds U+0000"));
            }
            Value::Text(string.to_string())
        }
        DeValue::Integer(number) => {
            let found = u64::from_str_radix(number.as_str(), number.radix()).ok();
            let allowed = found.filter(|number| *number <= UINT_MAX);
            let detail = format!("found {number}, allowed are 0 to {UINT_MAX}");
            Value::Integer(allowed.ok_or_else(|| place.unit(detail))?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Float(_) | DeValue::Datetime(_) => {
            return Err(place.refuse(
                ErrorCode::AuthoringAmbiguous,
                "floats and dates are not allowed, write text in quotes",
            ));
        }
        DeValue::Array(items) => {
            let read = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                let key = format!("{}[{index}]", place.key);
                node(text, source, key, item.span().start, item)
            };
            Value::List(items.iter().enumerate().map(read).collect::<Result<_, _>>()?)
        }
        DeValue::Table(members) => table(text, source, &place.key, members)?,
    };
    Ok(Node { place, value })
}

fn line_at(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    // A file has at most 2^18 bytes.
    before.iter().filter(|byte| **byte == b'\n').count() as u32 + 1
}

fn one_line(message: &str) -> String {
    message.lines().next().unwrap_or("not TOML").to_string()
}
