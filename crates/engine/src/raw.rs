//! Plain instances of arbitrary wasm, for conformance suites and benchmarks.
//!
//! Nothing here is metered, limited or recorded; a product never uses it.

#[cfg(feature = "jit")]
mod jit;
mod wasmi;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kapsule_abi::Trap;

use crate::Backend;

/// A number, floats by their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
}

/// Type of a [`RawValue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

/// Body of an imported function: results for the caller's exported `memory`, which is empty if
/// there is none, and the arguments; or a text that ends the call.
pub type RawBody = dyn Fn(&mut [u8], &[RawValue]) -> Result<Vec<RawValue>, String> + Send + Sync;

/// One imported function.
#[derive(Clone)]
pub struct RawFunction {
    /// Module part of the import name.
    pub module: String,
    /// Field part of the import name.
    pub name: String,
    /// Parameter types.
    pub params: Vec<RawType>,
    /// Result types.
    pub results: Vec<RawType>,
    /// What it does.
    pub body: Arc<RawBody>,
}

impl RawFunction {
    /// Makes a function that takes its arguments and does nothing.
    #[must_use]
    pub fn sink(module: &str, name: &str, params: &[RawType]) -> Self {
        Self {
            module: module.into(),
            name: name.into(),
            params: params.to_vec(),
            results: Vec::new(),
            body: Arc::new(|_, _| Ok(Vec::new())),
        }
    }
}

/// Returns the print functions of the `spectest` module of the wasm suite, as sinks.
#[must_use]
pub fn spectest_prints() -> Vec<RawFunction> {
    use RawType::{F32, F64, I32, I64};
    let prints: [(&str, &[RawType]); 7] = [
        ("print", &[]),
        ("print_i32", &[I32]),
        ("print_i64", &[I64]),
        ("print_f32", &[F32]),
        ("print_f64", &[F64]),
        ("print_i32_f32", &[I32, F32]),
        ("print_f64_f64", &[F64, F64]),
    ];
    prints.iter().map(|(name, params)| RawFunction::sink("spectest", name, params)).collect()
}

/// Why a plain module or call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawError {
    /// The guest trapped.
    #[error("trapped: {}", .0.name())]
    Trap(Trap),
    /// The backend's own stack limit was reached.
    #[error("native stack exhausted")]
    NativeStack,
    /// An imported function ended the call with this text.
    #[error("host function: {0}")]
    Function(String),
    /// An export, an argument or a result is not what was expected.
    #[error("usage: {0}")]
    Usage(String),
    /// The backend refused the module, its imports or the call.
    #[error("backend: {0}")]
    Backend(String),
}

/// Compiled wasm of any kind that the backends' defaults accept.
#[derive(Clone)]
pub struct RawModule {
    code: Code,
}

#[derive(Clone)]
enum Code {
    Wasmi(wasmi::Code),
    #[cfg(feature = "jit")]
    Jit(jit::Code),
}

/// Whether a backend counts fuel in its own way, which no run of this crate lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnFuel {
    Off,
    On,
}

impl RawModule {
    /// Compiles a module.
    ///
    /// # Errors
    /// [`RawError::Backend`] if the backend refuses it.
    pub fn compile(bytes: &[u8], backend: Backend) -> Result<Self, RawError> {
        Self::compile_with(bytes, backend, OwnFuel::Off)
    }

    /// Compiles a module that the backend itself counts the fuel of, so that what its counting
    /// costs can be measured; each instance has more than it can use.
    ///
    /// # Errors
    /// [`RawError::Backend`] if the backend refuses it.
    pub fn compile_fuelled(bytes: &[u8], backend: Backend) -> Result<Self, RawError> {
        Self::compile_with(bytes, backend, OwnFuel::On)
    }

    fn compile_with(bytes: &[u8], backend: Backend, fuel: OwnFuel) -> Result<Self, RawError> {
        let code = match backend {
            Backend::Wasmi => Code::Wasmi(wasmi::Code::new(bytes, fuel)?),
            #[cfg(feature = "jit")]
            Backend::Jit => Code::Jit(jit::Code::new(bytes, fuel)?),
        };
        Ok(Self { code })
    }

    /// Links and instantiates the module and runs its start function.
    ///
    /// Functions that the module does not import are left out.
    ///
    /// # Errors
    /// [`RawError::Backend`] for an import that is not given, [`RawError::Trap`] if it traps.
    pub fn instantiate(&self, functions: &[RawFunction]) -> Result<RawInstance, RawError> {
        let instance: Box<dyn Plain> = match &self.code {
            Code::Wasmi(code) => Box::new(code.instantiate(functions)?),
            #[cfg(feature = "jit")]
            Code::Jit(code) => Box::new(code.instantiate(functions)?),
        };
        Ok(RawInstance { instance })
    }
}

/// One instance of a [`RawModule`].
pub struct RawInstance {
    instance: Box<dyn Plain>,
}

impl RawInstance {
    /// Calls an exported function.
    ///
    /// # Errors
    /// Any [`RawError`]; the instance stays usable.
    pub fn call(&mut self, export: &str, args: &[RawValue]) -> Result<Vec<RawValue>, RawError> {
        self.instance.call(export, args)
    }

    /// Reads an exported global.
    ///
    /// # Errors
    /// [`RawError::Usage`] if there is none that holds a number.
    pub fn global(&mut self, name: &str) -> Result<RawValue, RawError> {
        self.instance.global(name)
    }

    /// Writes an exported mutable global.
    ///
    /// # Errors
    /// [`RawError::Usage`] if there is none of this type.
    pub fn set_global(&mut self, name: &str, value: RawValue) -> Result<(), RawError> {
        self.instance.set_global(name, value)
    }

    /// Returns an exported memory.
    ///
    /// # Errors
    /// [`RawError::Usage`] if there is none.
    pub fn memory(&mut self, name: &str) -> Result<&mut [u8], RawError> {
        self.instance.memory(name)
    }
}

/// What both backends do for a [`RawInstance`].
trait Plain {
    fn call(&mut self, export: &str, args: &[RawValue]) -> Result<Vec<RawValue>, RawError>;
    fn global(&mut self, name: &str) -> Result<RawValue, RawError>;
    fn set_global(&mut self, name: &str, value: RawValue) -> Result<(), RawError>;
    fn memory(&mut self, name: &str) -> Result<&mut [u8], RawError>;
}

/// Reports an export that is not there.
fn absent(kind: &str, name: &str) -> RawError {
    RawError::Usage(alloc::format!("export {kind} {name:?} is absent"))
}
