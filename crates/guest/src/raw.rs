//! One function per hostcall with slices in place of pointers; nothing else is added.
//!
//! On wasm32 these are the imports.
//! Elsewhere they are the test double, if the crate is built for tests, or a panic.

#[cfg(target_arch = "wasm32")]
mod imports;
#[cfg(target_arch = "wasm32")]
pub(crate) use imports::*;

#[cfg(all(not(target_arch = "wasm32"), any(test, feature = "test-host")))]
pub(crate) use crate::test_host::calls::*;

#[cfg(all(not(target_arch = "wasm32"), not(any(test, feature = "test-host"))))]
mod absent;
#[cfg(all(not(target_arch = "wasm32"), not(any(test, feature = "test-host"))))]
pub(crate) use absent::*;
