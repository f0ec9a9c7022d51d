//! Validation of KCBOR, the strict deterministic CBOR in which structured values travel.
//!
//! One value has one encoding, so an entry that validates its input first cannot be handed two
//! inputs that decode alike and hash differently.

use alloc::format;

use crate::Error;

/// Greatest number of arrays and maps that are open at once.
const DEPTH_MAX: u32 = 16;
/// Greatest integer, 2^53 - 1.
const UINT_MAX: u64 = (1 << 53) - 1;
/// Greatest length of a text, in bytes.
const TEXT_BYTES_MAX: u64 = 65_536;

/// Checks that `bytes` is exactly one KCBOR item.
///
/// # Errors
/// Code [`Error::INPUT`] with the byte offset and the rule that is broken.
///
/// # Spec
/// `spec/encoding.md`, section KCBOR.
pub fn validate(bytes: &[u8]) -> Result<(), Error> {
    let mut reader = Reader { bytes, offset: 0 };
    reader.item(0)?;
    if reader.offset != bytes.len() {
        return Err(refuse(reader.offset, "bytes after the item"));
    }
    Ok(())
}

#[cold]
fn refuse(offset: usize, rule: &str) -> Error {
    Error::input(format!("input is not deterministic CBOR at byte {offset}: {rule}"))
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.offset..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let Some(taken) = taken else { return Err(self.ends()) };
        self.offset += taken.len();
        Ok(taken)
    }

    #[cold]
    fn ends(&self) -> Error {
        refuse(self.bytes.len(), "input ends inside an item")
    }

    /// Reads a head in its shortest form and returns major type and argument.
    fn head(&mut self) -> Result<(u8, u64), Error> {
        let start = self.offset;
        let Some(first) = self.bytes.get(start) else { return Err(self.ends()) };
        self.offset += 1;
        let (major, short) = (first >> 5, first & 31);
        // Most heads are one byte long.
        if short < 24 { Ok((major, u64::from(short))) } else { self.long_head(start, major, short) }
    }

    fn long_head(&mut self, start: usize, major: u8, short: u8) -> Result<(u8, u64), Error> {
        let (length, least) = match short {
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(refuse(start, "indefinite or reserved length")),
        };
        let argument =
            self.take(length)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        if argument < least {
            return Err(refuse(start, "head not shortest"));
        }
        Ok((major, argument))
    }

    fn item(&mut self, depth: u32) -> Result<(), Error> {
        let start = self.offset;
        let (major, argument) = self.head()?;
        if (4..=5).contains(&major) && depth == DEPTH_MAX {
            return Err(refuse(start, "more than 16 nested items"));
        }
        match major {
            0 if argument <= UINT_MAX => Ok(()),
            0 => Err(refuse(start, "integer above 2^53 - 1")),
            2 => self.take(argument).map(|_bytes| ()),
            3 => self.text(start, argument),
            4 => (0..argument).try_for_each(|_| self.item(depth + 1)),
            5 => self.map(argument, depth + 1),
            // 20 and 21 are false and true; a longer head cannot hold them in shortest form.
            7 if argument == 20 || argument == 21 => Ok(()),
            _ => Err(refuse(start, "type outside the format")),
        }
    }

    fn text(&mut self, start: usize, length: u64) -> Result<(), Error> {
        if length > TEXT_BYTES_MAX {
            return Err(refuse(start, "text longer than 65536 bytes"));
        }
        let bytes = self.take(length)?;
        let Ok(text) = core::str::from_utf8(bytes) else {
            return Err(refuse(start, "text is not UTF-8"));
        };
        // Control bytes never occur inside a longer UTF-8 sequence.
        if text.bytes().any(|byte| (byte < 0x20 && byte != b'\n') || byte == 0x7f) {
            return Err(refuse(start, "control character in text"));
        }
        Ok(())
    }

    fn map(&mut self, pairs: u64, depth: u32) -> Result<(), Error> {
        let mut last = None;
        for _ in 0..pairs {
            let start = self.offset;
            let (major, key) = self.head()?;
            if major != 0 || key > UINT_MAX {
                return Err(refuse(start, "map key is not an unsigned integer"));
            }
            if last >= Some(key) {
                return Err(refuse(start, "map keys do not ascend"));
            }
            last = Some(key);
            self.item(depth)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::vec::Vec;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .filter_map(|digit| (digit as char).to_digit(16))
            .map(|d| d as u8)
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[test]
    fn accepts() {
        let deepest = "81".repeat(16) + "00";
        for text in [
            "00",
            "17",
            "1818",
            "1b001fffffffffffff",
            "40",
            "43010203",
            "60",
            "62c3a4",
            "610a",
            "80",
            "83010203",
            "a0",
            "a2000001f5",
            "f4",
            "f5",
            "a1187880",
            deepest.as_str(),
        ] {
            assert_eq!(validate(&hex(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses() {
        let too_deep = "81".repeat(17) + "00";
        let long_text = "7a00010001".to_owned() + &"61".repeat(65_537);
        for (text, offset, rule) in [
            ("", 0, "input ends inside an item"),
            ("4201", 2, "input ends inside an item"),
            ("1b00", 2, "input ends inside an item"),
            ("5bffffffffffffffff", 9, "input ends inside an item"),
            ("8200", 2, "input ends inside an item"),
            ("0000", 1, "bytes after the item"),
            ("1800", 0, "head not shortest"),
            ("1817", 0, "head not shortest"),
            ("1900ff", 0, "head not shortest"),
            ("1a0000ffff", 0, "head not shortest"),
            ("1b00000000ffffffff", 0, "head not shortest"),
            ("f814", 0, "head not shortest"),
            ("1c", 0, "indefinite or reserved length"),
            ("9fff", 0, "indefinite or reserved length"),
            ("1b0020000000000000", 0, "integer above 2^53 - 1"),
            ("20", 0, "type outside the format"),
            ("c000", 0, "type outside the format"),
            ("f6", 0, "type outside the format"),
            ("f7", 0, "type outside the format"),
            ("f93c00", 0, "type outside the format"),
            ("61ff", 0, "text is not UTF-8"),
            ("6109", 0, "control character in text"),
            ("617f", 0, "control character in text"),
            ("a16000", 1, "map key is not an unsigned integer"),
            ("a11b002000000000000000", 1, "map key is not an unsigned integer"),
            ("a201000000", 3, "map keys do not ascend"),
            ("a201000100", 3, "map keys do not ascend"),
            (too_deep.as_str(), 16, "more than 16 nested items"),
            (long_text.as_str(), 0, "text longer than 65536 bytes"),
        ] {
            assert_eq!(validate(&hex(text)), Err(refuse(offset, rule)), "{text:.40}");
        }
    }
}
