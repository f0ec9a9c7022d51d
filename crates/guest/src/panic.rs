//! The panic handler of a module.

use alloc::format;
use core::panic::PanicInfo;

use crate::host::{self, Level};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    host::log(Level::Error, &format!("{info}"));
    core::arch::wasm32::unreachable()
}
