//! What a guest logged, read from the records of its run.

use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::hostcall::LOG;
use kapsule_format::transcript::Entries;

use super::STATUS_ANSWERED;

/// One line that a guest logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Severity: 0 error, 1 warn, 2 info, 3 debug, 4 trace.
    pub level: u8,
    /// The line as the guest gave it; nothing says that it is UTF-8.
    pub bytes: &'a [u8],
}

/// The lines that a guest logged, in order.
///
/// All of them lie in one buffer, so that a line costs no allocation.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LogLines {
    /// Level of each line, and where it ends within the bytes.
    ends: Vec<(u8, usize)>,
    bytes: Vec<u8>,
}

impl LogLines {
    /// Returns the lines of a run, which its records hold: at most `count`, of so many `bytes`
    /// together.
    pub(crate) fn of(entries: &Entries, count: u64, bytes: u64) -> Self {
        let mut lines = Self::default();
        if count == 0 {
            return lines;
        }
        lines.ends.reserve(usize::try_from(count).unwrap_or_default());
        lines.bytes.reserve(usize::try_from(bytes).unwrap_or_default());
        for entry in entries {
            if entry.hostcall != u64::from(LOG) || entry.status != STATUS_ANSWERED {
                continue;
            }
            // Level, pointer and length, then the line.
            let Some(([level, ..], line)) = entry.request.split_first_chunk::<{ 3 * 8 }>() else {
                continue;
            };
            lines.bytes.extend_from_slice(line);
            lines.ends.push((*level, lines.bytes.len()));
        }
        lines
    }

    /// Returns the number of lines.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Tells whether there is no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the lines in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = LogLine<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |&(level, end)| {
            let from = core::mem::replace(&mut start, end);
            LogLine { level, bytes: self.bytes.get(from..end).unwrap_or_default() }
        })
    }
}

impl fmt::Debug for LogLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
