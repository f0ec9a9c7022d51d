//! The global allocator of a module.
#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::UnsafeCell;
use core::ptr::{
    copy_nonoverlapping, null_mut, with_exposed_provenance, with_exposed_provenance_mut,
    write_bytes,
};

use kapsule_abi::PAGE_BYTES;

use super::{Heap, Memory};

unsafe extern "C" {
    /// First address behind stack and data; the linker defines it, and only its address counts.
    static __heap_base: u8;
}

struct Global(UnsafeCell<Heap>);

// SAFETY: a module has one thread, because the profile has no threads.
unsafe impl Sync for Global {}

#[global_allocator]
static GLOBAL: Global = Global(UnsafeCell::new(Heap::new()));

impl Global {
    #[inline]
    fn with<T>(&self, act: impl FnOnce(&mut Heap) -> T) -> T {
        // SAFETY: there is one thread, and nothing that `act` does allocates.
        act(unsafe { &mut *self.0.get() })
    }

    #[inline]
    fn allocate(&self, layout: Layout) -> Option<usize> {
        self.with(|heap| heap.allocate(layout.size(), layout.align(), &mut Linear))
    }
}

/// The memory of the instance; the free blocks that [`Heap`] names are inside it, and nobody else
/// has them.
struct Linear;

impl Memory for Linear {
    fn bounds(&self) -> (usize, usize) {
        ((&raw const __heap_base).expose_provenance(), memory_size(0) * PAGE_BYTES as usize)
    }

    fn grow(&mut self, missing: usize) -> usize {
        let pages = missing.div_ceil(PAGE_BYTES as usize);
        if memory_grow(0, pages) == usize::MAX { 0 } else { pages * PAGE_BYTES as usize }
    }

    #[inline]
    fn link(&self, block: usize) -> usize {
        // SAFETY: a free block is aligned, has room for a number, and got one from `set_link`.
        unsafe { *with_exposed_provenance(block) }
    }

    #[inline]
    fn set_link(&mut self, block: usize, next: usize) {
        // SAFETY: a free block is aligned and has room for a number.
        unsafe { *with_exposed_provenance_mut(block) = next };
    }
}

// Never inlined: the calls cost at most a hundredth of the fuel, and most modules are an eighth
// smaller.
// SAFETY: `Heap` returns blocks that lie inside the memory, aligned and apart from each other.
unsafe impl GlobalAlloc for Global {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate(layout).map_or(null_mut(), with_exposed_provenance_mut)
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(start) = self.allocate(layout) else { return null_mut() };
        let block = with_exposed_provenance_mut(start);
        if !self.with(|heap| heap.is_clean(start, layout.size())) {
            // SAFETY: the block has `layout.size()` bytes.
            unsafe { write_bytes(block, 0, layout.size()) };
        }
        block
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|heap| heap.release(block.expose_provenance(), layout.size(), &mut Linear));
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block.expose_provenance();
        let resize = |heap: &mut Heap| heap.resize(start, layout.size(), size, &mut Linear);
        if self.with(resize).is_some() {
            return block;
        }
        let align = layout.align();
        let Some(new) = self.with(|heap| heap.allocate(size, align, &mut Linear)) else {
            return null_mut();
        };
        let new = with_exposed_provenance_mut(new);
        debug_assert!(new != block, "a new block lies apart from every other");
        // SAFETY: the old block has `layout.size()` bytes, the new one `size`, and they lie apart.
        unsafe { copy_nonoverlapping(block, new, layout.size().min(size)) };
        self.with(|heap| heap.release(start, layout.size(), &mut Linear));
        new
    }
}
