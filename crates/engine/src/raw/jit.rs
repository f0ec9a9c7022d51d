//! Plain instances on the JIT, on a guest stack of their own like every run.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::EXPORT_MEMORY;
use wasmtime::{Caller, Engine, Extern, FuncType, Linker, Module, Store, Val, ValType};

use super::{OwnFuel, Plain, RawError, RawFunction, RawType, RawValue, absent};
use crate::HostError;
use crate::backend::Fault;
use crate::backend::jit::{Stops, config, drive, engine, fault};
use crate::backend::recode;

/// Plain instances have no deadline.
const STOPS: Stops = Stops::AtHostcalls;

#[derive(Clone)]
pub(super) struct Code {
    module: Module,
}

/// The text with which an imported function ended the last call.
type State = Option<String>;

pub(super) struct Instance {
    store: Store<State>,
    instance: wasmtime::Instance,
}

impl Code {
    pub(super) fn new(bytes: &[u8], fuel: OwnFuel) -> Result<Self, RawError> {
        let failed = |error: wasmtime::Error| RawError::Backend(format!("{error:#}"));
        let engine = match fuel {
            OwnFuel::Off => engine(STOPS).map_err(|error| RawError::Backend(format!("{error}")))?,
            OwnFuel::On => &Engine::new(config(STOPS).consume_fuel(true)).map_err(failed)?,
        };
        let bytes = recode::for_compiler(bytes).map_err(RawError::Backend)?;
        let module = Module::new(engine, &bytes);
        Ok(Self { module: module.map_err(failed)? })
    }

    pub(super) fn instantiate(&self, functions: &[RawFunction]) -> Result<Instance, RawError> {
        let engine = self.module.engine();
        let mut store = Store::new(engine, None);
        // Refused where the module was compiled without, which then counts nothing.
        let _ = store.set_fuel(u64::MAX);
        let mut linker = Linker::<State>::new(engine);
        for function in functions {
            let body = Arc::clone(&function.body);
            let params: Vec<ValType> = function.params.iter().copied().map(native_type).collect();
            let results: Vec<ValType> = function.results.iter().copied().map(native_type).collect();
            linker
                .func_new(
                    &function.module,
                    &function.name,
                    FuncType::new(engine, params, results),
                    move |mut caller: Caller<'_, State>, args, results| {
                        let args: Vec<RawValue> = args.iter().filter_map(raw).collect();
                        let memory = caller.get_export(EXPORT_MEMORY).and_then(Extern::into_memory);
                        let memory = memory.map(|memory| memory.data_mut(&mut caller));
                        match body(memory.unwrap_or_default(), &args) {
                            Ok(values) => {
                                for (slot, value) in results.iter_mut().zip(values) {
                                    *slot = native(value);
                                }
                                Ok(())
                            }
                            Err(text) => {
                                *caller.data_mut() = Some(text);
                                Err(wasmtime::Error::msg("ended by an imported function"))
                            }
                        }
                    },
                )
                .map_err(|error| RawError::Backend(format!("{error:#}")))?;
        }
        match drive(linker.instantiate_async(&mut store, &self.module)) {
            Ok(instance) => Ok(Instance { store, instance }),
            Err(error) => Err(failed(&mut store, &error)),
        }
    }
}

impl Plain for Instance {
    fn call(&mut self, export: &str, args: &[RawValue]) -> Result<Vec<RawValue>, RawError> {
        let function = self
            .instance
            .get_func(&mut self.store, export)
            .ok_or_else(|| absent("function", export))?;
        let args: Vec<Val> = args.iter().copied().map(native).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match drive(function.call_async(&mut self.store, &args, &mut results)) {
            Ok(()) => Ok(results.iter().filter_map(raw).collect()),
            Err(error) => Err(failed(&mut self.store, &error)),
        }
    }

    fn global(&mut self, name: &str) -> Result<RawValue, RawError> {
        let global = self.instance.get_global(&mut self.store, name);
        let value = global.map(|global| global.get(&mut self.store));
        value.as_ref().and_then(raw).ok_or_else(|| absent("global", name))
    }

    fn set_global(&mut self, name: &str, value: RawValue) -> Result<(), RawError> {
        let global = self
            .instance
            .get_global(&mut self.store, name)
            .ok_or_else(|| absent("global", name))?;
        global
            .set(&mut self.store, native(value))
            .map_err(|error| RawError::Usage(format!("{error:#}")))
    }

    fn memory(&mut self, name: &str) -> Result<&mut [u8], RawError> {
        match self.instance.get_export(&mut self.store, name) {
            Some(Extern::Memory(memory)) => Ok(memory.data_mut(&mut self.store)),
            _ => Err(absent("memory", name)),
        }
    }
}

fn failed(store: &mut Store<State>, error: &wasmtime::Error) -> RawError {
    if let Some(text) = store.data_mut().take() {
        return RawError::Function(text);
    }
    match fault(error) {
        Fault::Trap(trap) => RawError::Trap(trap),
        Fault::Host(HostError::NativeStack(_)) => RawError::NativeStack,
        _ => RawError::Backend(format!("{error:#}")),
    }
}

const fn native_type(raw: RawType) -> ValType {
    match raw {
        RawType::I32 => ValType::I32,
        RawType::I64 => ValType::I64,
        RawType::F32 => ValType::F32,
        RawType::F64 => ValType::F64,
    }
}

const fn native(value: RawValue) -> Val {
    match value {
        RawValue::I32(value) => Val::I32(value),
        RawValue::I64(value) => Val::I64(value),
        RawValue::F32(bits) => Val::F32(bits),
        RawValue::F64(bits) => Val::F64(bits),
    }
}

const fn raw(value: &Val) -> Option<RawValue> {
    match value {
        Val::I32(value) => Some(RawValue::I32(*value)),
        Val::I64(value) => Some(RawValue::I64(*value)),
        Val::F32(bits) => Some(RawValue::F32(*bits)),
        Val::F64(bits) => Some(RawValue::F64(*bits)),
        _ => None,
    }
}
