//! The global allocator of a module.
#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::RefCell;
use core::ptr::{copy_nonoverlapping, null_mut, with_exposed_provenance_mut};

use kapsule_abi::PAGE_BYTES;

use super::Bump;

unsafe extern "C" {
    /// First address behind stack and data; the linker defines it, and only its address counts.
    static __heap_base: u8;
}

struct Global(RefCell<Option<Bump>>);

// SAFETY: a module has one thread, because the profile has no threads.
unsafe impl Sync for Global {}

#[global_allocator]
static GLOBAL: Global = Global(RefCell::new(None));

impl Global {
    fn with<T>(&self, act: impl FnOnce(&mut Bump) -> T) -> T {
        act(self.0.borrow_mut().get_or_insert_with(|| Bump {
            top: (&raw const __heap_base).expose_provenance(),
            end: memory_size(0) * PAGE_BYTES as usize,
        }))
    }
}

/// Grows the memory by whole pages and returns how many bytes were added.
fn grow(missing: usize) -> usize {
    let pages = missing.div_ceil(PAGE_BYTES as usize);
    if memory_grow(0, pages) == usize::MAX { 0 } else { pages * PAGE_BYTES as usize }
}

// SAFETY: `Bump` returns blocks that lie inside the memory, aligned and apart from each other.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.with(|bump| bump.allocate(layout.size(), layout.align(), grow));
        start.map_or(null_mut(), with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.with(|bump| bump.release(block.expose_provenance(), layout.size()));
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block.expose_provenance();
        if self.with(|bump| bump.resize(start, layout.size(), size, grow)).is_some() {
            return block;
        }
        let Some(new) = self.with(|bump| bump.allocate(size, layout.align(), grow)) else {
            return null_mut();
        };
        let new = with_exposed_provenance_mut(new);
        debug_assert!(new != block, "a new block lies apart from every other");
        // SAFETY: the old block has `layout.size()` bytes, the new one `size`, and they lie apart.
        unsafe { copy_nonoverlapping(block, new, layout.size().min(size)) };
        new
    }
}
