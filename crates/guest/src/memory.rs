//! Memory of a module: blocks in size classes over `memory.grow`.
//!
//! A block that is given back is kept in a list of its class, and the next block of that class is
//! taken from there.
//! Where the list is empty a block is cut from the region that is being used up; the topmost block
//! of it can change its size in place, which is what a growing vector needs.

mod class;
#[cfg(target_arch = "wasm32")]
mod global;
#[cfg(test)]
mod tests;

use class::{BLOCK_BYTES, CLASSES, Class};

/// What a heap needs of the memory that it hands out; addresses are numbers, so the arithmetic is
/// tested on any machine.
trait Memory {
    /// Returns the first address that is free at the start, and the first one beyond the memory.
    fn bounds(&self) -> (usize, usize);
    /// Adds at least so many bytes at the end, and returns how many were added.
    fn grow(&mut self, missing: usize) -> usize;
    /// Returns what was stored in a free block.
    fn link(&self, block: usize) -> usize;
    /// Stores the address of the next free block of the class, 0 for none, in a free block.
    fn set_link(&mut self, block: usize, next: usize);
}

/// Least size of a free block that becomes the region, in bytes, so that a search for one is rare.
const REGION_BYTES_MIN: usize = 4096;

/// Which addresses are free.
#[derive(Debug)]
struct Heap {
    /// First free address of the region.
    top: usize,
    /// First address beyond the region.
    end: usize,
    /// First address beyond the memory; 0 before the first block.
    limit: usize,
    /// First address that nobody had before `top` was last lowered.
    clean: usize,
    /// First free block of each class, 0 for none.
    free: [usize; CLASSES],
}

impl Heap {
    /// Makes a heap that asks for its bounds when the first block is wanted.
    const fn new() -> Self {
        Self { top: 0, end: 0, limit: 0, clean: 0, free: [0; CLASSES] }
    }

    /// Returns the address of a new block, or `None` if the memory cannot grow enough.
    fn allocate(&mut self, size: usize, align: usize, memory: &mut impl Memory) -> Option<usize> {
        if align > BLOCK_BYTES {
            return self.allocate_aligned(size, align, memory);
        }
        let class = Class::of(size);
        match self.free[class.index] {
            0 => self.cut(class.bytes, memory),
            block => {
                self.free[class.index] = memory.link(block);
                Some(block)
            }
        }
    }

    /// Takes a block back.
    fn release(&mut self, start: usize, size: usize, memory: &mut impl Memory) {
        let class = Class::of(size);
        if start.wrapping_add(class.bytes) == self.top {
            self.move_top(start);
        } else {
            self.keep(start, class.index, memory);
        }
    }

    /// Changes the size of a block in place, or returns `None` if that is not possible.
    fn resize(
        &mut self,
        start: usize,
        size: usize,
        size_new: usize,
        memory: &mut impl Memory,
    ) -> Option<()> {
        let (class, class_new) = (Class::of(size), Class::of(size_new));
        if class.index == class_new.index {
            return Some(());
        }
        if start.wrapping_add(class.bytes) != self.top {
            return None;
        }
        let top = start.checked_add(class_new.bytes)?;
        if top > self.end {
            self.extend(top, memory)?;
        }
        self.move_top(top);
        Some(())
    }

    /// Returns whether a block that was just allocated holds zeros because nobody had it before.
    fn is_clean(&self, start: usize, size: usize) -> bool {
        start >= self.clean && start.wrapping_add(Class::of(size).bytes) == self.top
    }

    /// Cuts a block from the region.
    fn cut(&mut self, bytes: usize, memory: &mut impl Memory) -> Option<usize> {
        if bytes > self.end.wrapping_sub(self.top) {
            self.make_room(bytes, memory)?;
        }
        let start = self.top;
        self.top = start.wrapping_add(bytes);
        Some(start)
    }

    /// Returns the address of a new block whose alignment not every block has.
    #[cold]
    fn allocate_aligned(
        &mut self,
        size: usize,
        align: usize,
        memory: &mut impl Memory,
    ) -> Option<usize> {
        let class = Class::of(size);
        if let Some(block) = self.take_aligned(class.index, align, memory) {
            return Some(block);
        }
        self.make_room(class.bytes.checked_add(align)?, memory)?;
        let start = self.top.next_multiple_of(align);
        self.keep_rest(self.top, start, memory);
        self.top = start;
        self.cut(class.bytes, memory)
    }

    /// Takes the first free block of a class that is aligned so out of its list.
    fn take_aligned(
        &mut self,
        index: usize,
        align: usize,
        memory: &mut impl Memory,
    ) -> Option<usize> {
        let (mut before, mut block) = (None, self.free[index]);
        while block != 0 && !block.is_multiple_of(align) {
            (before, block) = (Some(block), memory.link(block));
        }
        if block == 0 {
            return None;
        }
        let next = memory.link(block);
        match before {
            Some(before) => memory.set_link(before, next),
            None => self.free[index] = next,
        }
        Some(block)
    }

    /// Makes room for so many bytes in the region: in a free block, or else in new memory.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, bytes: usize, memory: &mut impl Memory) -> Option<()> {
        if self.limit == 0 {
            let (start, limit) = memory.bounds();
            (self.top, self.end, self.limit) =
                (limit.min(start.next_multiple_of(BLOCK_BYTES)), limit, limit);
        }
        if bytes <= self.end - self.top {
            return Some(());
        }
        if let Some((block, class)) = self.take_greatest(bytes, memory) {
            self.leave(block, block + class.bytes, memory);
            return Some(());
        }
        if self.end != self.limit {
            self.leave(self.limit, self.limit, memory);
        }
        self.extend(self.top.checked_add(bytes)?, memory)
    }

    /// Lets the memory grow until the region reaches `end`, if the region is the end of the memory.
    #[cold]
    #[inline(never)]
    fn extend(&mut self, end: usize, memory: &mut impl Memory) -> Option<()> {
        if self.end != self.limit {
            return None;
        }
        self.limit += memory.grow(end - self.limit);
        self.end = self.limit;
        (end <= self.end).then_some(())
    }

    /// Takes the greatest free block that has so many bytes out of its list.
    fn take_greatest(&mut self, bytes: usize, memory: &impl Memory) -> Option<(usize, Class)> {
        let least = Class::of(bytes.max(REGION_BYTES_MIN)).index;
        let index = (least..CLASSES).rev().find(|index| self.free[*index] != 0)?;
        let block = self.free[index];
        self.free[index] = memory.link(block);
        Some((block, Class::at(index)))
    }

    /// Goes to another region and keeps what is left of this one.
    fn leave(&mut self, top: usize, end: usize, memory: &mut impl Memory) {
        self.keep_rest(self.top, self.end, memory);
        (self.top, self.end, self.clean) = (top, end, self.limit);
    }

    /// Keeps what lies between two addresses, except for less than the difference of two classes.
    fn keep_rest(&mut self, start: usize, end: usize, memory: &mut impl Memory) {
        if let Some(class) = Class::within(end - start) {
            self.keep(start, class.index, memory);
        }
    }

    /// Puts a free block into the list of its class.
    fn keep(&mut self, block: usize, index: usize, memory: &mut impl Memory) {
        memory.set_link(block, self.free[index]);
        self.free[index] = block;
    }

    /// Moves the top and remembers how far the blocks reached.
    fn move_top(&mut self, top: usize) {
        self.clean = self.clean.max(self.top);
        self.top = top;
    }
}
