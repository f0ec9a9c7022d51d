//! The header: which bytes of a body are which section.

use alloc::format;
use core::ops::Range;

use kapsule_abi::{ErrorCode, guard};

use super::{MAGIC, VERSION};
use crate::DecodeError;
use crate::limits::{
    DEPENDENCIES_MAX, MANIFEST_BYTES_MAX, PAYLOAD_BYTES_MAX, POLICY_BYTES_MAX,
    PROOF_SECTION_BYTES_MAX,
};

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 61;
/// Place of `capsule_hash` in the header.
pub(super) const CAPSULE_HASH: Range<usize> = 29..61;
/// Place of `proof_len` in the header.
pub(super) const PROOF_LEN: Range<usize> = 17..21;

/// Bytes of one dependency.
pub(super) const DEPENDENCY_BYTES: u64 = 32;

/// Lengths of the five sections, as the header states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the manifest.
    pub manifest_len: u32,
    /// Bytes of the payload.
    pub payload_len: u64,
    /// Bytes of the proof section.
    pub proof_len: u32,
    /// Bytes of the dependency list.
    pub depmap_len: u32,
    /// Bytes of the runtime policy.
    pub policy_len: u32,
}

impl Layout {
    /// Decodes the header of `file` and checks every length against its range and the file.
    ///
    /// Bytes after the body are left to the trailer.
    ///
    /// # Errors
    /// E001, E002, E004, E005 or E040.
    pub fn decode(file: &[u8]) -> Result<Self, DecodeError> {
        let magic = file.get(..MAGIC.len()).unwrap_or(file);
        let known = !file.is_empty() && MAGIC.starts_with(magic);
        if guard!("format.layout.magic", !known) {
            return Err(DecodeError::at(
                ErrorCode::UnknownFormat,
                0,
                "the file does not start with the magic bytes 4e 4f 4e 4f",
            ));
        }
        let Some(header) = file.first_chunk::<HEADER_BYTES>() else {
            return Err(DecodeError::at(
                ErrorCode::Truncated,
                file.len(),
                format!("the header has {} bytes, needed are {HEADER_BYTES}", file.len()),
            ));
        };
        if guard!("format.layout.version", header[4] != VERSION) {
            return Err(DecodeError::at(
                ErrorCode::VersionUnsupported,
                4,
                format!("package version is {}, supported is {VERSION}", header[4]),
            ));
        }
        let layout = Self::read(header);
        layout.check_ranges()?;
        let end = layout.end();
        // Without this guard, the slices of the sections would still be cut by the same length.
        if file.len() < end {
            return Err(DecodeError::at(
                ErrorCode::Truncated,
                file.len(),
                format!("the sections end at byte {end}, the file at byte {}", file.len()),
            ));
        }
        Ok(layout)
    }

    fn read(header: &[u8; HEADER_BYTES]) -> Self {
        let number = |range: Range<usize>| {
            header[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        Self {
            manifest_len: number(5..9) as u32,
            payload_len: number(9..17),
            proof_len: number(PROOF_LEN) as u32,
            depmap_len: number(21..25) as u32,
            policy_len: number(25..29) as u32,
        }
    }

    fn check_ranges(&self) -> Result<(), DecodeError> {
        let manifest_max = MANIFEST_BYTES_MAX as u64;
        let policy_max = POLICY_BYTES_MAX as u64;
        let depmap_max = DEPENDENCIES_MAX as u64 * DEPENDENCY_BYTES;
        for (name, offset, found, least, most) in [
            ("manifest", 5, self.manifest_len.into(), 1, manifest_max),
            ("payload", 9, self.payload_len, 1, PAYLOAD_BYTES_MAX),
            ("proof", 17, self.proof_len.into(), 0, PROOF_SECTION_BYTES_MAX as u64),
            ("depmap", 21, self.depmap_len.into(), 0, depmap_max),
            ("policy", 25, self.policy_len.into(), 1, policy_max),
        ] {
            if guard!("format.layout.range", !(least..=most).contains(&found)) {
                return Err(DecodeError::at(
                    ErrorCode::LimitExceeded,
                    offset,
                    format!("{name} length is {found} bytes, allowed are {least} to {most}"),
                ));
            }
        }
        let rest = u64::from(self.depmap_len) % DEPENDENCY_BYTES;
        if guard!("format.layout.depmap_multiple", rest != 0) {
            return Err(DecodeError::at(
                ErrorCode::DepmapOrder,
                21,
                format!("depmap length {} is not a multiple of 32", self.depmap_len),
            ));
        }
        Ok(())
    }

    /// Returns the bytes of the header that carries these lengths and `capsule_hash`.
    #[must_use]
    pub fn encode(&self, capsule_hash: &[u8; 32]) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = VERSION;
        header[5..9].copy_from_slice(&self.manifest_len.to_be_bytes());
        header[9..17].copy_from_slice(&self.payload_len.to_be_bytes());
        header[PROOF_LEN].copy_from_slice(&self.proof_len.to_be_bytes());
        header[21..25].copy_from_slice(&self.depmap_len.to_be_bytes());
        header[25..29].copy_from_slice(&self.policy_len.to_be_bytes());
        header[CAPSULE_HASH].copy_from_slice(capsule_hash);
        header
    }

    /// Returns the place of the manifest in the body.
    #[must_use]
    pub fn manifest(&self) -> Range<usize> {
        HEADER_BYTES..HEADER_BYTES + self.manifest_len as usize
    }

    /// Returns the place of the payload in the body.
    #[must_use]
    pub fn payload(&self) -> Range<usize> {
        let start = self.manifest().end;
        // At most 2^30, so it fits the usize of a 32-bit host.
        start..start + self.payload_len as usize
    }

    /// Returns the place of the proof section in the body.
    #[must_use]
    pub fn proof(&self) -> Range<usize> {
        let start = self.payload().end;
        start..start + self.proof_len as usize
    }

    /// Returns the place of the dependency list in the body.
    #[must_use]
    pub fn depmap(&self) -> Range<usize> {
        let start = self.proof().end;
        start..start + self.depmap_len as usize
    }

    /// Returns the place of the runtime policy in the body.
    #[must_use]
    pub fn policy(&self) -> Range<usize> {
        let start = self.depmap().end;
        start..start + self.policy_len as usize
    }

    /// Returns the length of the body.
    #[must_use]
    pub fn end(&self) -> usize {
        self.policy().end
    }
}
