//! Names of people and posts.

use core::ops::RangeInclusive;

use kapsule_guest::Error;
use kapsule_guest::minicbor::data::Type;
use kapsule_guest::minicbor::encode::{self, Encode, Encoder, Write};
use kapsule_guest::minicbor::{Decoder, decode};

use crate::read;

/// Greatest length of a byte string or text that names something, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// A name, borrowed from the input: a number, bytes such as an identity id, or a text.
///
/// Names of different types differ, and they are ordered as listed: numbers by value, then bytes
/// and texts bytewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name<'a> {
    /// A number up to 2^53 - 1.
    Number(u64),
    /// 1 to 64 bytes.
    Bytes(&'a [u8]),
    /// A text of 1 to 64 bytes.
    Text(&'a str),
}

impl<'a> Name<'a> {
    /// Reads a name; `what` says in errors whose.
    ///
    /// # Errors
    /// Code [`Error::INPUT`] if the item has another type or length.
    pub fn decode(decoder: &mut Decoder<'a>, what: &str) -> Result<Self, Error> {
        const LENGTHS: RangeInclusive<usize> = 1..=NAME_BYTES_MAX;
        let start = decoder.position();
        let name = match decoder.datatype() {
            Ok(Type::Bytes) => decoder.bytes().map(Self::Bytes),
            Ok(Type::String) => decoder.str().map(Self::Text),
            _ => decoder.u64().map(Self::Number),
        };
        let length = match name {
            Ok(Self::Bytes(bytes)) => bytes.len(),
            Ok(Self::Text(text)) => text.len(),
            Ok(Self::Number(_)) => 1,
            Err(_) => return Err(read::refuse(start, what, "expected number, bytes or text")),
        };
        if !LENGTHS.contains(&length) {
            return Err(read::refuse(start, what, "a name has 1 to 64 bytes"));
        }
        name.map_err(|error: decode::Error| read::refuse(start, what, error))
    }
}

impl<C> Encode<C> for Name<'_> {
    fn encode<W: Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match self {
            Self::Number(number) => encoder.u64(*number)?.ok(),
            Self::Bytes(bytes) => encoder.bytes(bytes)?.ok(),
            Self::Text(text) => encoder.str(text)?.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Name<'_>, u16> {
        Name::decode(&mut Decoder::new(bytes), "author").map_err(|error| error.code())
    }

    #[test]
    fn encodes_what_it_decodes() {
        for name in [Name::Number(7), Name::Bytes(&[1; 32]), Name::Text("ada")] {
            let bytes: Vec<u8> = kapsule_guest::minicbor::to_vec(name).unwrap();
            assert_eq!(decode(&bytes), Ok(name));
        }
    }

    #[test]
    fn refuses_other_types_and_lengths() {
        let long = [vec![0x78, 65], vec![b'a'; 65]].concat();
        for bytes in [b"\x60".as_slice(), b"\x40", b"\x80", b"\xf5", b"", &long] {
            assert_eq!(decode(bytes), Err(Error::INPUT), "{bytes:02x?}");
        }
    }

    #[test]
    fn numbers_precede_bytes_and_bytes_precede_texts() {
        let names = [
            Name::Number(2),
            Name::Number(10),
            Name::Bytes(b"b"),
            Name::Bytes(b"ba"),
            Name::Text("a"),
        ];
        assert!(names.is_sorted());
    }
}
