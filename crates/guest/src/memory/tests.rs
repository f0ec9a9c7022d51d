//! A heap over a memory of plain bytes.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

const PAGE: usize = 65_536;

/// A memory that begins with one page and has a most.
struct Plain {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Plain {
    fn new(pages_max: usize) -> Self {
        Self { bytes: vec![0; PAGE], bytes_max: pages_max * PAGE }
    }
}

impl Memory for Plain {
    fn bounds(&self) -> (usize, usize) {
        (1001, self.bytes.len())
    }

    fn grow(&mut self, missing: usize) -> usize {
        let added = missing.next_multiple_of(PAGE);
        if self.bytes.len() + added > self.bytes_max {
            return 0;
        }
        self.bytes.resize(self.bytes.len() + added, 0);
        added
    }

    fn link(&self, block: usize) -> usize {
        usize::from_le_bytes(self.bytes[block..block + 8].try_into().unwrap())
    }

    fn set_link(&mut self, block: usize, next: usize) {
        self.bytes[block..block + 8].copy_from_slice(&next.to_le_bytes());
    }
}

/// A heap with its memory, which knows what every block must hold.
struct Program {
    heap: Heap,
    memory: Plain,
    /// Start, size and byte of each block.
    blocks: Vec<(usize, usize, u8)>,
    random: u64,
}

impl Program {
    fn new(pages_max: usize) -> Self {
        Self { heap: Heap::new(), memory: Plain::new(pages_max), blocks: Vec::new(), random: 1 }
    }

    /// A number below `most`.
    fn below(&mut self, most: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) as usize % most
    }

    fn allocate(&mut self, size: usize, align: usize) -> Option<usize> {
        let start = self.heap.allocate(size, align, &mut self.memory)?;
        assert!(start.is_multiple_of(align) && start >= 1001, "{start}");
        assert!(start + size <= self.memory.bytes.len(), "{start} and {size} bytes");
        if self.heap.is_clean(start, size) {
            assert!(self.held(start, size).iter().all(|byte| *byte == 0), "{start} is not clean");
        }
        let byte = self.below(255) as u8 + 1;
        self.memory.bytes[start..start + size].fill(byte);
        self.blocks.push((start, size, byte));
        Some(start)
    }

    /// Gives back the block with a number, after a look at what it holds.
    fn release(&mut self, number: usize) {
        let (start, size, byte) = self.blocks.swap_remove(number);
        assert!(self.held(start, size).iter().all(|held| *held == byte), "{start} was overwritten");
        self.heap.release(start, size, &mut self.memory);
    }

    fn resize(&mut self, number: usize, size_new: usize) -> Option<()> {
        let (start, size, byte) = self.blocks[number];
        self.heap.resize(start, size, size_new, &mut self.memory)?;
        assert!(self.held(start, size.min(size_new)).iter().all(|held| *held == byte));
        self.memory.bytes[start..start + size_new].fill(byte);
        self.blocks[number].1 = size_new;
        Some(())
    }

    fn held(&self, start: usize, size: usize) -> &[u8] {
        &self.memory.bytes[start..start + size]
    }

    fn bytes(&self) -> usize {
        self.memory.bytes.len()
    }
}

#[test]
fn blocks_keep_what_they_hold_and_memory_stays_bounded() {
    let mut program = Program::new(1024);
    let mut resized = 0;
    for round in 0..60_000 {
        let size = 1 + program.below(1 << (1 + round % 14));
        let align = 1 << program.below(if round % 100 == 0 { 9 } else { 5 });
        program.allocate(size, align).unwrap();
        let (number, size) = (program.below(program.blocks.len()), 1 + program.below(20_000));
        resized += usize::from(program.resize(number, size).is_some());
        while program.blocks.iter().map(|block| block.1).sum::<usize>() > 200_000 {
            let number = program.below(program.blocks.len());
            program.release(number);
        }
    }
    assert!(resized > 500, "{resized} blocks changed their size");
    // 100 MB went through blocks of 0.2 MB.
    assert!(program.bytes() < 1_000_000, "{} bytes", program.bytes());
}

#[test]
fn a_block_that_came_back_is_the_next_one_of_its_class() {
    let mut program = Program::new(1);
    let [low, _high] = [100, 100].map(|size| program.allocate(size, 8).unwrap());
    program.release(0);
    assert_eq!(program.allocate(97, 16), Some(low));
    assert!(!program.heap.is_clean(low, 97));
}

#[test]
fn the_topmost_block_changes_its_size_in_place() {
    let mut program = Program::new(2);
    program.allocate(16, 8).unwrap();
    let high = program.allocate(16, 8).unwrap();
    assert_eq!(program.resize(0, 17), None);
    for size in [17, PAGE, 40] {
        assert_eq!(program.resize(1, size), Some(()), "{size}");
    }
    program.release(1);
    assert_eq!((program.heap.top, program.bytes()), (high, 2 * PAGE));
    // What lay in the page was handed out; what lies beyond it was not.
    program.allocate(PAGE, 8).unwrap();
    assert!(!program.heap.is_clean(high, PAGE));
}

#[test]
fn a_block_within_its_class_stays_where_it_is() {
    let mut program = Program::new(1);
    for _ in 0..2 {
        program.allocate(100, 8).unwrap();
    }
    assert_eq!((program.resize(0, 112), program.resize(0, 97)), (Some(()), Some(())));
    assert_eq!((program.resize(0, 113), program.resize(0, 96)), (None, None));
}

#[test]
fn a_great_free_block_is_used_before_the_memory_grows() {
    let mut program = Program::new(4);
    program.allocate(2 * PAGE, 8).unwrap();
    program.allocate(16, 8).unwrap();
    program.release(0);
    let bytes = program.bytes();
    for _ in 0..60 {
        program.allocate(2048, 8).unwrap();
    }
    assert_eq!(program.bytes(), bytes);
    // Beyond it the memory grows again, and what was left of the first region is not lost.
    while program.allocate(1024, 8).is_some() {}
    let held: usize = program.blocks.iter().map(|block| block.1).sum();
    assert!(held > 4 * PAGE - 6 * 1024, "{held} bytes of {}", 4 * PAGE);
}

#[test]
fn strictly_aligned_blocks_come_back_too() {
    let mut program = Program::new(2);
    for round in 0..1000 {
        program.allocate(100, 8).unwrap();
        for align in [64, 4096, 256] {
            program.allocate(100, align).unwrap();
        }
        while program.blocks.len() > 4 {
            let number = (round * 7) % 4;
            program.release(number);
        }
    }
    assert_eq!(program.bytes(), PAGE);
}

#[test]
fn failure_to_grow_leaves_the_heap_as_it_was() {
    let mut program = Program::new(2);
    program.allocate(16, 8).unwrap();
    for size in [2 * PAGE, 1 << 30, 1 << 31] {
        assert_eq!(program.allocate(size, 8), None);
        assert_eq!(program.allocate(size, 4096), None);
        assert_eq!(program.resize(0, size), None);
    }
    assert!(program.allocate(PAGE, 4096).is_some());
}

#[test]
fn nothing_is_handed_out_of_a_memory_that_is_full_at_the_start() {
    let mut full = Program::new(1);
    full.memory.bytes.truncate(1001);
    full.memory.bytes_max = 1001;
    assert_eq!((full.allocate(1, 1), full.allocate(1, 1)), (None, None));
}
