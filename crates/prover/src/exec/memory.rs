//! The cells of a machine, region by region, and when each was accessed last.

use kapsule_lower::LProgram;
use kapsule_lower::isa::{self, GUARD_END, PAGE_CELLS, STACK_BASE};

/// Cells of the frame stack and its guard; a power of two, so that an index needs no check.
pub(super) const FRAME_CELLS: usize = (GUARD_END - STACK_BASE) as usize;
const FRAME_MASK: usize = FRAME_CELLS - 1;
const _: () = assert!(FRAME_CELLS.is_power_of_two());

/// One value for each cell of the address map.
///
/// Regions that a program does not use take no space.
#[derive(Clone, Debug)]
pub(super) struct Cells<T> {
    pub(super) frames: Box<[T; FRAME_CELLS]>,
    /// `FUEL_DYN` at 1 and `TABLE_SIZE` at 2.
    pub(super) low: [T; 3],
    pub(super) globals: Vec<T>,
    pub(super) table: Vec<T>,
    pub(super) memory: Vec<T>,
}

impl<T: Copy + Default> Cells<T> {
    /// Returns cells with their default value, as many as the program starts with.
    pub(super) fn new(program: &LProgram) -> Self {
        Self {
            frames: frames(),
            low: [T::default(); 3],
            globals: vec![T::default(); program.globals.len()],
            table: vec![T::default(); program.table.len()],
            memory: vec![T::default(); program.memory.pages_initial as usize * PAGE_CELLS as usize],
        }
    }

    /// Returns one time, none so far, for each of these cells.
    pub(super) fn times(&self) -> Cells<u32> {
        Cells {
            frames: frames(),
            low: [0; 3],
            globals: vec![0; self.globals.len()],
            table: vec![0; self.table.len()],
            memory: vec![0; self.memory.len()],
        }
    }

    pub(super) fn grow(&mut self, pages: u32) {
        self.memory.resize(pages as usize * PAGE_CELLS as usize, T::default());
    }

    /// Returns slot `slot` of the frame at `fp`, which is counted from `STACK_BASE`.
    #[inline(always)]
    pub(super) fn slot(&self, fp: u32, slot: u32) -> T {
        self.frames[(fp.wrapping_add(slot)) as usize & FRAME_MASK]
    }

    #[inline(always)]
    pub(super) fn set_slot(&mut self, fp: u32, slot: u32, value: T) {
        self.frames[(fp.wrapping_add(slot)) as usize & FRAME_MASK] = value;
    }

    /// Returns the cell at an address, if the program has it.
    pub(super) fn at(&mut self, addr: u32) -> Option<&mut T> {
        let (region, index): (&mut [T], u32) = match addr {
            isa::MEMORY.. => (&mut self.memory, addr - isa::MEMORY),
            STACK_BASE..GUARD_END => (&mut self.frames[..], addr - STACK_BASE),
            isa::TABLE..STACK_BASE => (&mut self.table, addr - isa::TABLE),
            isa::GLOBALS..isa::TABLE => (&mut self.globals, addr - isa::GLOBALS),
            _ => (&mut self.low, addr),
        };
        region.get_mut(index as usize)
    }
}

/// Allocates the frame stack without passing it over the native one.
fn frames<T: Copy + Default>() -> Box<[T; FRAME_CELLS]> {
    let cells = vec![T::default(); FRAME_CELLS].into_boxed_slice();
    cells.try_into().unwrap_or_else(|_| unreachable!("the length is that of the type"))
}
