//! The reference backend: an interpreter that needs neither `std` nor code generation.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{EXPORT_MEMORY, Hostcall, Trap, ValueType};
use wasmi::{Caller, Config, Engine, F32, F64, Func, Global, Linker, Memory, Module, Store, Val};
use wasmi::{CompilationMode, TrapCode};

use super::lend::{Lender, Lent, lend};
use super::shape::Word;
use super::{Backend, Facts, Fault, GlobalValue, Instance, NAMESPACE, TrapSite, place};
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

/// A module with everything that it imports.
#[derive(Clone)]
pub(crate) struct Code {
    module: Module,
    linker: Linker<State>,
}

/// What a store holds besides the guest.
struct State {
    lent: Lent,
    memory: Option<Memory>,
    fuel: Option<Global>,
    fault: Option<Fault>,
    /// Whether the host is answering, and not the interpreter running.
    answering: bool,
}

struct WasmiInstance {
    store: Store<State>,
    instance: wasmi::Instance,
    memory: Memory,
    globals: Vec<Global>,
    /// The export that was called last, and whether it has a result: most instances are called
    /// through one.
    last: Option<(String, Func, bool)>,
}

impl Lender for Store<State> {
    fn lent(&mut self) -> &mut Lent {
        &mut self.data_mut().lent
    }
}

/// When functions are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// All of them at once.
    AtOnce,
    /// Each when it is first called; for one run on one thread.
    ///
    /// A panic of the compiler leaves a function behind that would be waited for without end, so
    /// nothing may use the module after such a run failed.
    FirstCall,
}

/// Returns the one configuration that modules are compiled with.
pub(crate) fn config(when: When) -> Config {
    let mut config = Config::default();
    config.set_max_recursion_depth(FRAMES_MAX);
    config.set_max_stack_height(VALUE_STACK_BYTES_MAX);
    config.compilation_mode(match when {
        When::AtOnce => CompilationMode::Eager,
        // Validation waits too: metering has validated what it rewrote.
        When::FirstCall => CompilationMode::Lazy,
    });
    config.ignore_custom_sections(true);
    config.consume_fuel(false);
    config
}

impl Code {
    pub(crate) fn new(bytes: &[u8], facts: &Facts, when: When) -> Result<Self, HostError> {
        let failed = |detail: String| HostError::Compile { backend: Backend::Wasmi, detail };
        let module = Module::new(&Engine::new(&config(when)), bytes)
            .map_err(|error| failed(format!("{error}")))?;
        let mut linker = Linker::new(module.engine());
        for hostcall in &facts.imports {
            link(&mut linker, hostcall).map_err(failed)?;
        }
        Ok(Self { module, linker })
    }
}

/// Defines one import as a function of its own signature.
fn link(linker: &mut Linker<State>, hostcall: &'static Hostcall) -> Result<(), String> {
    use ValueType::{I32, I64};
    let params: Vec<ValueType> = hostcall.params.iter().map(|param| param.value_type()).collect();
    macro_rules! define {
        ($(($($arg:ident: $kind:ident $word:ident),*) -> ($result:pat, $out:ty);)*) => {
            match (params.as_slice(), hostcall.result) {
                $(([$($kind),*], $result) => linker.func_wrap(
                    NAMESPACE,
                    hostcall.name,
                    move |caller: Caller<'_, State>, $($arg: $word),*|
                        -> Result<$out, wasmi::Error> {
                        enter(hostcall, caller, &[$(u64::from($arg)),*]).map(<$out>::from_word)
                    },
                ),)*
                _ => return Err(format!("hostcall {} has an unknown signature", hostcall.name)),
            }
        };
    }
    let defined = for_each_shape!(define);
    defined.map(drop).map_err(|error| format!("{error}"))
}

pub(crate) fn instantiate(code: &Code, facts: &Facts) -> Result<Box<dyn Instance>, HostError> {
    let state =
        State { lent: Lent::new(), memory: None, fuel: None, fault: None, answering: false };
    let mut store = Store::new(code.module.engine(), state);
    let instance = code
        .linker
        .instantiate_and_start(&mut store, &code.module)
        .map_err(|error| instantiate_error(format!("{error}")))?;
    let absent = |name: &str| instantiate_error(format!("export {name} is absent"));
    let memory = instance.get_memory(&store, EXPORT_MEMORY).ok_or_else(|| absent(EXPORT_MEMORY))?;
    let globals = facts
        .global_names()
        .map(|name| instance.get_global(&store, name).ok_or_else(|| absent(name)))
        .collect::<Result<Vec<Global>, HostError>>()?;
    store.data_mut().memory = Some(memory);
    store.data_mut().fuel = globals.get(place::FUEL).copied();
    Ok(Box::new(WasmiInstance { store, instance, memory, globals, last: None }))
}

fn instantiate_error(detail: alloc::string::String) -> HostError {
    HostError::Instantiate { backend: Backend::Wasmi, detail }
}

fn broken(detail: impl Into<alloc::string::String>) -> HostError {
    HostError::Backend { backend: Backend::Wasmi, detail: detail.into() }
}

/// Hands one hostcall to the dispatcher, and ends the run where that says so.
fn enter(
    hostcall: &'static Hostcall,
    mut caller: Caller<'_, State>,
    args: &[u64],
) -> Result<u64, wasmi::Error> {
    let (memory, fuel) = (caller.data().memory, caller.data().fuel);
    let remaining = fuel.map(|fuel| fuel.get(&caller));
    let (Some(memory), Some(fuel), Some(Val::I64(remaining))) = (memory, fuel, remaining) else {
        return Err(end(caller.data_mut(), Fault::Host(broken("no memory or fuel export"))));
    };
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    state.answering = true;
    let answered = state.lent.with(|dispatcher| dispatcher.call(hostcall, args, bytes, remaining));
    state.answering = false;
    match answered {
        Some(Ok(answer)) => {
            if answer.charge > 0 {
                let left = remaining.saturating_sub_unsigned(answer.charge);
                if let Err(error) = fuel.set(&mut caller, Val::I64(left)) {
                    return Err(end(caller.data_mut(), Fault::Host(broken(format!("{error}")))));
                }
            }
            Ok(answer.result)
        }
        Some(Err(fault)) => Err(end(state, fault)),
        None => Err(end(state, Fault::Host(broken("a hostcall outside of a run")))),
    }
}

/// Remembers why the run ends and returns the error that unwinds the guest.
fn end(state: &mut State, fault: Fault) -> wasmi::Error {
    state.fault = Some(fault);
    wasmi::Error::new("the run was ended by the host")
}

impl WasmiInstance {
    /// Returns an exported function, and whether it has a result.
    fn function(&mut self, export: &str) -> Result<(Func, bool), HostError> {
        match &self.last {
            Some((name, function, returns)) if name == export => Ok((*function, *returns)),
            _ => {
                let function = self.instance.get_func(&self.store, export);
                let function =
                    function.ok_or_else(|| broken(format!("export {export} is absent")))?;
                let returns = !function.ty(&self.store).results().is_empty();
                self.last = Some((export.into(), function, returns));
                Ok((function, returns))
            }
        }
    }

    fn global_at(&self, place: usize) -> Result<Global, HostError> {
        self.globals.get(place).copied().ok_or_else(|| broken(format!("no global {place}")))
    }
}

/// Makes a panic of a compiler that works while the guest runs an error, as one before the run is.
///
/// A panic of the host goes on.
#[cfg(feature = "std")]
fn caught(
    store: &mut Store<State>,
    call: impl FnOnce(&mut Store<State>) -> Result<(), wasmi::Error>,
) -> Result<(), wasmi::Error> {
    use core::panic::AssertUnwindSafe;
    use std::panic::{catch_unwind, resume_unwind};
    match catch_unwind(AssertUnwindSafe(|| call(store))) {
        Ok(called) => called,
        Err(panic) if store.data().answering => resume_unwind(panic),
        Err(_) => {
            let detail = "its compiler panicked".into();
            let error = HostError::Compile { backend: Backend::Wasmi, detail };
            Err(end(store.data_mut(), Fault::Host(error)))
        }
    }
}

#[cfg(not(feature = "std"))]
fn caught(
    store: &mut Store<State>,
    call: impl FnOnce(&mut Store<State>) -> Result<(), wasmi::Error>,
) -> Result<(), wasmi::Error> {
    call(store)
}

impl Instance for WasmiInstance {
    fn call(
        &mut self,
        export: &str,
        dispatcher: &mut Dispatcher<'_>,
    ) -> Result<Option<u32>, Fault> {
        let (function, returns) = self.function(export).map_err(Fault::Host)?;
        let mut results = [Val::I32(0)];
        let slots = results.get_mut(..usize::from(returns)).unwrap_or_default();
        let called = caught(&mut self.store, |store| {
            lend(store, dispatcher, |store| function.call(store, &[], slots))
        });
        match called {
            Ok(()) => Ok(results.first().filter(|_| returns).map(|value| match value {
                Val::I32(value) => value.cast_unsigned(),
                // Entries return i32 only.
                _ => 0,
            })),
            Err(error) => Err(self.store.data_mut().fault.take().unwrap_or_else(|| fault(&error))),
        }
    }

    fn global(&mut self, place: usize) -> Result<GlobalValue, HostError> {
        match self.global_at(place)?.get(&self.store) {
            Val::I32(value) => Ok(GlobalValue::I32(value.cast_unsigned())),
            Val::I64(value) => Ok(GlobalValue::I64(value.cast_unsigned())),
            Val::F32(value) => Ok(GlobalValue::F32(value.to_bits())),
            Val::F64(value) => Ok(GlobalValue::F64(value.to_bits())),
            _ => Err(broken(format!("global {place} is not a number"))),
        }
    }

    fn set_global(&mut self, place: usize, value: GlobalValue) -> Result<(), HostError> {
        let value = match value {
            GlobalValue::I32(bits) => Val::I32(bits.cast_signed()),
            GlobalValue::I64(bits) => Val::I64(bits.cast_signed()),
            GlobalValue::F32(bits) => Val::F32(F32::from_bits(bits)),
            GlobalValue::F64(bits) => Val::F64(F64::from_bits(bits)),
        };
        let global = self.global_at(place)?;
        global.set(&mut self.store, value).map_err(|error| broken(format!("{error}")))
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn trap_site(&self) -> Option<TrapSite> {
        None
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
