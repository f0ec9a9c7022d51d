//! The hostcalls of a run, one after the other in a few buffers.

use alloc::vec::Vec;
use core::{fmt, slice};

/// Bytes of the first buffer: enough for the few calls of a short run.
const FIRST_BUFFER_BYTES: usize = 512;

/// Bytes of a buffer, each having twice those of the one before, unless one entry needs more.
///
/// Chosen: so little that an allocator serves it from memory that it has, and that what a run
/// leaves unused is little; so much that a new one is rare.
const FULL_BUFFER_BYTES: usize = 1 << 16;

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
/// Requests and responses lie behind each other in a few buffers, so that recording a call seldom
/// allocates and never moves what was recorded before.
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
#[derive(Clone, Default)]
pub struct Entries {
    heads: Vec<Head>,
    /// Buffers to which nothing is added any more.
    full: Vec<Vec<u8>>,
    /// The buffer that the next entry is written to if it has room.
    last: Vec<u8>,
}

/// An entry without its bytes, which lie in one buffer.
#[derive(Clone, Copy, Debug)]
struct Head {
    hostcall: u64,
    fuel: u64,
    status: u64,
    /// Number of the buffer; the last one comes after the full ones.
    buffer: u32,
    /// Where the request starts.
    start: u32,
    /// Where the request ends and the response starts.
    request_end: u32,
    /// Where the response ends.
    end: u32,
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
        self.heads.get(seq).map(|head| self.entry(head))
    }

    /// Returns the entries in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { entries: self, heads: self.heads.iter() }
    }

    /// Adds a copy of an entry behind the others.
    ///
    /// # Panics
    /// As [`Draft::finish`].
    pub fn push(&mut self, entry: &Entry<'_>) {
        let mut draft = self.begin(entry.request.len().saturating_add(entry.response.len()));
        draft.bytes(entry.request);
        draft.respond();
        draft.bytes(entry.response);
        draft.finish(entry.hostcall, entry.fuel, entry.status);
    }

    /// Begins an entry behind the others, whose request and response have this many bytes together.
    #[inline]
    pub fn begin(&mut self, bytes: usize) -> Draft<'_> {
        if self.last.capacity() - self.last.len() < bytes {
            self.add_buffer(bytes);
        }
        let start = self.last.len();
        Draft { entries: self, start, request_end: start }
    }

    /// Puts an empty buffer in the place of the last one.
    #[cold]
    fn add_buffer(&mut self, bytes: usize) {
        let capacity = self.last.capacity().saturating_mul(2);
        let capacity = capacity.clamp(FIRST_BUFFER_BYTES, FULL_BUFFER_BYTES).max(bytes);
        let full = core::mem::replace(&mut self.last, Vec::with_capacity(capacity));
        if full.capacity() > 0 {
            self.full.push(full);
        }
    }

    #[inline]
    fn entry(&self, head: &Head) -> Entry<'_> {
        let Head { hostcall, fuel, status, buffer, start, request_end, end } = *head;
        let buffer = self.full.get(buffer as usize).unwrap_or(&self.last);
        let bytes = |from, to| buffer.get(from as usize..to as usize).unwrap_or_default();
        let (request, response) = (bytes(start, request_end), bytes(request_end, end));
        Entry { hostcall, fuel, status, request, response }
    }
}

/// An entry that is being written; dropped before it is finished, it leaves none.
#[derive(Debug)]
pub struct Draft<'e> {
    entries: &'e mut Entries,
    start: usize,
    request_end: usize,
}

impl Draft<'_> {
    /// Adds an integer to the request, or to the response once that began.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }

    /// Adds bytes to the request, or to the response once that began.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.entries.last.extend_from_slice(bytes);
    }

    /// Ends the request and begins the response.
    #[inline]
    pub const fn respond(&mut self) {
        self.request_end = self.entries.last.len();
    }

    /// Adds the entry to the others.
    ///
    /// # Panics
    /// If request and response have more than 2^32 bytes together.
    #[inline]
    pub fn finish(self, hostcall: u64, fuel: u64, status: u64) {
        let Self { entries, start, request_end } = self;
        let place = |place| u32::try_from(place).expect("an entry has less than 2^32 bytes");
        entries.heads.push(Head {
            hostcall,
            fuel,
            status,
            buffer: place(entries.full.len()),
            start: place(start),
            request_end: place(request_end),
            end: place(entries.last.len()),
        });
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other)
    }
}

impl Eq for Entries {}

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
}

impl<'a> Iterator for Iter<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.heads.next().map(|head| self.entries.entry(head))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.heads.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}
