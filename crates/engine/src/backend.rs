//! The two wasm engines behind one private trait.
//!
//! Both are given the same metered bytes, which the compiler gets in a form of its own, and answer
//! hostcalls through the same [`Dispatcher`], so whatever they report of a run can only differ by a
//! fault of one of them.

#[macro_use]
mod shape;

#[cfg(feature = "jit")]
mod counting;
#[cfg(feature = "jit")]
pub(crate) mod jit;
mod lend;
#[cfg(feature = "jit")]
mod nans;
#[cfg(feature = "jit")]
pub(crate) mod recode;
#[cfg(feature = "jit")]
mod stored;
pub(crate) mod wasmi;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{Hostcall, IMPORT_NAMESPACE, Trap};
use kapsule_meter::{MemoryShape, MeteredModule, exports};

use crate::HostError;
use crate::hostcall::Dispatcher;

#[cfg(feature = "jit")]
pub use stored::{CodeKey, CodeOrigin};

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
    pub(crate) facts: Arc<Facts>,
    code: Code,
}

/// What the engine needs to know of a module besides its code.
#[derive(Clone)]
pub(crate) struct Facts {
    /// The distinct imports by number; a module may import one hostcall many times.
    pub(crate) imports: Vec<&'static Hostcall>,
    pub(crate) entries: BTreeMap<String, u32>,
    pub(crate) memory: Option<MemoryShape>,
    /// Export names of the module's mutable globals, in index order.
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
    let facts = Arc::new(Facts::new(module));
    let code = without_panic(backend, || match backend {
        Backend::Wasmi => {
            Ok(Code::Wasmi(wasmi::Code::new(module.bytes(), &facts, wasmi::When::AtOnce)?))
        }
        #[cfg(feature = "jit")]
        Backend::Jit => {
            Ok(Code::Jit(jit::Code::new(module.bytes(), &facts, jit::Stops::AtHostcalls)?))
        }
    })?;
    Ok(Compiled { facts, code })
}

/// Compiles a metered module for the JIT so that the deadline of a run is looked at between
/// hostcalls too, every few milliseconds.
///
/// Such code is slower, by 1.4 times for the programs of `kapsule-bench`; what fuel allows ends by
/// itself.
/// `docs/decisions/0070-code-that-stops-anywhere.md`
///
/// # Errors
/// As [`compile`].
///
/// # Determinism
/// Nothing that a run reports depends on how its code was compiled.
#[cfg(feature = "jit")]
pub fn compile_interruptible(module: &MeteredModule) -> Result<Compiled, HostError> {
    let facts = Arc::new(Facts::new(module));
    let compile = || jit::Code::new(module.bytes(), &facts, jit::Stops::Anywhere).map(Code::Jit);
    let code = without_panic(Backend::Jit, compile)?;
    Ok(Compiled { facts, code })
}

/// Compiles a module for one run: on the interpreter, only what the run calls.
pub(crate) fn compile_once(
    module: &MeteredModule,
    backend: Backend,
) -> Result<Compiled, HostError> {
    if backend != Backend::Wasmi {
        return compile(module, backend);
    }
    let facts = Arc::new(Facts::new(module));
    let code = wasmi::Code::new(module.bytes(), &facts, wasmi::When::FirstCall)?;
    Ok(Compiled { facts, code: Code::Wasmi(code) })
}

/// Makes a panic of a backend's compiler an error: a fault that a stranger's module finds there
/// ends a run, and not the embedder.
#[cfg(feature = "std")]
fn without_panic<T>(
    backend: Backend,
    compile: impl FnOnce() -> Result<T, HostError>,
) -> Result<T, HostError> {
    // Nothing that the compiler touched is used after a panic.
    let compile = core::panic::AssertUnwindSafe(compile);
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
        let imports: BTreeMap<u16, &'static Hostcall> =
            module.imports().iter().map(|hostcall| (hostcall.number, *hostcall)).collect();
        Self {
            imports: imports.into_values().collect(),
            entries: module.entries().clone(),
            memory: module.memory(),
            globals: globals.collect(),
            has_start: module.has_start(),
        }
    }

    /// Returns the export names of the globals that an [`Instance`] holds, in its order.
    fn global_names(&self) -> impl Iterator<Item = &str> {
        COUNTERS.into_iter().chain(self.globals.iter().map(String::as_str))
    }

    /// Tells whether the module can reach its storage, which then is part of its state.
    pub(crate) fn has_storage(&self) -> bool {
        self.imports.iter().any(|call| crate::hostcall::STORAGE_CALLS.contains(&call.number))
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

    /// Returns the hostcalls that the module imports, each once, in order of their numbers.
    #[must_use]
    pub fn imports(&self) -> &[&'static Hostcall] {
        &self.facts.imports
    }

    /// Returns the compiled code as an entry that a host can keep, or `None` for the interpreter,
    /// which compiles faster than it could load, and for code that stops anywhere.
    ///
    /// # Errors
    /// [`HostError::Compile`] if the backend cannot write its code.
    #[cfg(feature = "jit")]
    pub fn to_stored(
        &self,
        key: &CodeKey,
        origin: &CodeOrigin,
    ) -> Result<Option<Vec<u8>>, HostError> {
        match &self.code {
            Code::Wasmi(_) => Ok(None),
            Code::Jit(code) if code.stops() == jit::Stops::Anywhere => Ok(None),
            Code::Jit(code) => stored::store(&self.facts, code, key, origin).map(Some),
        }
    }

    /// Loads compiled code for the JIT from an entry that [`Compiled::to_stored`] wrote.
    ///
    /// Returns `None` for an entry that was not made under this key, of this origin, by this
    /// version, for this processor: the caller compiles again.
    /// Takes some 100 microseconds for a module of 100 KB.
    ///
    /// That `wasm` is the module that the origin names is for the caller to check: a run that ends
    /// with an access outside of the memory has its fuel counted by it.
    #[cfg(feature = "jit")]
    #[must_use]
    pub fn from_stored(
        entry: &[u8],
        key: &CodeKey,
        origin: &CodeOrigin,
        wasm: &[u8],
    ) -> Option<Self> {
        let (facts, code) = stored::load(entry, key, origin, wasm)?;
        Some(Self { facts: Arc::new(facts), code: Code::Jit(code) })
    }

    /// Returns the same module on the interpreter, if this code does not know how much fuel was
    /// left where an access outside of the memory ended the run.
    pub(crate) fn recounting(&self) -> Result<Option<Self>, HostError> {
        match &self.code {
            Code::Wasmi(_) => Ok(None),
            #[cfg(feature = "jit")]
            Code::Jit(code) => {
                let facts = Arc::clone(&self.facts);
                let code = wasmi::Code::new(&code.metered()?, &facts, wasmi::When::FirstCall)?;
                Ok(Some(Self { facts, code: Code::Wasmi(code) }))
            }
        }
    }

    /// Sets up an instance that has run nothing.
    pub(crate) fn instantiate(&self) -> Result<Box<dyn Instance>, HostError> {
        match &self.code {
            Code::Wasmi(code) => wasmi::instantiate(code, &self.facts),
            #[cfg(feature = "jit")]
            Code::Jit(code) => jit::instantiate(code, &self.facts),
        }
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled").field("backend", &self.backend()).finish_non_exhaustive()
    }
}

/// The bits of an exported global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GlobalValue {
    I32(u32),
    I64(u64),
    F32(u32),
    F64(u64),
}

impl GlobalValue {
    /// Returns the bytes that the globals hash covers: every NaN is the positive quiet one
    /// without payload.
    pub(crate) fn to_be_bytes(self) -> Vec<u8> {
        match self {
            Self::F32(bits) if bits & 0x7fff_ffff > 0x7f80_0000 => {
                0x7fc0_0000_u32.to_be_bytes().into()
            }
            Self::F64(bits) if bits & 0x7fff_ffff_ffff_ffff > 0x7ff0_0000_0000_0000 => {
                0x7ff8_0000_0000_0000_u64.to_be_bytes().into()
            }
            Self::I32(bits) | Self::F32(bits) => bits.to_be_bytes().into(),
            Self::I64(bits) | Self::F64(bits) => bits.to_be_bytes().into(),
        }
    }

    /// Returns the bits, zero-extended.
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::I32(bits) | Self::F32(bits) => u64::from(bits),
            Self::I64(bits) | Self::F64(bits) => bits,
        }
    }
}

/// Export names of the globals that metering adds, in the order in which an [`Instance`] has them
/// in front of the module's own.
const COUNTERS: [&str; 4] =
    [exports::FUEL, exports::STACK, exports::PAGES_MAX, exports::HOST_SHORT];

/// Places of the globals of an [`Instance`].
pub(crate) mod place {
    /// Fuel that is left, an i64.
    pub(crate) const FUEL: usize = 0;
    /// Stack height in slots, an i32.
    pub(crate) const STACK: usize = 1;
    /// Memory maximum in force in pages, an i32.
    pub(crate) const PAGES_MAX: usize = 2;
    /// 1 once the host failed to grow memory, an i32.
    pub(crate) const HOST_SHORT: usize = 3;
    /// The first of the module's own mutable globals.
    pub(crate) const OWN: usize = 4;
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
    /// Byte offset of the instruction in the metered module, where known; on the JIT the checks
    /// for NaNs of profile `float-1` count.
    pub offset: Option<u64>,
}

/// One set-up module of either backend.
///
/// It can be called again after a call that returned or failed with anything but
/// [`Fault::Host`].
pub(crate) trait Instance: Send {
    /// Calls an exported function without parameters, answers its hostcalls through `dispatcher`,
    /// and returns its i32 result, if it has one.
    fn call(&mut self, export: &str, dispatcher: &mut Dispatcher<'_>)
    -> Result<Option<u32>, Fault>;

    /// Reads the global at a [`place`].
    fn global(&mut self, place: usize) -> Result<GlobalValue, HostError>;

    /// Writes the global at a [`place`] with a value of its type.
    fn set_global(&mut self, place: usize, value: GlobalValue) -> Result<(), HostError>;

    /// Returns the linear memory.
    fn memory(&mut self) -> &mut [u8];

    /// Returns where the last call trapped.
    fn trap_site(&self) -> Option<TrapSite>;
}

/// Namespace of the imports that a backend links.
pub(crate) const NAMESPACE: &str = IMPORT_NAMESPACE;

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low32(bits: u64) -> u32 {
    bits as u32
}
