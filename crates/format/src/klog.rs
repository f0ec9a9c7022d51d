//! KLOG: a sequence of KCBOR items, each preceded by its length.
//!
//! # Spec
//! `spec/encoding.md`, section "KLOG"; vectors in `spec/vectors/klog/`.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;
use crate::cbor::{self, Value};
use crate::limits;

/// Bytes of the length before each record.
const LENGTH_BYTES: usize = 4;

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset of the item in the file, after its length.
    pub offset: u64,
    /// Bytes of the item.
    pub bytes: &'a [u8],
    /// The item.
    pub value: Value,
}

/// Reads the records of a file in order; ends after the first error.
///
/// # Examples
/// ```
/// use kapsule_format::klog::{Reader, Writer};
///
/// let mut writer = Writer::new();
/// writer.push(&7_u64.into())?;
/// let file = writer.into_bytes();
/// assert_eq!(file, [0, 0, 0, 1, 7]);
/// let records: Result<Vec<_>, _> = Reader::new(&file).collect();
/// assert_eq!(records?[0].value, 7_u64.into());
/// # Ok::<(), kapsule_format::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first record; an empty file has none.
    #[must_use]
    pub const fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0 }
    }

    fn record(&mut self) -> Result<Record<'a>, DecodeError> {
        let start = self.position;
        let length = self.take(LENGTH_BYTES)?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        if guard!("format.klog.length", length == 0 || length > limits::RECORD_BYTES_MAX) {
            let max = limits::RECORD_BYTES_MAX;
            let detail = format!("record of {length} bytes, allowed 1 to {max}");
            return Err(DecodeError::at(ErrorCode::LimitExceeded, start, detail));
        }
        let offset = self.position as u64;
        let bytes = self.take(length)?;
        let value = cbor::decode(bytes).map_err(|error| error.shifted(offset))?;
        Ok(Record { offset, bytes, value })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let rest = &self.file[self.position..];
        let Some(taken) = rest.get(..length) else {
            let detail =
                format!("file ends inside a record: found {} bytes of {length}", rest.len());
            return Err(DecodeError::at(ErrorCode::Truncated, self.file.len(), detail));
        };
        self.position += length;
        Ok(taken)
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Result<Record<'a>, DecodeError>;

    /// # Errors
    /// E004 for a length outside 1 to 2^24, E002 if the file ends inside a record, and those of
    /// [`cbor::decode`] with offsets in the file.
    fn next(&mut self) -> Option<Self::Item> {
        if self.position == self.file.len() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.position = self.file.len();
        }
        Some(record)
    }
}

impl core::iter::FusedIterator for Reader<'_> {}

/// Writes records one after the other.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    file: Vec<u8>,
}

impl Writer {
    /// Starts an empty file.
    #[must_use]
    pub const fn new() -> Self {
        Self { file: Vec::new() }
    }

    /// Appends one record.
    ///
    /// # Errors
    /// E004 if the item has more than 2^24 bytes.
    ///
    /// # Panics
    /// As [`cbor::encode`].
    pub fn push(&mut self, value: &Value) -> Result<(), DecodeError> {
        let item = cbor::encode(value);
        if guard!("format.klog.written_length", item.len() > limits::RECORD_BYTES_MAX) {
            let (found, max) = (item.len(), limits::RECORD_BYTES_MAX);
            let detail = format!("record of {found} bytes exceeds the limit of {max} bytes");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        self.file.extend_from_slice(&(item.len() as u32).to_be_bytes());
        self.file.extend_from_slice(&item);
        Ok(())
    }

    /// Returns the file.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_with_their_offsets() {
        let values = [Value::Uint(1), Value::array(["a", "b"]), Value::Bool(true)];
        let mut writer = Writer::new();
        values.iter().for_each(|value| writer.push(value).unwrap());
        let file = writer.into_bytes();
        let records: Vec<Record<'_>> = Reader::new(&file).map(Result::unwrap).collect();
        let found: Vec<(u64, &Value)> =
            records.iter().map(|record| (record.offset, &record.value)).collect();
        assert_eq!(found, [(4, &values[0]), (9, &values[1]), (18, &values[2])]);
        assert!(records.iter().all(|record| cbor::encode(&record.value) == record.bytes));
    }

    #[test]
    fn the_reader_ends_after_an_error() {
        let mut reader = Reader::new(&[0, 0, 0, 0, 0, 0, 0, 1, 7]);
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!((error.code, error.offset), (ErrorCode::LimitExceeded, Some(0)));
        assert_eq!(reader.next(), None);
    }

    #[test]
    fn the_longest_record_is_written_and_read_and_a_longer_one_refused() {
        // The head of a byte string of this length has five bytes.
        let longest = limits::RECORD_BYTES_MAX - 5;
        let mut writer = Writer::new();
        writer.push(&Value::Bytes(alloc::vec![0; longest])).unwrap();
        let error = writer.push(&Value::Bytes(alloc::vec![0; longest + 1])).unwrap_err();
        assert_eq!(error.code, ErrorCode::LimitExceeded);
        let mut file = writer.into_bytes();
        assert!(Reader::new(&file).all(|record| record.is_ok()));
        // One byte more in the length is refused before the file is found too short.
        file[..4].copy_from_slice(&(limits::RECORD_BYTES_MAX as u32 + 1).to_be_bytes());
        let error = Reader::new(&file).next().unwrap().unwrap_err();
        assert_eq!((error.code, error.offset), (ErrorCode::LimitExceeded, Some(0)));
    }
}
