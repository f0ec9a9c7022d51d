//! Between tables of real data and the inputs and outputs of the standard modules.
//!
//! # Spec
//! The input and output forms are those of the READMEs of `modules/`.

pub(crate) mod agent;
pub(crate) mod capsules;
pub(crate) mod hn;
pub(crate) mod ledger;
pub(crate) mod otc;
pub(crate) mod rows;
pub(crate) mod sms;
pub(crate) mod time;

use kapsule_abi::ErrorCode;
use kapsule_format::cbor::{FromValue, Value};
use kapsule_format::{DecodeError, Digest};

use crate::error::Failure;

/// Version of every input and output of the standard modules.
pub(crate) const VERSION: u64 = 1;
/// Greatest size of a table in bytes; chosen, far above what the modules accept.
pub(crate) const TABLE_BYTES_MAX: u64 = 1 << 28;
/// Greatest length of a name in bytes, as the modules have it.
const NAME_BYTES_MAX: usize = 64;
/// Greatest number, the last one of KCBOR.
const UINT_MAX: u64 = (1 << 53) - 1;

/// A name of a person or post: bytes where a table or file has 64 hex digits, a number where it has
/// plain digits, else text.
///
/// The rule is the same for every table, so that names of two tables meet, and meet the ids of
/// people and capsules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// A number up to 2^53 - 1.
    Number(u64),
    /// Bytes, such as an identity id.
    Bytes(Vec<u8>),
    /// A text of 1 to 64 bytes.
    Text(String),
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse::<Digest>() {
            return Ok(Self::Bytes(id.as_bytes().to_vec()));
        }
        // Digits with a leading zero stay text, so that two spellings are two names.
        let canonical = text == "0" || !text.starts_with('0');
        let digits = canonical && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && number <= UINT_MAX => Ok(Self::Number(number)),
            _ if text.contains(is_control) => Err("control characters are not allowed".to_owned()),
            _ if (1..=NAME_BYTES_MAX).contains(&text.len()) => Ok(Self::Text(text.to_owned())),
            _ => Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes, found {}", text.len())),
        }
    }
}

/// Tells whether KCBOR text excludes a character that a table may contain.
const fn is_control(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{7f}')
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Bytes(bytes) => f.write_str(&kapsule_format::hash::encode_hex(bytes)),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl From<&Name> for Value {
    fn from(name: &Name) -> Self {
        match name {
            Name::Number(number) => (*number).into(),
            Name::Bytes(bytes) => bytes.clone().into(),
            Name::Text(text) => text.as_str().into(),
        }
    }
}

impl FromValue for Name {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Uint(number) => Ok(Self::Number(number)),
            Value::Bytes(bytes) => Ok(Self::Bytes(bytes)),
            Value::Text(text) => Ok(Self::Text(text)),
            _ => Err(DecodeError::new(
                ErrorCode::SchemaViolation,
                "a name is a number, bytes or text",
            )),
        }
    }
}

/// A knob of a module that an input may set: its name and its key in the parameters.
pub(crate) type Knob = (&'static str, u64);

/// A knob with its value, as `NAME=VALUE` sets it; the module checks the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    name: String,
    value: u64,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
        Ok(Self { name: name.to_owned(), value: uint(value, UINT_MAX)? })
    }
}

/// Returns the parameter map of an input, or `None` where nothing is set.
fn parameters(settings: &[Setting], knobs: &[Knob]) -> Result<Option<Value>, Failure> {
    let mut entries = std::collections::BTreeMap::new();
    for Setting { name, value } in settings {
        let knob = knobs.iter().find(|(known, _)| known == name);
        let Some((_, key)) = knob else {
            let names: Vec<&str> = knobs.iter().map(|(name, _)| *name).collect();
            let hint = format!("parameters are {}", names.join(", "));
            return Err(Failure::usage(format!("there is no parameter {name:?}"), hint));
        };
        if entries.insert(*key, *value).is_some() {
            let hint = "name each parameter once";
            return Err(Failure::usage(format!("parameter {name} is set twice"), hint));
        }
    }
    let entries: Vec<_> = entries.into_iter().map(|(key, value)| (key, value.into())).collect();
    Ok((!entries.is_empty()).then_some(Value::Map(entries)))
}

/// What came out of a conversion.
#[derive(Debug)]
pub(crate) struct Converted {
    /// Input of the module.
    pub(crate) bytes: Vec<u8>,
    /// Number of records.
    pub(crate) records: u64,
}

/// One record of a table.
struct Record<'a> {
    fields: &'a csv::StringRecord,
    /// What the table should look like, for the hint.
    form: &'static str,
}

impl Record<'_> {
    /// Reads a field, or says which column of which line is wrong.
    fn read<T>(
        &self,
        index: usize,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let line = self.fields.position().map_or(0, csv::Position::line);
        let text = self
            .fields
            .get(index)
            .ok_or_else(|| refuse(self.form, format!("line {line} has no column {column}")))?;
        read(text).map_err(|reason| {
            refuse(self.form, format!("{column} {text:?} in line {line}: {reason}"))
        })
    }
}

fn refuse(form: &'static str, cause: impl ToString) -> Failure {
    Failure::new(
        ErrorCode::SchemaViolation,
        "the table cannot be converted",
        format!("expected columns: {form}"),
    )
    .cause(cause)
}

/// Reads an unsigned integer within `most`.
fn uint(text: &str, most: u64) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && *number <= most);
    number.ok_or_else(|| format!("expected an integer from 0 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bytes_digits_are_numbers_and_the_rest_is_text() {
        let text = |text: &str| Ok(Name::Text(text.into()));
        for (input, expect) in [
            ("0", Ok(Name::Number(0))),
            ("35", Ok(Name::Number(35))),
            ("9007199254740991", Ok(Name::Number(UINT_MAX))),
            ("9007199254740992", text("9007199254740992")),
            ("007", text("007")),
            ("+7", text("+7")),
            ("ada", text("ada")),
            (&"0b".repeat(32), Ok(Name::Bytes(vec![11; 32]))),
            (&"0b".repeat(31), text(&"0b".repeat(31))),
            (&"0x".repeat(32), text(&"0x".repeat(32))),
        ] {
            assert_eq!(input.parse::<Name>(), expect);
        }
        assert!("".parse::<Name>().is_err());
        assert!("a\tb".parse::<Name>().is_err());
        assert!("x".repeat(65).parse::<Name>().is_err());
    }
}
