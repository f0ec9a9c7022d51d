//! Reading CBOR step by step, with errors that name the field, the rule and the byte.

use alloc::format;
use core::fmt::Display;
use core::ops::RangeInclusive;

use kapsule_guest::minicbor::Decoder;
use kapsule_guest::{Error, kcbor};

use crate::VERSION;

/// Returns the error of a field at byte `offset` of the input.
#[must_use]
pub fn refuse(offset: usize, what: &str, reason: impl Display) -> Error {
    Error::input(format!("{what} at byte {offset}: {reason}"))
}

/// Validates `bytes` as deterministic CBOR and returns a decoder over them.
///
/// # Errors
/// Code [`Error::INPUT`].
pub fn decoder(bytes: &[u8]) -> Result<Decoder<'_>, Error> {
    kcbor::validate(bytes)?;
    Ok(Decoder::new(bytes))
}

/// Reads a map whose first key is 0 with the version, and hands every further pair to `field`.
///
/// `field` is called with the key and returns whether the map has such a key.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one, or has a key that `field` does not take.
pub fn versioned<'b>(
    decoder: &mut Decoder<'b>,
    what: &str,
    mut field: impl FnMut(u64, &mut Decoder<'b>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let mut version = None;
    map(decoder, what, |key, decoder| {
        if key != 0 {
            return field(key, decoder);
        }
        version = Some(uint(decoder, "version", VERSION..=VERSION)?);
        Ok(true)
    })?;
    required(version, what, "version").map(|_version| ())
}

/// Reads a map and hands every pair to `field`, as [`versioned`] does but without a version.
///
/// # Errors
/// As [`versioned`].
pub fn map<'b>(
    decoder: &mut Decoder<'b>,
    what: &str,
    mut field: impl FnMut(u64, &mut Decoder<'b>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let start = decoder.position();
    let Ok(Some(pairs)) = decoder.map() else {
        return Err(refuse(start, what, "expected a map"));
    };
    for _ in 0..pairs {
        let start = decoder.position();
        let key = decoder.u64().map_err(|error| refuse(start, what, error))?;
        if !field(key, decoder)? {
            return Err(refuse(start, what, format_args!("unknown key {key}")));
        }
    }
    Ok(())
}

/// Reads the head of an array and returns its length.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one.
pub fn array(decoder: &mut Decoder<'_>, what: &str) -> Result<u64, Error> {
    let start = decoder.position();
    match decoder.array() {
        Ok(Some(length)) => Ok(length),
        _ => Err(refuse(start, what, "expected an array")),
    }
}

/// Reads the head of an array that has exactly `length` items.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one.
pub fn tuple(decoder: &mut Decoder<'_>, what: &str, length: u64) -> Result<(), Error> {
    let start = decoder.position();
    let found = array(decoder, what)?;
    if found != length {
        return Err(refuse(start, what, format_args!("{found} items, expected {length}")));
    }
    Ok(())
}

/// Reads an unsigned integer within `range`.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one or out of range.
pub fn uint(
    decoder: &mut Decoder<'_>,
    what: &str,
    range: RangeInclusive<u64>,
) -> Result<u64, Error> {
    let start = decoder.position();
    let Ok(value) = decoder.u64() else {
        return Err(refuse(start, what, "expected an unsigned integer"));
    };
    if !range.contains(&value) {
        let (least, most) = range.into_inner();
        let reason = format_args!("{value} is outside {least} to {most}");
        return Err(refuse(start, what, reason));
    }
    Ok(value)
}

/// Reads a boolean.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one.
pub fn boolean(decoder: &mut Decoder<'_>, what: &str) -> Result<bool, Error> {
    let start = decoder.position();
    decoder.bool().map_err(|_other| refuse(start, what, "expected true or false"))
}

/// Reads a text.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one.
pub fn text<'b>(decoder: &mut Decoder<'b>, what: &str) -> Result<&'b str, Error> {
    let start = decoder.position();
    decoder.str().map_err(|_other| refuse(start, what, "expected a text"))
}

/// Reads a byte string.
///
/// # Errors
/// Code [`Error::INPUT`] if the item is another one.
pub fn bytes<'b>(decoder: &mut Decoder<'b>, what: &str) -> Result<&'b [u8], Error> {
    let start = decoder.position();
    decoder.bytes().map_err(|_other| refuse(start, what, "expected bytes"))
}

/// Returns the value of a field that must be there.
///
/// # Errors
/// Code [`Error::INPUT`] if it is not.
pub fn required<T>(value: Option<T>, what: &str, field: &str) -> Result<T, Error> {
    value.ok_or_else(|| Error::input(format!("{what} lacks {field}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(result: Result<T, Error>) -> Option<alloc::string::String> {
        result.err().map(|error| error.message().into())
    }

    #[test]
    fn errors_say_what_where_and_why() {
        let on = |bytes: &'static [u8]| Decoder::new(bytes);
        let none = |_: u64, _: &mut Decoder<'_>| Ok(false);
        for (found, expect) in [
            (
                message(uint(&mut on(b"\x05"), "weight", 0..=4)),
                "weight at byte 0: 5 is outside 0 to 4",
            ),
            (
                message(uint(&mut on(b"\xf5"), "weight", 0..=4)),
                "weight at byte 0: expected an unsigned integer",
            ),
            (message(tuple(&mut on(b"\x81\x00"), "row", 2)), "row at byte 0: 1 items, expected 2"),
            (message(array(&mut on(b"\x00"), "rows")), "rows at byte 0: expected an array"),
            (
                message(boolean(&mut on(b"\x00"), "blocked")),
                "blocked at byte 0: expected true or false",
            ),
            (message(text(&mut on(b"\x00"), "flag")), "flag at byte 0: expected a text"),
            (message(bytes(&mut on(b"\x00"), "cid")), "cid at byte 0: expected bytes"),
            (message(map(&mut on(b"\x00"), "input", none)), "input at byte 0: expected a map"),
            (
                message(map(&mut on(b"\xa1\x07\x00"), "input", none)),
                "input at byte 1: unknown key 7",
            ),
            (message(versioned(&mut on(b"\xa0"), "input", none)), "input lacks version"),
            (
                message(versioned(&mut on(b"\xa1\x00\x02"), "input", none)),
                "version at byte 2: 2 is outside 1 to 1",
            ),
        ] {
            assert_eq!(found.as_deref(), Some(expect));
        }
    }

    #[test]
    fn a_decoder_is_given_only_for_deterministic_bytes() {
        assert!(decoder(b"\x00").is_ok());
        assert_eq!(decoder(b"\x18\x00").err().map(|error| error.code()), Some(Error::INPUT));
    }
}
