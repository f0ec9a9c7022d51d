//! The reference backend: an interpreter that needs neither `std` nor code generation.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use kapsule_abi::{EXPORT_MEMORY, Hostcall, Trap, ValueType};
use kapsule_meter::exports;
use wasmi::{Caller, Config, Engine, Extern, FuncType, Global, Linker, Memory, Module, Store, Val};
use wasmi::{CompilationMode, TrapCode, ValType};

use super::{Backend, Facts, Fault, GlobalValue, Instance, NAMESPACE, TrapSite, signature};
use crate::HostError;
use crate::hostcall::Dispatcher;

/// Frames that the interpreter may stack.
///
/// A frame weighs at least 1 of the 131,072 slots of `stack-1`, so the injected limit is reached
/// first; the factor 2 leaves room for host frames and the call that finds the limit exceeded.
const FRAMES_MAX: usize = 2 * 131_072;

/// Bytes of the interpreter's value stack, grown on demand.
///
/// A frame of weight w holds parameters, locals and operands in at most w cells of 8 bytes, and
/// metering adds a few of its own to a frame: 32 bytes per slot and 128 per frame cover both.
const VALUE_STACK_BYTES_MAX: usize = 131_072 * (32 + 128);

#[derive(Clone)]
pub(crate) struct Code {
    module: Module,
}

struct State<'a> {
    dispatcher: Dispatcher<'a>,
    memory: Option<Memory>,
    fuel: Option<Global>,
    fault: Option<Fault>,
}

struct WasmiInstance<'a> {
    store: Store<State<'a>>,
    instance: wasmi::Instance,
    memory: Memory,
}

/// Returns the one configuration that modules are compiled with.
pub(crate) fn engine() -> Engine {
    let mut config = Config::default();
    config.set_max_recursion_depth(FRAMES_MAX);
    config.set_max_stack_height(VALUE_STACK_BYTES_MAX);
    config.compilation_mode(CompilationMode::Eager);
    config.ignore_custom_sections(true);
    config.consume_fuel(false);
    Engine::new(&config)
}

impl Code {
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, HostError> {
        let module = Module::new(&engine(), bytes).map_err(|error| HostError::Compile {
            backend: Backend::Wasmi,
            detail: format!("{error}"),
        })?;
        Ok(Self { module })
    }
}

pub(crate) fn instantiate<'a>(
    code: &Code,
    facts: &Facts,
    dispatcher: Dispatcher<'a>,
) -> Result<Box<dyn Instance<'a> + 'a>, HostError> {
    let failed = |error: wasmi::Error| instantiate_error(format!("{error}"));
    let mut store = Store::new(
        code.module.engine(),
        State { dispatcher, memory: None, fuel: None, fault: None },
    );
    let mut linker = Linker::new(code.module.engine());
    for hostcall in facts.distinct_imports() {
        let (params, results) = signature(hostcall, value_type);
        linker
            .func_new(
                NAMESPACE,
                hostcall.name,
                FuncType::new(params, results),
                move |caller, args, results| host_function(hostcall, caller, args, results),
            )
            .map_err(|error| failed(error.into()))?;
    }
    let instance = linker.instantiate_and_start(&mut store, &code.module).map_err(failed)?;
    let memory = instance
        .get_memory(&store, EXPORT_MEMORY)
        .ok_or_else(|| instantiate_error("export memory is absent".into()))?;
    let fuel = instance.get_global(&store, exports::FUEL);
    store.data_mut().memory = Some(memory);
    store.data_mut().fuel = fuel;
    Ok(Box::new(WasmiInstance { store, instance, memory }))
}

fn instantiate_error(detail: alloc::string::String) -> HostError {
    HostError::Instantiate { backend: Backend::Wasmi, detail }
}

fn broken(detail: impl Into<alloc::string::String>) -> HostError {
    HostError::Backend { backend: Backend::Wasmi, detail: detail.into() }
}

fn value_type(value_type: ValueType) -> ValType {
    match value_type {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}

/// Hands one hostcall to the dispatcher, and ends the run where that says so.
fn host_function(
    hostcall: &'static Hostcall,
    mut caller: Caller<'_, State<'_>>,
    args: &[Val],
    results: &mut [Val],
) -> Result<(), wasmi::Error> {
    let remaining = caller.data().fuel.map(|fuel| fuel.get(&caller));
    let (Some(memory), Some(Val::I64(remaining))) = (caller.data().memory, remaining) else {
        return Err(end(caller.data_mut(), Fault::Host(broken("no memory or fuel export"))));
    };
    let args: Vec<u64> = args.iter().map(value_bits).collect();
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    match state.dispatcher.call(hostcall, &args, bytes, remaining) {
        Ok(result) => {
            if let (Some(bits), Some(slot), Some(value_type)) =
                (result, results.first_mut(), hostcall.result)
            {
                *slot = match value_type {
                    ValueType::I32 => Val::I32(low32(bits).cast_signed()),
                    ValueType::I64 => Val::I64(bits.cast_signed()),
                };
            }
            Ok(())
        }
        Err(fault) => Err(end(state, fault)),
    }
}

/// Remembers why the run ends and returns the error that unwinds the guest.
fn end(state: &mut State<'_>, fault: Fault) -> wasmi::Error {
    state.fault = Some(fault);
    wasmi::Error::new("the run was ended by the host")
}

fn value_bits(value: &Val) -> u64 {
    match value {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        Val::F32(value) => u64::from(value.to_bits()),
        Val::F64(value) => value.to_bits(),
        // Hostcalls take and give integers only.
        _ => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low32(bits: u64) -> u32 {
    bits as u32
}

impl<'a> Instance<'a> for WasmiInstance<'a> {
    fn call(&mut self, export: &str) -> Result<Option<u32>, Fault> {
        let function = self
            .instance
            .get_func(&self.store, export)
            .ok_or_else(|| Fault::Host(broken(format!("export {export} is absent"))))?;
        let count = function.ty(&self.store).results().len();
        let mut results = [Val::I32(0)];
        let slots = results.get_mut(..count).unwrap_or_default();
        match function.call(&mut self.store, &[], slots) {
            Ok(()) => Ok(slots.first().map(|value| low32(value_bits(value)))),
            Err(error) => Err(self.store.data_mut().fault.take().unwrap_or_else(|| fault(&error))),
        }
    }

    fn global(&mut self, name: &str) -> Result<GlobalValue, HostError> {
        let global = self
            .instance
            .get_global(&self.store, name)
            .ok_or_else(|| broken(format!("global {name} is absent")))?;
        match global.get(&self.store) {
            Val::I32(value) => Ok(GlobalValue::Word32(value.cast_unsigned())),
            Val::F32(value) => Ok(GlobalValue::float32(value.to_bits())),
            Val::I64(value) => Ok(GlobalValue::Word64(value.cast_unsigned())),
            Val::F64(value) => Ok(GlobalValue::float64(value.to_bits())),
            _ => Err(broken(format!("global {name} is not a number"))),
        }
    }

    fn set_global(&mut self, name: &str, value: GlobalValue) -> Result<(), HostError> {
        let global = match self.instance.get_export(&self.store, name) {
            Some(Extern::Global(global)) => global,
            _ => return Err(broken(format!("global {name} is absent"))),
        };
        let value = match value {
            GlobalValue::Word32(value) => Val::I32(value.cast_signed()),
            GlobalValue::Word64(value) => Val::I64(value.cast_signed()),
        };
        global.set(&mut self.store, value).map_err(|error| broken(format!("{error}")))
    }

    fn memory(&mut self) -> &[u8] {
        self.memory.data(&self.store)
    }

    fn trap_site(&self) -> Option<TrapSite> {
        None
    }

    fn dispatcher(&mut self) -> &mut Dispatcher<'a> {
        &mut self.store.data_mut().dispatcher
    }

    fn finish(self: Box<Self>) -> Dispatcher<'a> {
        self.store.into_data().dispatcher
    }
}

/// Translates what the interpreter reports.
pub(crate) fn fault(error: &wasmi::Error) -> Fault {
    let trap = match error.as_trap_code() {
        Some(TrapCode::UnreachableCodeReached) => Trap::Unreachable,
        Some(TrapCode::IntegerDivisionByZero) => Trap::DivisionByZero,
        Some(TrapCode::IntegerOverflow) => Trap::IntegerOverflow,
        Some(TrapCode::MemoryOutOfBounds) => Trap::MemoryOutOfBounds,
        Some(TrapCode::TableOutOfBounds) => Trap::UndefinedElement,
        Some(TrapCode::IndirectCallToNull) => Trap::UninitialisedElement,
        Some(TrapCode::BadSignature) => Trap::IndirectCallTypeMismatch,
        Some(TrapCode::BadConversionToInteger) => Trap::InvalidConversion,
        Some(TrapCode::StackOverflow) => {
            return Fault::Host(HostError::NativeStack(Backend::Wasmi));
        }
        Some(TrapCode::OutOfSystemMemory) => return Fault::Host(HostError::Memory),
        _ => return Fault::Host(broken(format!("{error}"))),
    };
    Fault::Trap(trap)
}
