//! Fixed-width little-endian integers and length-prefixed strings.

use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::guard;

use crate::error::DecodeError;
use crate::field::PRIME;

/// Writes the canonical form.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Lengths are bounded far below 2^32 by what produces them.
    pub(crate) fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(crate) fn elements(&mut self, elements: &[u32; 8]) {
        elements.iter().for_each(|element| self.u32(*element));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads the canonical form and nothing else.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        let taken = rest.get(..length).ok_or(DecodeError::Short(self.offset))?;
        self.offset += length;
        Ok(taken)
    }

    /// Takes everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let at = self.offset;
        self.take(N)?.try_into().map_err(|_| DecodeError::Short(at))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        let found = self.u8()?;
        if guard!("proof.codec.flag", found > 1) {
            return Err(DecodeError::Range { field, found: u64::from(found) });
        }
        Ok(found != 0)
    }

    /// Reads a length and checks it before anything is allocated for it.
    pub(crate) fn count(&mut self, field: &'static str, max: usize) -> Result<usize, DecodeError> {
        let found = self.u32()?;
        let count = usize::try_from(found).unwrap_or(usize::MAX);
        if guard!("proof.codec.count", count > max) {
            let (found, allowed) = (u64::from(found), max as u64);
            return Err(DecodeError::Limit { field, found, allowed });
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self, field: &'static str, max: usize) -> Result<String, DecodeError> {
        let length = self.count(field, max)?;
        let text = core::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Utf8)?;
        Ok(text.into())
    }

    /// Reads eight elements; a number that is not below p would be a second form of one.
    pub(crate) fn elements(&mut self, field: &'static str) -> Result<[u32; 8], DecodeError> {
        let mut elements = [0; 8];
        for element in &mut elements {
            *element = self.u32()?;
            if guard!("proof.codec.element", *element >= PRIME) {
                return Err(DecodeError::Range { field, found: u64::from(*element) });
            }
        }
        Ok(elements)
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        let left = self.bytes.len() - self.offset;
        if guard!("proof.codec.trailing", left != 0) {
            return Err(DecodeError::Trailing(left));
        }
        Ok(())
    }
}
