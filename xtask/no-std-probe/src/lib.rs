//! Names every pure crate and defines the panic handler that `std` would define.
//!
//! If any crate of the graph links `std`, the compiler reports two handlers and names the culprit.
//! This works on every host, without another target installed.
#![no_std]

extern crate kapsule_abi as _;
extern crate kapsule_engine as _;
extern crate kapsule_format as _;
extern crate kapsule_guest as _;
extern crate kapsule_lower as _;
extern crate kapsule_meter as _;
extern crate kapsule_proof as _;
extern crate kapsule_wasi as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
