//! Plain instances on the interpreter.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::EXPORT_MEMORY;
use wasmi::{Engine, Extern, FuncType, Linker, Module, Store, Val, ValType};

use super::{OwnFuel, Plain, RawError, RawFunction, RawType, RawValue, absent};
use crate::HostError;
use crate::backend::Fault;
use crate::backend::wasmi::{When, config, fault};

#[derive(Clone)]
pub(super) struct Code {
    module: Module,
}

/// The text with which an imported function ended the last call.
type State = Option<String>;

pub(super) struct Instance {
    store: Store<State>,
    instance: wasmi::Instance,
}

impl Code {
    pub(super) fn new(bytes: &[u8], fuel: OwnFuel) -> Result<Self, RawError> {
        let mut config = config(When::AtOnce);
        config.consume_fuel(fuel == OwnFuel::On);
        let module = Module::new(&Engine::new(&config), bytes);
        Ok(Self { module: module.map_err(|error| RawError::Backend(format!("{error}")))? })
    }

    pub(super) fn instantiate(&self, functions: &[RawFunction]) -> Result<Instance, RawError> {
        let mut store = Store::new(self.module.engine(), None);
        // Refused where the module was compiled without, which then counts nothing.
        let _ = store.set_fuel(u64::MAX);
        let mut linker = Linker::<State>::new(self.module.engine());
        for function in functions {
            let body = Arc::clone(&function.body);
            let params: Vec<ValType> = function.params.iter().copied().map(native_type).collect();
            let results: Vec<ValType> = function.results.iter().copied().map(native_type).collect();
            linker
                .func_new(
                    &function.module,
                    &function.name,
                    FuncType::new(params, results),
                    move |mut caller: wasmi::Caller<'_, State>, args, results| {
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
                                Err(wasmi::Error::new("ended by an imported function"))
                            }
                        }
                    },
                )
                .map_err(|error| RawError::Backend(format!("{error}")))?;
        }
        match linker.instantiate_and_start(&mut store, &self.module) {
            Ok(instance) => Ok(Instance { store, instance }),
            Err(error) => Err(failed(&mut store, &error)),
        }
    }
}

impl Plain for Instance {
    fn call(&mut self, export: &str, args: &[RawValue]) -> Result<Vec<RawValue>, RawError> {
        let function = self
            .instance
            .get_func(&self.store, export)
            .ok_or_else(|| absent("function", export))?;
        let args: Vec<Val> = args.iter().copied().map(native).collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        match function.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ok(results.iter().filter_map(raw).collect()),
            Err(error) => Err(failed(&mut self.store, &error)),
        }
    }

    fn global(&mut self, name: &str) -> Result<RawValue, RawError> {
        let global = self.instance.get_global(&self.store, name);
        global
            .and_then(|global| raw(&global.get(&self.store)))
            .ok_or_else(|| absent("global", name))
    }

    fn set_global(&mut self, name: &str, value: RawValue) -> Result<(), RawError> {
        let global =
            self.instance.get_global(&self.store, name).ok_or_else(|| absent("global", name))?;
        global
            .set(&mut self.store, native(value))
            .map_err(|error| RawError::Usage(format!("{error}")))
    }

    fn memory(&mut self, name: &str) -> Result<&mut [u8], RawError> {
        match self.instance.get_export(&self.store, name) {
            Some(Extern::Memory(memory)) => Ok(memory.data_mut(&mut self.store)),
            _ => Err(absent("memory", name)),
        }
    }
}

fn failed(store: &mut Store<State>, error: &wasmi::Error) -> RawError {
    if let Some(text) = store.data_mut().take() {
        return RawError::Function(text);
    }
    match fault(error) {
        Fault::Trap(trap) => RawError::Trap(trap),
        Fault::Host(HostError::NativeStack(_)) => RawError::NativeStack,
        _ => RawError::Backend(format!("{error}")),
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

fn native(value: RawValue) -> Val {
    match value {
        RawValue::I32(value) => Val::I32(value),
        RawValue::I64(value) => Val::I64(value),
        RawValue::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        RawValue::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
    }
}

fn raw(value: &Val) -> Option<RawValue> {
    match value {
        Val::I32(value) => Some(RawValue::I32(*value)),
        Val::I64(value) => Some(RawValue::I64(*value)),
        Val::F32(value) => Some(RawValue::F32(value.to_bits())),
        Val::F64(value) => Some(RawValue::F64(value.to_bits())),
        _ => None,
    }
}
