//! Which declared locals were set on every path, so that they need no zero.

use alloc::vec;
use alloc::vec::Vec;

/// A set of declared locals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned(Vec<u64>);

impl Assigned {
    pub(super) fn none(locals: u32) -> Self {
        Self(vec![0; locals.div_ceil(64) as usize])
    }

    /// Returns what holds on a path that control never takes.
    pub(super) fn all(&self) -> Self {
        Self(vec![u64::MAX; self.0.len()])
    }

    pub(super) fn contains(&self, local: u32) -> bool {
        self.0[(local / 64) as usize] >> (local % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, local: u32) {
        self.0[(local / 64) as usize] |= 1 << (local % 64);
    }

    /// Keeps what both paths have set.
    pub(super) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine &= theirs);
    }
}
