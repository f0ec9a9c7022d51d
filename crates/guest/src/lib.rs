#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;
#[cfg(all(not(target_arch = "wasm32"), any(test, feature = "test-host")))]
extern crate std;

mod entry;
mod error;
pub mod host;
pub mod kcbor;
#[cfg(any(test, target_arch = "wasm32"))]
mod memory;
#[cfg(target_arch = "wasm32")]
mod panic;
mod raw;
mod records;
#[cfg(all(not(target_arch = "wasm32"), any(test, feature = "test-host")))]
pub mod test_host;

pub use entry::{call, call_raw};
pub use error::Error;
pub use kapsule_abi::{ABI_VERSION, BUFFER_BYTES_MAX, Errno};
pub use minicbor;
pub use records::{
    Act, CapsuleMetadata, CapsuleResult, DagQuery, NetRequest, Network, Proposal, TrustEdge,
};
