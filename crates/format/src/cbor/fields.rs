//! Typed access to maps and fixed arrays: another type is E008, an unlisted key E009.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use kapsule_abi::{ErrorCode, guard};

use super::{EXTENSION_KEY_MAX, EXTENSION_KEY_MIN, Value};
use crate::json::{check_range, check_schema};
use crate::text::is_ascending;
use crate::{DecodeError, Digest};

/// A type that a KCBOR item can be read as.
pub trait FromValue: Sized {
    /// Reads the item.
    ///
    /// # Errors
    /// E008 if the item has another type or size.
    fn from_value(value: Value) -> Result<Self, DecodeError>;
}

/// The entries of one map, taken out in ascending order of their keys.
///
/// # Examples
/// ```
/// use kapsule_format::cbor::{self, Fields};
///
/// let item = cbor::decode(&[0xa2, 0x00, 0x01, 0x02, 0x41, 0xff])?;
/// let mut fields = Fields::new(item, "example")?;
/// fields.version(1)?;
/// let absent: Option<u64> = fields.optional(1)?;
/// let bytes: Vec<u8> = fields.required(2)?;
/// fields.finish()?;
/// assert_eq!((absent, bytes), (None, vec![0xff]));
/// # Ok::<(), kapsule_format::DecodeError>(())
/// ```
#[derive(Debug)]
#[must_use = "`finish` refuses keys that nobody asked for"]
pub struct Fields {
    what: &'static str,
    entries: Vec<(u64, Value)>,
}

impl Fields {
    /// Opens a map; `what` is its CDDL name, for error texts.
    ///
    /// # Errors
    /// E008 if the item is not a map.
    pub fn new(value: Value, what: &'static str) -> Result<Self, DecodeError> {
        match value {
            Value::Map(entries) => Ok(Self { what, entries }),
            other => Err(wrong_type(&other, "a map").within(what)),
        }
    }

    /// Takes key 0 and compares it with the version.
    ///
    /// # Errors
    /// E005 for another number, E008 if it is absent or not a number.
    pub fn version(&mut self, expect: u64) -> Result<(), DecodeError> {
        let found: u64 = self.required(0)?;
        if guard!("format.cbor.version", found != expect) {
            let detail = format!("found version {found}, allowed {expect}");
            return Err(DecodeError::new(ErrorCode::VersionUnsupported, detail).within(self.what));
        }
        Ok(())
    }

    /// Takes key 0 and compares it with the format name.
    ///
    /// # Errors
    /// E005 if only the number differs, E001 for any other text, E008 if it is absent or no text.
    pub fn format_name(&mut self, expect: &str) -> Result<(), DecodeError> {
        let found: String = self.required(0)?;
        check_schema(&found, expect).map_err(|mut error| {
            if error.code == ErrorCode::SchemaViolation {
                error.code = ErrorCode::UnknownFormat;
            }
            error.within(self.what)
        })
    }

    /// Takes a required entry.
    ///
    /// # Errors
    /// E008 if it is absent or has another type.
    pub fn required<T: FromValue>(&mut self, key: u64) -> Result<T, DecodeError> {
        match self.optional(key)? {
            Some(entry) => Ok(entry),
            None => {
                let detail = format!("required key {key} of {} is absent", self.what);
                Err(DecodeError::new(ErrorCode::SchemaViolation, detail))
            }
        }
    }

    /// Takes an optional entry.
    ///
    /// # Errors
    /// E008 if it is present and has another type.
    pub fn optional<T: FromValue>(&mut self, key: u64) -> Result<Option<T>, DecodeError> {
        let Ok(index) = self.entries.binary_search_by_key(&key, |entry| entry.0) else {
            return Ok(None);
        };
        let (_, value) = self.entries.remove(index);
        T::from_value(value).map(Some).map_err(|error| self.at_key(key, error))
    }

    /// Takes a required integer within `range`.
    ///
    /// # Errors
    /// E008 if it is absent, of another type or outside the range.
    pub fn uint(&mut self, key: u64, range: RangeInclusive<u64>) -> Result<u64, DecodeError> {
        let number = self.required(key)?;
        check_range(number, &range).map_err(|error| self.at_key(key, error))
    }

    /// Takes an optional integer within `range`.
    ///
    /// # Errors
    /// E008 if it is of another type or outside the range.
    pub fn optional_uint(
        &mut self,
        key: u64,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, DecodeError> {
        self.optional(key)?
            .map(|number| check_range(number, &range))
            .transpose()
            .map_err(|error| self.at_key(key, error))
    }

    /// Takes a required array of `lengths` elements.
    ///
    /// # Errors
    /// E008 if it is absent, not an array, or of another length.
    pub fn items(
        &mut self,
        key: u64,
        what: &'static str,
        lengths: RangeInclusive<u64>,
    ) -> Result<Items, DecodeError> {
        let value = self.required(key)?;
        Items::new(value, what, lengths).map_err(|error| self.at_key(key, error))
    }

    /// Ends a closed map.
    ///
    /// # Errors
    /// E009 if an entry was not taken.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.entries.first() {
            Some((key, _)) if guard!("format.cbor.unlisted", true) => Err(self.unlisted(*key)),
            _ => Ok(()),
        }
    }

    /// Ends a map marked `ext`, and returns its entries with keys 64 to 65535.
    ///
    /// # Errors
    /// E009 if another entry was not taken.
    pub fn finish_ext(self) -> Result<Vec<(u64, Value)>, DecodeError> {
        let allowed = EXTENSION_KEY_MIN..=EXTENSION_KEY_MAX;
        match self.entries.iter().find(|(key, _)| !allowed.contains(key)) {
            Some((key, _)) if guard!("format.cbor.extension", true) => Err(self.unlisted(*key)),
            _ => Ok(self.entries),
        }
    }

    fn unlisted(&self, key: u64) -> DecodeError {
        let detail = format!("key {key} of {} is not allowed there", self.what);
        DecodeError::new(ErrorCode::UnknownCriticalField, detail)
    }

    fn at_key(&self, key: u64, error: DecodeError) -> DecodeError {
        error.within(&format!("key {key} of {}", self.what))
    }
}

/// The elements of one array, taken out in order, for arrays whose places have meanings.
#[derive(Debug)]
#[must_use = "`finish` refuses elements that nobody asked for"]
pub struct Items {
    what: &'static str,
    elements: alloc::vec::IntoIter<Value>,
}

impl Items {
    /// Opens an array of `lengths` elements; `what` is its CDDL name, for error texts.
    ///
    /// # Errors
    /// E008 if the item is not an array or has another length.
    pub fn new(
        value: Value,
        what: &'static str,
        lengths: RangeInclusive<u64>,
    ) -> Result<Self, DecodeError> {
        let Value::Array(elements) = value else {
            return Err(wrong_type(&value, "an array").within(what));
        };
        check_range(elements.len() as u64, &lengths)
            .map_err(|error| error.within(&format!("length of {what}")))?;
        Ok(Self { what, elements: elements.into_iter() })
    }

    /// Takes the next element.
    ///
    /// # Errors
    /// E008 if there is none or it has another type.
    pub fn required<T: FromValue>(&mut self) -> Result<T, DecodeError> {
        match self.elements.next() {
            Some(value) => T::from_value(value).map_err(|error| error.within(self.what)),
            None => {
                let detail = format!("{} has too few elements", self.what);
                Err(DecodeError::new(ErrorCode::SchemaViolation, detail))
            }
        }
    }

    /// Takes the next element, an integer within `range`.
    ///
    /// # Errors
    /// E008 if there is none, or it has another type or is outside the range.
    pub fn uint(&mut self, range: RangeInclusive<u64>) -> Result<u64, DecodeError> {
        let number = self.required()?;
        check_range(number, &range).map_err(|error| error.within(self.what))
    }

    /// Ends the array.
    ///
    /// # Errors
    /// E008 if an element was not taken.
    pub fn finish(self) -> Result<(), DecodeError> {
        if guard!("format.cbor.surplus_element", self.elements.len() > 0) {
            let detail = format!("{} has {} elements too many", self.what, self.elements.len());
            return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
        }
        Ok(())
    }
}

/// Takes a required array of so many elements.
pub(crate) fn bounded<T: FromValue>(
    fields: &mut Fields,
    key: u64,
    lengths: RangeInclusive<u64>,
) -> Result<Vec<T>, DecodeError> {
    let list: Vec<T> = fields.required(key)?;
    let found = list.len() as u64;
    if guard!("format.cbor.list_length", !lengths.contains(&found)) {
        let (min, max) = (lengths.start(), lengths.end());
        let detail = format!("key {key} has {found} elements, allowed are {min} to {max}");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(list)
}

/// Refuses a list that is not in strictly ascending order.
pub(crate) fn ascending<T: PartialOrd>(
    what: &str,
    keys: impl IntoIterator<Item = T>,
) -> Result<(), DecodeError> {
    if guard!("format.cbor.list_order", !is_ascending(keys)) {
        let detail = format!("{what} are not in strictly ascending order");
        return Err(DecodeError::new(ErrorCode::SchemaViolation, detail));
    }
    Ok(())
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

impl FromValue for u64 {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Uint(number) => Ok(number),
            other => Err(wrong_type(&other, "an integer")),
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

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Text(text) => Ok(text),
            other => Err(wrong_type(&other, "text")),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => Err(wrong_type(&other, "a byte string")),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let bytes = Vec::<u8>::from_value(value)?;
        bytes.as_slice().try_into().map_err(|_| {
            let detail = format!("found {} bytes, allowed {N}", bytes.len());
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        })
    }
}

impl FromValue for Digest {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        <[u8; Self::BYTES]>::from_value(value).map(Self::new)
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
