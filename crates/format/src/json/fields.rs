//! Typed access to objects: what is missing or of another type is E008, what is left over E009.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use kapsule_abi::{ErrorCode, guard};

use super::Value;
use crate::limits::JSON_FILE_BYTES_MAX;
use crate::{DecodeError, Digest};

/// Every RJSON schema and KCBOR format name of version 1, to tell E008 from E001.
const SCHEMAS: &[&str] = &[
    "kapsule/accept/1",
    "kapsule/acl/1",
    "kapsule/host/1",
    "kapsule/key/1",
    "kapsule/known/1",
    "kapsule/manifest/1",
    "kapsule/policy/1",
    "kapsule/receipt-policy/1",
    "kapsule/registry/1",
    "kapsule/report/1",
    "kapsule/samples/1",
    "kapsule/toolchain/1",
    "kapsule/transcript/1",
    "kapsule/trust/1",
];

/// A type that an RJSON value can be read as.
pub trait FromValue: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// E008 if the value has another type or form.
    fn from_value(value: Value) -> Result<Self, DecodeError>;
}

/// The members of one object, taken out one by one.
///
/// # Examples
/// ```
/// use kapsule_format::json::{self, Fields};
///
/// let mut fields = Fields::new(json::decode(br#"{"a":1,"b":[true]}"#)?, "example")?;
/// let a = fields.uint("a", 0..=9)?;
/// let b: Vec<bool> = fields.required("b")?;
/// let c: Option<String> = fields.optional("c")?;
/// fields.finish()?;
/// assert_eq!((a, b, c), (1, vec![true], None));
/// # Ok::<(), kapsule_format::DecodeError>(())
/// ```
#[derive(Debug)]
#[must_use = "`finish` refuses members that nobody asked for"]
pub struct Fields {
    path: String,
    members: BTreeMap<String, Value>,
}

impl Fields {
    /// Opens an object; `path` names it in error texts.
    ///
    /// # Errors
    /// E008 if the value is not an object.
    pub fn new(value: Value, path: impl Into<String>) -> Result<Self, DecodeError> {
        let path = path.into();
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            other => Err(wrong_type(&other, "an object").within(&path)),
        }
    }

    /// Opens the object of a file without a limit of its own.
    ///
    /// # Errors
    /// E004 above 2^24 bytes; else as [`decode`](super::decode) and [`Fields::new`].
    pub fn of_file(bytes: &[u8], path: &str) -> Result<Self, DecodeError> {
        if guard!("format.json.file", bytes.len() > JSON_FILE_BYTES_MAX) {
            let found = bytes.len();
            let detail =
                format!("{path} of {found} bytes exceeds the limit of {JSON_FILE_BYTES_MAX}");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        Self::new(super::decode(bytes)?, path)
    }

    /// Returns the name that error texts use.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Takes the member `schema` and compares it with the expected name.
    ///
    /// # Errors
    /// E005 if only the number differs, E008 for another schema of these formats, E001 for any
    /// other text, E008 if the member is absent or not text.
    pub fn schema(&mut self, expect: &str) -> Result<(), DecodeError> {
        let found: String = self.required("schema")?;
        check_schema(&found, expect).map_err(|error| error.within(&self.member_path("schema")))
    }

    /// Takes a required member.
    ///
    /// # Errors
    /// E008 if it is absent or has another type.
    pub fn required<T: FromValue>(&mut self, name: &str) -> Result<T, DecodeError> {
        match self.optional(name)? {
            Some(member) => Ok(member),
            None => {
                let detail = format!("required member {} is absent", self.member_path(name));
                Err(DecodeError::new(ErrorCode::SchemaViolation, detail))
            }
        }
    }

    /// Takes an optional member.
    ///
    /// # Errors
    /// E008 if it is present and has another type.
    pub fn optional<T: FromValue>(&mut self, name: &str) -> Result<Option<T>, DecodeError> {
        match self.members.remove(name) {
            None => Ok(None),
            Some(value) => T::from_value(value)
                .map(Some)
                .map_err(|error| error.within(&self.member_path(name))),
        }
    }

    /// Takes a required integer within `range`.
    ///
    /// # Errors
    /// E008 if it is absent, of another type or outside the range.
    pub fn uint(&mut self, name: &str, range: RangeInclusive<u64>) -> Result<u64, DecodeError> {
        let number = self.required(name)?;
        check_range(number, &range).map_err(|error| error.within(&self.member_path(name)))
    }

    /// Takes an optional integer within `range`.
    ///
    /// # Errors
    /// E008 if it is of another type or outside the range.
    pub fn optional_uint(
        &mut self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, DecodeError> {
        self.optional(name)?
            .map(|number| check_range(number, &range))
            .transpose()
            .map_err(|error| error.within(&self.member_path(name)))
    }

    /// Takes a required text that `allowed` accepts; `form` describes what that is.
    ///
    /// # Errors
    /// E008 if it is absent, not text or refused.
    pub fn text(
        &mut self,
        name: &str,
        form: &str,
        allowed: impl FnOnce(&str) -> bool,
    ) -> Result<String, DecodeError> {
        let text: String = self.required(name)?;
        check_text(text, form, allowed).map_err(|error| error.within(&self.member_path(name)))
    }

    /// Takes an optional text that `allowed` accepts.
    ///
    /// # Errors
    /// E008 if it is not text or refused.
    pub fn optional_text(
        &mut self,
        name: &str,
        form: &str,
        allowed: impl FnOnce(&str) -> bool,
    ) -> Result<Option<String>, DecodeError> {
        self.optional(name)?
            .map(|text| check_text(text, form, allowed))
            .transpose()
            .map_err(|error| error.within(&self.member_path(name)))
    }

    /// Takes a required member that is an object.
    ///
    /// # Errors
    /// E008 if it is absent or not an object.
    pub fn object(&mut self, name: &str) -> Result<Self, DecodeError> {
        let path = self.member_path(name);
        Self::new(self.required(name)?, path)
    }

    /// Takes an optional member that is an object.
    ///
    /// # Errors
    /// E008 if it is present and not an object.
    pub fn optional_object(&mut self, name: &str) -> Result<Option<Self>, DecodeError> {
        let path = self.member_path(name);
        self.optional(name)?.map(|value| Self::new(value, path)).transpose()
    }

    /// Takes a required array of objects.
    ///
    /// # Errors
    /// E008 if it is absent, not an array, or has another element.
    pub fn objects(&mut self, name: &str) -> Result<Vec<Self>, DecodeError> {
        let path = self.member_path(name);
        let elements: Vec<Value> = self.required(name)?;
        elements
            .into_iter()
            .enumerate()
            .map(|(index, value)| Self::new(value, format!("{path}[{index}]")))
            .collect()
    }

    /// Ends a closed object.
    ///
    /// # Errors
    /// E009 if a member was not taken.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.members.first_key_value() {
            Some((name, _)) if guard!("format.json.unlisted", true) => Err(self.unlisted(name)),
            _ => Ok(()),
        }
    }

    /// Ends an object that may have extensions, and returns its `x_` members.
    ///
    /// # Errors
    /// E009 if a member was not taken and does not start with `x_`.
    pub fn finish_ext(self) -> Result<BTreeMap<String, Value>, DecodeError> {
        let other = self.members.keys().find(|name| !name.starts_with("x_"));
        match other {
            Some(name) if guard!("format.json.extension", true) => Err(self.unlisted(name)),
            _ => Ok(self.members),
        }
    }

    fn unlisted(&self, name: &str) -> DecodeError {
        let detail = format!("member {} is not allowed there", self.member_path(name));
        DecodeError::new(ErrorCode::UnknownCriticalField, detail)
    }

    fn member_path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }
}

/// Compares a schema or format name with the expected one.
///
/// # Errors
/// E005 if only the number differs, E008 for another schema of these formats, else E001.
pub(crate) fn check_schema(found: &str, expect: &str) -> Result<(), DecodeError> {
    let stem = |name: &str| -> Option<(String, bool)> {
        let (stem, number) = name.rsplit_once('/')?;
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        Some((stem.into(), digits))
    };
    if !guard!("format.fields.schema", found != expect) {
        return Ok(());
    }
    let code = match (stem(found), stem(expect)) {
        (Some((found, true)), Some((expect, _))) if found == expect => {
            ErrorCode::VersionUnsupported
        }
        _ if SCHEMAS.contains(&found) => ErrorCode::SchemaViolation,
        _ => ErrorCode::UnknownFormat,
    };
    // The text comes from outside, hence quoted and cut.
    let shown: String = found.chars().take(64).collect();
    Err(DecodeError::new(code, format!("found {shown:?}, allowed {expect:?}")))
}

pub(crate) fn check_range(number: u64, range: &RangeInclusive<u64>) -> Result<u64, DecodeError> {
    if guard!("format.fields.range", !range.contains(&number)) {
        let detail = format!("found {number}, allowed {} to {}", range.start(), range.end());
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(number)
}

fn check_text(
    text: String,
    form: &str,
    allowed: impl FnOnce(&str) -> bool,
) -> Result<String, DecodeError> {
    if guard!("format.json.text_form", !allowed(&text)) {
        let shown: String = text.chars().take(64).collect();
        let detail = format!("found {shown:?}, allowed {form}");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(text)
}

fn wrong_type(found: &Value, allowed: &str) -> DecodeError {
    let detail = format!("found {}, allowed {allowed}", found.kind());
    DecodeError::new(ErrorCode::SchemaViolation, detail)
}

impl FromValue for Value {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        Ok(value)
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(wrong_type(&other, "text")),
        }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(wrong_type(&other, "a boolean")),
        }
    }
}

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Uint(number) => Ok(number),
            other => Err(wrong_type(&other, "an integer")),
        }
    }
}

impl FromValue for Digest {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        String::from_value(value)?.parse()
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let Value::Array(elements) = value else {
            return Err(wrong_type(&value, "an array"));
        };
        let read = |(index, element)| {
            T::from_value(element).map_err(|error| error.within(&format!("[{index}]")))
        };
        elements.into_iter().enumerate().map(read).collect()
    }
}
