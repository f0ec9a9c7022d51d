//! Metering that begins before it is known whether the module may run.

use alloc::sync::Arc;
use std::thread::{Builder, JoinHandle};

use kapsule_abi::guard;
use kapsule_format::Digest;
use kapsule_format::manifest::Manifest;
use kapsule_format::package::Layout;
use kapsule_meter::{Limits, MeterError, MeteredModule, Options, Profile, meter};

/// Shortest module that is worth a thread, in bytes.
///
/// Chosen: metering this much takes about a quarter of a millisecond, five times what a thread
/// costs.
const MODULE_BYTES_MIN: u64 = 16 << 10;

/// A module that a thread meters while its package is verified.
///
/// What the thread makes of bytes that nobody has verified is used for the same bytes alone, after
/// they were; metering depends on nothing else, so a module is metered alike either way.
#[derive(Debug)]
pub struct Ahead {
    wasm: Arc<[u8]>,
    profile: Profile,
    thread: JoinHandle<Result<MeteredModule, MeterError>>,
}

impl Ahead {
    /// Begins to meter the module of a package file, of which nothing is known yet.
    ///
    /// `wanted` is asked with the SHA-256 that the file states for its module, and the profile.
    /// Returns `None` if it is not wanted, and where there is nothing to gain: for a short module,
    /// one that is too long or encrypted, what is no package, and where no thread is to be had.
    #[must_use]
    pub fn begin(file: &[u8], wanted: impl FnOnce(Digest, Profile) -> bool) -> Option<Self> {
        let layout = Layout::decode(file).ok()?;
        let payload = &file[layout.payload()];
        // What is longer than metering takes is not worth a copy.
        let lengths = MODULE_BYTES_MIN..=Limits::default().module_bytes;
        if !lengths.contains(&(payload.len() as u64)) {
            return None;
        }
        let exec = Manifest::decode(&file[layout.manifest()]).ok()?.exec;
        if exec.encrypted.is_some() {
            return None;
        }
        let profile = exec.profile.name().parse().ok()?;
        if !wanted(exec.hash, profile) {
            return None;
        }
        let wasm: Arc<[u8]> = payload.into();
        let given = Arc::clone(&wasm);
        let metering = move || meter(&given, &Options::new(profile));
        let thread = Builder::new().name("kapsule-meter".into()).spawn(metering).ok()?;
        Some(Self { wasm, profile, thread })
    }

    /// Returns what [`meter`] says of a module, which waits for the thread if it has the same one.
    ///
    /// # Errors
    /// As [`meter`].
    pub fn meter(self, wasm: &[u8], profile: Profile) -> Result<MeteredModule, MeterError> {
        let other = self.profile != profile || *self.wasm != *wasm;
        if !guard!("engine.ahead.module", other)
            && let Ok(metered) = self.thread.join()
        {
            return metered;
        }
        meter(wasm, &Options::new(profile))
    }
}
