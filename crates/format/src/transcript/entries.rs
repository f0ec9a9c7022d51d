//! The hostcalls of a run, one after the other in one buffer.

use alloc::vec::Vec;
use core::{fmt, slice};

/// One hostcall with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Number of the hostcall in the ABI table.
    pub hostcall: u64,
    /// Fuel used when the host was entered.
    pub fuel: u64,
    /// Status word: 0 answered, 1 refused with an error code, 2 to 7 the run ends.
    pub status: u64,
    /// Integer arguments and readable buffers.
    pub request: &'a [u8],
    /// Results and written buffers; empty when the run ends.
    pub response: &'a [u8],
}

/// The hostcalls of a run in order; the position is the sequence number.
///
/// All requests and responses lie in one buffer, so that recording a call allocates nothing but
/// now and then a longer buffer.
///
/// # Examples
/// ```
/// use kapsule_format::transcript::{Entries, Entry};
///
/// let entry = Entry { hostcall: 1, fuel: 9, status: 0, request: &[], response: &[7; 8] };
/// let mut entries = Entries::default();
/// entries.push(&entry);
/// assert_eq!(entries.get(0), Some(entry));
/// assert_eq!(entries.iter().map(|entry| entry.fuel).sum::<u64>(), 9);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Entries {
    heads: Vec<Head>,
    /// Request and response of each entry.
    bytes: Vec<u8>,
}

/// An entry without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    hostcall: u64,
    fuel: u64,
    status: u64,
    /// Where the request ends within the bytes and the response starts.
    request_end: usize,
    /// Where the response ends.
    end: usize,
}

impl Entries {
    /// Returns the number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.heads.len()
    }

    /// Tells whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Returns the entry with this sequence number.
    #[must_use]
    pub fn get(&self, seq: usize) -> Option<Entry<'_>> {
        let head = self.heads.get(seq)?;
        let before = seq.checked_sub(1).and_then(|before| self.heads.get(before));
        Some(self.entry(before.map_or(0, |before| before.end), head))
    }

    /// Returns the entries in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { entries: self, heads: self.heads.iter(), start: 0 }
    }

    /// Adds a copy of an entry behind the others.
    pub fn push(&mut self, entry: &Entry<'_>) {
        self.push_with(entry, &[]);
    }

    /// Adds a copy of an entry behind the others, whose response goes on with these parts.
    pub fn push_with(&mut self, entry: &Entry<'_>, parts: &[&[u8]]) {
        self.bytes.extend_from_slice(entry.request);
        let request_end = self.bytes.len();
        self.bytes.extend_from_slice(entry.response);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let Entry { hostcall, fuel, status, .. } = *entry;
        self.heads.push(Head { hostcall, fuel, status, request_end, end: self.bytes.len() });
    }

    fn entry(&self, start: usize, head: &Head) -> Entry<'_> {
        let Head { hostcall, fuel, status, request_end, end } = *head;
        let bytes = |range| self.bytes.get(range).unwrap_or_default();
        let (request, response) = (bytes(start..request_end), bytes(request_end..end));
        Entry { hostcall, fuel, status, request, response }
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> FromIterator<Entry<'a>> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry<'a>>>(iter: I) -> Self {
        let mut entries = Self::default();
        iter.into_iter().for_each(|entry| entries.push(&entry));
        entries
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = Entry<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Entries in order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    entries: &'a Entries,
    heads: slice::Iter<'a, Head>,
    start: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let head = self.heads.next()?;
        let start = core::mem::replace(&mut self.start, head.end);
        Some(self.entries.entry(start, head))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}
