//! The 512-byte header of an entry, its content and its padding.

use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::Entry;
use crate::{DecodeError, limits};

/// Unit of a ustar archive in bytes.
pub const BLOCK_BYTES: usize = 512;

/// Bytes of the name field, the last of which is NUL.
const NAME_FIELD: usize = 100;
/// Where the size stands: 11 octal digits.
const SIZE: core::ops::Range<usize> = 124..135;
/// Where the sum of the header stands: 6 octal digits, NUL, space.
const HEADER_SUM: core::ops::Range<usize> = 148..156;

/// Reads the entry that starts at `position`; returns it with the position after its padding, or
/// `None` at the two blocks that end the file.
pub(super) fn read(
    bytes: &[u8],
    position: usize,
) -> Result<Option<(Entry<'_>, usize)>, DecodeError> {
    let block = block(bytes, position)?;
    if block.iter().all(|byte| *byte == 0) {
        return end(bytes, position).map(|()| None);
    }
    let name = block[..NAME_FIELD].split(|byte| *byte == 0).next().unwrap_or_default();
    let size = octal(&block[SIZE]).unwrap_or_default();
    let expected = header(name, size);
    let departure = block.iter().zip(&expected).position(|(found, allowed)| found != allowed);
    if let Some(offset) = departure
        && guard!("format.container.header", true)
    {
        let detail = "header differs from the one form for its name and size";
        return Err(DecodeError::at(ErrorCode::ContainerHeader, position + offset, detail));
    }
    let start = position + BLOCK_BYTES;
    if guard!("format.container.entry_bytes", size > limits::ENTRY_BYTES_MAX as u64) {
        let max = limits::ENTRY_BYTES_MAX;
        let detail = format!("entry of {size} bytes exceeds the limit of {max} bytes");
        return Err(DecodeError::at(ErrorCode::LimitExceeded, position, detail));
    }
    // Eleven octal digits may exceed a small address space, and then the file is too short.
    let size = usize::try_from(size).unwrap_or(usize::MAX / 2);
    let padded = size.next_multiple_of(BLOCK_BYTES);
    let Some(data) = bytes.get(start..start + padded) else {
        let detail = "file ends inside an entry";
        return Err(DecodeError::at(ErrorCode::Truncated, bytes.len(), detail));
    };
    let padding = data[size..].iter().position(|byte| *byte != 0);
    if let Some(offset) = padding
        && guard!("format.container.padding", true)
    {
        let (offset, detail) = (start + size + offset, "padding of an entry is not NUL");
        return Err(DecodeError::at(ErrorCode::ContainerPadding, offset, detail));
    }
    let Ok(name) = core::str::from_utf8(name) else {
        let detail = "entry name is not ASCII";
        return Err(DecodeError::at(ErrorCode::ContainerName, position, detail));
    };
    Ok(Some((Entry { name, bytes: &data[..size] }, start + padded)))
}

/// Appends an entry with its header and padding.
pub(super) fn write(file: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    file.extend_from_slice(&header(name.as_bytes(), bytes.len() as u64));
    file.extend_from_slice(bytes);
    file.resize(file.len().next_multiple_of(BLOCK_BYTES), 0);
}

fn block(bytes: &[u8], position: usize) -> Result<&[u8], DecodeError> {
    bytes.get(position..position + BLOCK_BYTES).ok_or_else(|| {
        let detail = "file ends before its two end blocks";
        DecodeError::at(ErrorCode::Truncated, bytes.len(), detail)
    })
}

/// Checks the two end blocks, the first of which stands at `position`.
fn end(bytes: &[u8], position: usize) -> Result<(), DecodeError> {
    let second = position + BLOCK_BYTES;
    let found = block(bytes, second)?.iter().position(|byte| *byte != 0);
    if let Some(offset) = found
        && guard!("format.container.end", true)
    {
        let detail = "one block of NUL bytes is not followed by another";
        return Err(DecodeError::at(ErrorCode::ContainerPadding, second + offset, detail));
    }
    let end = second + BLOCK_BYTES;
    if guard!("format.container.trailing", bytes.len() > end) {
        let detail = "found bytes after the two end blocks";
        return Err(DecodeError::at(ErrorCode::TrailingBytes, end, detail));
    }
    Ok(())
}

/// Returns the one header for a name and a size.
fn header(name: &[u8], size: u64) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| {
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &name[..name.len().min(NAME_FIELD - 1)]);
    put(100, b"0000644\x000000000\x000000000");
    put_octal(&mut put, SIZE.start, size, SIZE.len());
    put(136, b"00000000000");
    put(HEADER_SUM.start, b"        0");
    put(257, b"ustar\x0000");
    put(329, b"0000000\x000000000");
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    let mut put = |offset: usize, bytes: &[u8]| {
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put_octal(&mut put, HEADER_SUM.start, sum, 6);
    put(HEADER_SUM.start + 6, b"\0 ");
    header
}

fn put_octal(put: &mut impl FnMut(usize, &[u8]), offset: usize, number: u64, digits: usize) {
    for index in 0..digits {
        let shift = 3 * (digits - 1 - index);
        put(offset + index, &[b'0' + ((number >> shift) & 7) as u8]);
    }
}

/// Reads octal digits; anything else has no number.
fn octal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| match digit {
        b'0'..=b'7' => Some(number << 3 | u64::from(digit - b'0')),
        _ => None,
    })
}
