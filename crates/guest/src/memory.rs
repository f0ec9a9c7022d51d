//! Memory of a module: a bump allocator over `memory.grow`.
//!
//! Runs are short and their memory goes with them, so nothing but the topmost block is ever given
//! back; that one is what a growing vector needs.

#[cfg(target_arch = "wasm32")]
mod global;

/// Where the next block goes; addresses are numbers, so the arithmetic is tested on any machine.
#[derive(Debug, PartialEq, Eq)]
struct Bump {
    /// First free address.
    top: usize,
    /// First address beyond the memory.
    end: usize,
}

impl Bump {
    /// Returns the address of a new block, or `None` if `grow` cannot make room.
    ///
    /// `grow` is told how many bytes are missing and returns how many were added.
    fn allocate(
        &mut self,
        size: usize,
        align: usize,
        grow: impl FnOnce(usize) -> usize,
    ) -> Option<usize> {
        let start = self.top.checked_next_multiple_of(align)?;
        self.reach(start.checked_add(size)?, grow)?;
        Some(start)
    }

    /// Gives a block back if it is the topmost one.
    fn release(&mut self, start: usize, size: usize) {
        if start + size == self.top {
            self.top = start;
        }
    }

    /// Changes the size of the topmost block in place, or returns `None` if the block is another
    /// one or `grow` cannot make room.
    fn resize(
        &mut self,
        start: usize,
        size: usize,
        size_new: usize,
        grow: impl FnOnce(usize) -> usize,
    ) -> Option<()> {
        if start + size != self.top {
            return None;
        }
        self.reach(start.checked_add(size_new)?, grow)
    }

    /// Moves the top, after growing the memory where it ends before that.
    fn reach(&mut self, top: usize, grow: impl FnOnce(usize) -> usize) -> Option<()> {
        if top > self.end {
            self.end += grow(top - self.end);
        }
        if top > self.end {
            return None;
        }
        self.top = top;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65_536;

    fn pages(missing: usize) -> usize {
        missing.next_multiple_of(PAGE)
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut bump = Bump { top: 1001, end: PAGE };
        assert_eq!(bump.allocate(3, 1, pages), Some(1001));
        assert_eq!(bump.allocate(8, 8, pages), Some(1008));
        assert_eq!(bump, Bump { top: 1016, end: PAGE });
    }

    #[test]
    fn memory_grows_by_what_is_missing() {
        let mut bump = Bump { top: PAGE - 1, end: PAGE };
        assert_eq!(bump.allocate(PAGE, 1, pages), Some(PAGE - 1));
        assert_eq!(bump, Bump { top: 2 * PAGE - 1, end: 2 * PAGE });
    }

    #[test]
    fn failure_to_grow_leaves_the_top() {
        let mut bump = Bump { top: 10, end: PAGE };
        assert_eq!(bump.allocate(PAGE, 1, |_| 0), None);
        assert_eq!(bump.allocate(usize::MAX, 1, pages), None);
        assert_eq!(bump, Bump { top: 10, end: PAGE });
    }

    #[test]
    fn only_the_topmost_block_comes_back_or_changes() {
        let mut bump = Bump { top: 0, end: PAGE };
        let low = bump.allocate(16, 8, pages).unwrap();
        let high = bump.allocate(16, 8, pages).unwrap();
        bump.release(low, 16);
        assert_eq!((bump.top, bump.resize(low, 16, 32, pages)), (32, None));
        assert_eq!(bump.resize(high, 16, 64, pages), Some(()));
        assert_eq!(bump.resize(high, 64, 8, pages), Some(()));
        bump.release(high, 8);
        assert_eq!(bump.top, 16);
    }
}
