//! `kapsule-embedder PACKAGE [INPUT]` runs a package on the text INPUT and prints its output.
//!
//! It shows how small a host can be: it has no standard library, and takes from the system's C
//! library what it needs to read a file, to print and to allocate.
//! A panic, which only a fault of this program can cause, ends it without words.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::alloc::{GlobalAlloc, Layout};
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_void};

#[link(name = "c")]
unsafe extern "C" {
    fn abort() -> !;
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void;
    fn close(file: c_int) -> c_int;
    fn free(block: *mut c_void);
    fn malloc(size: usize) -> *mut c_void;
    fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    fn read(file: c_int, bytes: *mut c_void, count: usize) -> isize;
    fn realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn write(file: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// Opens a file for reading, on every system that has `open`.
const READ_ONLY: c_int = 0;
const STDOUT: c_int = 1;
const STDERR: c_int = 2;
/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 65_536;
/// Alignment of every block that `malloc` returns.
const ALIGN: usize = align_of::<usize>() * 2;

/// The C library's allocator.
struct System;

#[global_allocator]
static ALLOCATOR: System = System;

// SAFETY: both functions return a block of the size and alignment that was asked for, or null, and
// `free` and `realloc` take the blocks of both.
unsafe impl GlobalAlloc for System {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (align, size) = (layout.align(), layout.size());
        // SAFETY: the alignment is a power of two, and the size a multiple of it.
        let block = match align <= ALIGN {
            true => unsafe { malloc(size) },
            false => unsafe { aligned_alloc(align, size.next_multiple_of(align)) },
        };
        block.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has the block from `alloc` or `realloc`.
        unsafe { free(block.cast()) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: the caller has the block from `alloc` or `realloc`.
            return unsafe { realloc(block.cast(), size).cast() };
        }
        // SAFETY: the caller says that the size is not 0 and does not overflow with its alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: both blocks have at least the smaller size, and the old one is freed once.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it may be called at any time.
    unsafe { abort() }
}

/// Named by the compiled `alloc`, which could unwind in another program.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As [`rust_eh_personality`]: nothing starts to unwind, so nothing goes on with it.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: it may be called at any time.
    unsafe { abort() }
}

/// Called by the C library's start code.
///
/// # Safety
/// `values` holds `count` texts that end in zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: c_int, values: *const *const c_char) -> c_int {
    let count = usize::try_from(count).unwrap_or_default();
    // SAFETY: so says the caller.
    let argument = |index| (index < count).then(|| unsafe { CStr::from_ptr(*values.add(index)) });
    match run(argument(1), argument(2)) {
        Ok(output) if write_all(STDOUT, &output) => 0,
        Ok(_) => 1,
        Err(message) => {
            let texts: [&[u8]; 3] = [b"error: ", message.as_bytes(), b"\n"];
            // Where nothing can be said, the exit code says it.
            let _ = texts.iter().all(|text| write_all(STDERR, text));
            1
        }
    }
}

fn run(package: Option<&CStr>, input: Option<&CStr>) -> Result<Vec<u8>, String> {
    let package = package.ok_or("usage: kapsule-embedder PACKAGE [INPUT]")?;
    let file = read_file(package).ok_or("the package cannot be read")?;
    kapsule_embedder::run(&file, input.unwrap_or_default().to_bytes())
}

/// Reads a whole file, or returns `None` if the system fails.
fn read_file(path: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the path ends in zero.
    let file = unsafe { open(path.as_ptr(), READ_ONLY) };
    if file < 0 {
        return None;
    }
    let mut bytes = Vec::new();
    let whole = loop {
        let start = bytes.len();
        bytes.resize(start + CHUNK_BYTES, 0);
        let room = &mut bytes[start..];
        // SAFETY: the buffer has room for so many bytes.
        let count = unsafe { read(file, room.as_mut_ptr().cast(), room.len()) };
        let Ok(count) = usize::try_from(count) else { break false };
        bytes.truncate(start + count);
        if count == 0 {
            break true;
        }
    };
    // SAFETY: it was opened above and is not used again.
    unsafe { close(file) };
    whole.then_some(bytes)
}

/// Writes everything, and tells whether the system took it.
fn write_all(file: c_int, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the buffer holds so many bytes.
        let count = unsafe { write(file, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(count).ok().and_then(|count| bytes.get(count..)) {
            Some(rest) if rest.len() < bytes.len() => bytes = rest,
            _ => return false,
        }
    }
    true
}
