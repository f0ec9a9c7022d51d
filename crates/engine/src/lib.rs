//! Runs one metered module once: input and limits in; outcome, usage and transcript out; the same
//! bits on every backend, machine and platform.
//!
//! # Examples
//! ```
//! use kapsule_abi::Outcome;
//! use kapsule_engine::{Backend, Job, JobOptions, MemoryHost, ReplayOptions};
//! use kapsule_engine::{compile, replay, run};
//! use kapsule_format::{Digest, package::CoreHash, package::PackageId, policy::Policy};
//! use kapsule_meter::{Options, Profile, meter};
//!
//! let wasm = wat::parse_str(
//!     r#"(module
//!         (import "kapsule_v1" "input_len" (func $input_len (result i64)))
//!         (memory (export "memory") 1)
//!         (func (export "kapsule_abi_version") (result i32) (i32.const 1))
//!         (func (export "run") (result i32) (i32.wrap_i64 (call $input_len))))"#,
//! )?;
//! let metered = meter(&wasm, &Options::new(Profile::Integer1))?;
//! let compiled = compile(&metered, Backend::Wasmi)?;
//! let policy = Policy::default();
//! let job = Job {
//!     capsule_hash: PackageId::new(Digest::new([0; 32])),
//!     core_hash: CoreHash::new(Digest::new([0; 32])),
//!     profile: Profile::Integer1,
//!     entry: "run",
//!     input: b"four",
//!     policy: &policy,
//!     fuel: 1_000,
//!     memory_bytes: 65_536,
//!     seed: [0; 32],
//!     deadline: None,
//!     compose: None,
//!     options: JobOptions::default(),
//! };
//! let run = run(&compiled, &job, &mut MemoryHost::default())?;
//! assert_eq!(run.outcome, Outcome::Completed(4));
//!
//! let transcript = run.transcript.expect("evidence is on by default");
//! let replayed = replay(&compiled, &transcript, ReplayOptions::default())?;
//! assert_eq!(replayed.difference, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Map
//! [`compile`] takes a metered module to a [`Backend`], [`run`] executes a [`Job`] against a
//! [`Host`] and returns a [`Run`], a [`Pool`] does so again and again on instances that it puts
//! back into their first state, [`replay`] repeats a run from its transcript, [`run_auto`] chooses
//! the backend and [`run_once`] compiles no more than one run needs.
//! Inside, one dispatcher gives every hostcall its meaning, and the backends only carry calls to
//! it.
//!
//! # Invariants
//! - No type of a backend appears in a public signature, and no result depends on the backend.
//! - An [`Outcome`](kapsule_abi::Outcome) is the guest's doing, a [`HostError`] the machine's;
//!   neither becomes the other.
//! - A run reaches no clock, file, network or random number: everything comes through the job and
//!   the host, and every answer is in the transcript.
//! - The backends' own fuel is off: what is counted was injected by `kapsule-meter`.
//!
//! # Features
//! `jit` adds the compiling backend and needs `std`; `raw` adds plain instances of arbitrary wasm
//! for conformance suites and benchmarks.
//!
//! # Spec
//! `spec/abi.md`, `spec/transcript.md`, `spec/replay.md`.
#![no_std]
#![deny(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core,
    clippy::float_arithmetic
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
mod ahead;
mod auto;
mod backend;
mod compose;
mod error;
mod host;
mod hostcall;
mod pool;
#[cfg(feature = "raw")]
pub mod raw;
mod replay;
mod run;
#[cfg(feature = "jit")]
mod tiered;

#[cfg(feature = "std")]
pub use ahead::Ahead;
pub use auto::{run_auto, run_auto_with, run_hot, run_once};
pub use backend::{Backend, Compiled, JIT_FUEL_MIN, TrapSite, compile};
#[cfg(feature = "jit")]
pub use backend::{CodeKey, CodeOrigin, compile_interruptible};
pub use compose::{Callee, Callees, Compose, NESTED_RUNS_MAX, NESTING_MAX, Nested, Recorded};
pub use error::{HostError, Refusal, RunError};
pub use host::{
    Act, Answer, CapsuleMetadata, CapsuleResult, Dag, DagQuery, Effects, Host, MemoryCapsule,
    MemoryHost, NetRequest, NetworkKind, Proposal, StorageChanges, StorageSize, TrustEdge,
    apply_changes, next_key,
};
pub use hostcall::{LogLine, LogLines, recomputed};
pub use pool::Pool;
pub use replay::{Difference, Field, Replay, ReplayOptions, disagreement, replay};
pub use run::{Job, JobOptions, Run, States, TRANSCRIPT_BYTES_DEFAULT, Usage, run};
#[cfg(feature = "jit")]
pub use tiered::Tiered;
