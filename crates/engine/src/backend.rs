//! The two wasm engines behind one private trait.
//!
//! Both are given the same metered bytes and answer hostcalls through the same
//! [`Dispatcher`], so whatever they report of a run can only differ by a fault of one of them.

#[cfg(feature = "jit")]
pub(crate) mod jit;
pub(crate) mod wasmi;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{Hostcall, IMPORT_NAMESPACE, Trap};
use kapsule_meter::{MemoryShape, MeteredModule};

use crate::HostError;
use crate::hostcall::Dispatcher;

/// Fuel from which the JIT is worth its compilation.
///
/// Chosen: the interpreter burns this much in about the 0.4 s that the JIT takes to compile a
/// module of 100 KB.
pub const JIT_FUEL_MIN: u64 = 100_000_000;

/// One of the wasm engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// The interpreter, the reference; always built.
    Wasmi,
    /// The Cranelift compiler, feature `jit`.
    #[cfg(feature = "jit")]
    Jit,
}

impl Backend {
    /// Every backend of this build.
    pub const ALL: &'static [Self] = &[
        Self::Wasmi,
        #[cfg(feature = "jit")]
        Self::Jit,
    ];

    /// Returns the name that tools print and accept: `wasmi` or `jit`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wasmi => "wasmi",
            #[cfg(feature = "jit")]
            Self::Jit => "jit",
        }
    }

    /// Returns the backend with this name, if this build has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|backend| backend.name() == name)
    }

    /// Returns the backend that suits a run of this much fuel: the interpreter below
    /// [`JIT_FUEL_MIN`], and from there the JIT where this build has it.
    ///
    /// # Determinism
    /// The choice changes how long a run takes and nothing that a run reports.
    #[must_use]
    pub fn choose(fuel: u64) -> Self {
        if fuel < JIT_FUEL_MIN {
            return Self::Wasmi;
        }
        Self::ALL.last().copied().unwrap_or(Self::Wasmi)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A metered module, compiled for one backend; cheap to clone and to run many times.
#[derive(Clone)]
pub struct Compiled {
    pub(crate) facts: Facts,
    code: Code,
}

/// What the engine needs to know of a module besides its code.
#[derive(Clone)]
pub(crate) struct Facts {
    pub(crate) imports: Vec<&'static Hostcall>,
    pub(crate) entries: BTreeMap<String, u32>,
    pub(crate) memory: Option<MemoryShape>,
    pub(crate) globals: Vec<String>,
    pub(crate) has_start: bool,
}

#[derive(Clone)]
enum Code {
    Wasmi(wasmi::Code),
    #[cfg(feature = "jit")]
    Jit(jit::Code),
}

/// Compiles a metered module for `backend`.
///
/// Takes about 1 ms on the interpreter and 100 ms on the JIT for 100 KB of code.
///
/// # Errors
/// [`HostError::Compile`] if the backend refuses what the meter accepted, has no memory for it, or,
/// in a build with `std`, panics.
///
/// # Determinism
/// Nothing that a run reports depends on the backend.
pub fn compile(module: &MeteredModule, backend: Backend) -> Result<Compiled, HostError> {
    let code = without_panic(backend, || match backend {
        Backend::Wasmi => Ok(Code::Wasmi(wasmi::Code::new(module.bytes())?)),
        #[cfg(feature = "jit")]
        Backend::Jit => Ok(Code::Jit(jit::Code::new(module.bytes())?)),
    })?;
    Ok(Compiled { facts: Facts::new(module), code })
}

/// Makes a panic of a backend's compiler an error: a fault that a stranger's module finds there
/// ends a run, and not the embedder.
#[cfg(feature = "std")]
fn without_panic<T>(
    backend: Backend,
    compile: impl FnOnce() -> Result<T, HostError>,
) -> Result<T, HostError> {
    // Nothing that the compiler touched is used after a panic.
    let compile = std::panic::AssertUnwindSafe(compile);
    std::panic::catch_unwind(compile).unwrap_or_else(|_| {
        Err(HostError::Compile { backend, detail: "its compiler panicked".into() })
    })
}

#[cfg(not(feature = "std"))]
fn without_panic<T>(
    _: Backend,
    compile: impl FnOnce() -> Result<T, HostError>,
) -> Result<T, HostError> {
    compile()
}

impl Facts {
    fn new(module: &MeteredModule) -> Self {
        let globals = module.mutable_globals().iter().map(|global| global.name.clone());
        Self {
            imports: module.imports().to_vec(),
            entries: module.entries().clone(),
            memory: module.memory(),
            globals: globals.collect(),
            has_start: module.has_start(),
        }
    }

    /// Returns the distinct imports; a module may import one hostcall many times.
    pub(crate) fn distinct_imports(&self) -> impl Iterator<Item = &'static Hostcall> {
        let by_number: BTreeMap<u16, &'static Hostcall> =
            self.imports.iter().map(|hostcall| (hostcall.number, *hostcall)).collect();
        by_number.into_values()
    }
}

impl Compiled {
    /// Returns the backend that the module was compiled for.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        match self.code {
            Code::Wasmi(_) => Backend::Wasmi,
            #[cfg(feature = "jit")]
            Code::Jit(_) => Backend::Jit,
        }
    }

    pub(crate) fn instantiate<'a>(
        &self,
        dispatcher: Dispatcher<'a>,
    ) -> Result<Box<dyn Instance<'a> + 'a>, HostError> {
        match &self.code {
            Code::Wasmi(code) => wasmi::instantiate(code, &self.facts, dispatcher),
            #[cfg(feature = "jit")]
            Code::Jit(code) => jit::instantiate(code, &self.facts, dispatcher),
        }
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

/// The bits of an exported global, NaNs made canonical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalValue {
    /// A 32-bit integer or float.
    Word32(u32),
    /// A 64-bit integer or float.
    Word64(u64),
}

impl GlobalValue {
    /// Takes the bits of an f32; every NaN becomes the positive quiet one without payload.
    pub(crate) const fn float32(bits: u32) -> Self {
        let is_nan = bits & 0x7fff_ffff > 0x7f80_0000;
        Self::Word32(if is_nan { 0x7fc0_0000 } else { bits })
    }

    /// Takes the bits of an f64, as [`GlobalValue::float32`].
    pub(crate) const fn float64(bits: u64) -> Self {
        let is_nan = bits & 0x7fff_ffff_ffff_ffff > 0x7ff0_0000_0000_0000;
        Self::Word64(if is_nan { 0x7ff8_0000_0000_0000 } else { bits })
    }

    /// Returns the bytes that the globals hash covers.
    pub(crate) fn to_be_bytes(self) -> Vec<u8> {
        match self {
            Self::Word32(bits) => bits.to_be_bytes().to_vec(),
            Self::Word64(bits) => bits.to_be_bytes().to_vec(),
        }
    }
}

/// Why a call into the guest did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The guest trapped; an `unreachable` may be one that metering injected.
    Trap(Trap),
    /// The dispatcher ended the run and knows why.
    Ended,
    /// The host failed.
    Host(HostError),
}

/// Where the guest trapped, as far as the backend knows.
///
/// # Determinism
/// A diagnostic: never compared, hashed or signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrapSite {
    /// Index of the function in the function index space of the metered module.
    pub function: u32,
    /// Byte offset of the instruction in the metered module, where known.
    pub offset: Option<u64>,
}

/// One set-up module of either backend.
pub(crate) trait Instance<'a> {
    /// Calls an exported function without parameters and returns its i32 result, if it has one.
    fn call(&mut self, export: &str) -> Result<Option<u32>, Fault>;

    /// Reads an exported global.
    fn global(&mut self, name: &str) -> Result<GlobalValue, HostError>;

    /// Writes an exported mutable global.
    fn set_global(&mut self, name: &str, value: GlobalValue) -> Result<(), HostError>;

    /// Returns the linear memory.
    fn memory(&mut self) -> &[u8];

    /// Returns where the last call trapped.
    fn trap_site(&self) -> Option<TrapSite>;

    /// Returns the dispatcher, which holds why it ended a run.
    fn dispatcher(&mut self) -> &mut Dispatcher<'a>;

    /// Drops the instance and returns the dispatcher with what it recorded.
    fn finish(self: Box<Self>) -> Dispatcher<'a>;
}

/// Returns the wasm parameter and result types of a hostcall, mapped by the backend.
pub(crate) fn signature<T>(
    hostcall: &Hostcall,
    map: impl Fn(kapsule_abi::ValueType) -> T,
) -> (Vec<T>, Vec<T>) {
    let params = hostcall.params.iter().map(|param| map(param.value_type())).collect();
    let results = hostcall.result.iter().map(|result| map(*result)).collect();
    (params, results)
}

/// Namespace of the imports that a backend links.
pub(crate) const NAMESPACE: &str = IMPORT_NAMESPACE;

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_compiler_is_an_error() {
        let found = without_panic(Backend::Wasmi, || -> Result<(), _> { panic!("a fault") });
        let detail = "its compiler panicked".into();
        assert_eq!(found, Err(HostError::Compile { backend: Backend::Wasmi, detail }));
    }
}
