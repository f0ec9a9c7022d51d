//! The compiling backend.
//!
//! A guest runs on a stack of its own, so that it has as much native stack as the stack limit of
//! the metering needs whatever thread it runs on, and so that a ticking epoch can suspend a guest
//! that makes no hostcalls and the deadline be looked at.
//! A hostcall is answered on the same stack, below the guest's frames: the part of it that guests
//! cannot use is the host's (`docs/decisions/0024-hostcalls-on-the-guest-stack.md`).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use kapsule_abi::{EXPORT_MEMORY, Hostcall, Trap, ValueType};
use kapsule_meter::{Options, Profile, meter};
use wasmtime::{Caller, Config, Engine, Global, InstancePre, Linker, Memory, Module, Store};
use wasmtime::{Instance as NativeInstance, OptLevel, TypedFunc, Val, WasmBacktrace};

use super::lend::{Lender, Lent, lend};
use super::shape::Word;
use super::{Backend, Facts, Fault, GlobalValue, Instance, NAMESPACE, TrapSite, place, recode};
use crate::HostError;
use crate::hostcall::{Deadline, Dispatcher};

/// Native stack of a guest, in bytes.
///
/// A slot of `stack-1` is 8 bytes of values; 512 bytes for each of the 131,072 slots leave room
/// for return addresses, saved registers and spilled temporaries of the smallest frames.
const GUEST_STACK_BYTES: usize = 131_072 * 512;

/// Native stack left for the host side of a call, in bytes, with a guard page behind it.
///
/// Chosen: what a main thread usually has in all and four times what a spawned one has, so a host
/// that may run anywhere has more room here than elsewhere; unused pages take no memory.
const HOST_STACK_BYTES: usize = 8 << 20;

/// Time between two looks at the deadline while the guest makes no hostcalls.
///
/// Chosen: short beside any deadline a person gives, long beside the switch out of the guest.
const TICK: Duration = Duration::from_millis(5);

/// Where a guest can be stopped before its fuel is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stops {
    /// At its hostcalls, like on the interpreter.
    AtHostcalls,
    /// At every loop and call, which costs a load, a compare and a branch each.
    Anywhere,
}

/// A module with everything that it imports.
#[derive(Clone)]
pub(crate) struct Code {
    linked: InstancePre<State>,
    stops: Stops,
    source: Source,
}

/// What code was compiled from, for the interpreter.
#[derive(Clone)]
pub(super) enum Source {
    /// The metered module.
    Metered(Arc<[u8]>),
    /// The module before metering.
    Plain(Arc<[u8]>, Profile),
}

/// What a store holds besides the guest.
struct State {
    lent: Lent,
    memory: Option<Memory>,
    fuel: Option<Global>,
    fault: Option<Fault>,
}

struct JitInstance {
    store: Store<State>,
    instance: NativeInstance,
    memory: Memory,
    globals: Vec<Global>,
    stops: Stops,
    /// The export that was called last: most instances are called through one.
    last: Option<(String, Export)>,
    site: Option<TrapSite>,
}

/// An exported function, with its type looked up.
enum Export {
    Entry(TypedFunc<(), u32>),
    Start(TypedFunc<(), ()>),
}

impl Export {
    fn find(
        instance: &NativeInstance,
        store: &mut Store<State>,
        name: &str,
    ) -> Result<Self, HostError> {
        let function = instance.get_func(&mut *store, name);
        let function = function.ok_or_else(|| broken(format!("export {name} is absent")))?;
        let found = match function.ty(&*store).results().len() {
            0 => function.typed(&*store).map(Self::Start),
            _ => function.typed(&*store).map(Self::Entry),
        };
        found.map_err(|error| broken(format!("export {name}: {error:#}")))
    }

    async fn call(&self, store: &mut Store<State>) -> wasmtime::Result<Option<u32>> {
        match self {
            Self::Entry(function) => function.call_async(store, ()).await.map(Some),
            Self::Start(function) => function.call_async(store, ()).await.map(|()| None),
        }
    }
}

impl Lender for Store<State> {
    fn lent(&mut self) -> &mut Lent {
        &mut self.data_mut().lent
    }
}

/// Returns the one engine of this process for such code, or why there is none.
pub(crate) fn engine(stops: Stops) -> Result<&'static Engine, HostError> {
    type Made = OnceLock<Result<Engine, String>>;
    static AT_HOSTCALLS: Made = OnceLock::new();
    static ANYWHERE: Made = OnceLock::new();
    let engine = match stops {
        Stops::AtHostcalls => &AT_HOSTCALLS,
        Stops::Anywhere => &ANYWHERE,
    };
    let make = || Engine::new(&config(stops)).map_err(|error| format!("{error:#}"));
    engine.get_or_init(make).as_ref().map_err(|detail| broken(detail.clone()))
}

/// Returns the one configuration that such code is compiled with; NaNs are canonical by the code
/// itself ([`recode`]).
pub(crate) fn config(stops: Stops) -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(false)
        .epoch_interruption(stops == Stops::Anywhere)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(GUEST_STACK_BYTES + HOST_STACK_BYTES)
        .native_unwind_info(false);
    config
}

impl Code {
    pub(crate) fn new(bytes: &[u8], facts: &Facts, stops: Stops) -> Result<Self, HostError> {
        let recoded = recode::for_compiler(bytes).map_err(refused)?;
        let module =
            Module::new(engine(stops)?, &recoded).map_err(|error| refused(format!("{error:#}")))?;
        Self::link(&module, Source::Metered(bytes.into()), facts, stops)
    }

    /// Returns the metered module.
    ///
    /// # Errors
    /// [`HostError::Backend`] if the host gave another module than the one that was compiled.
    pub(super) fn metered(&self) -> Result<Cow<'_, [u8]>, HostError> {
        match &self.source {
            Source::Metered(bytes) => Ok(Cow::Borrowed(bytes)),
            Source::Plain(wasm, profile) => {
                let metered = meter(wasm, &Options::new(*profile));
                let metered = metered.map_err(|error| broken(format!("its module: {error}")))?;
                Ok(Cow::Owned(metered.bytes().to_vec()))
            }
        }
    }

    pub(super) const fn stops(&self) -> Stops {
        self.stops
    }

    pub(super) fn module(&self) -> &Module {
        self.linked.module()
    }

    pub(super) fn link(
        module: &Module,
        source: Source,
        facts: &Facts,
        stops: Stops,
    ) -> Result<Self, HostError> {
        let mut linker = Linker::new(module.engine());
        for hostcall in &facts.imports {
            link(&mut linker, hostcall).map_err(refused)?;
        }
        let linked =
            linker.instantiate_pre(module).map_err(|error| refused(format!("{error:#}")))?;
        Ok(Self { linked, stops, source })
    }
}

pub(super) fn refused(detail: String) -> HostError {
    HostError::Compile { backend: Backend::Jit, detail }
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
                    move |caller: Caller<'_, State>, $($arg: $word),*| -> wasmtime::Result<$out> {
                        enter(hostcall, caller, &[$(u64::from($arg)),*]).map(<$out>::from_word)
                    },
                ),)*
                _ => return Err(format!("hostcall {} has an unknown signature", hostcall.name)),
            }
        };
    }
    let defined = for_each_shape!(define);
    defined.map(drop).map_err(|error| format!("{error:#}"))
}

pub(crate) fn instantiate(code: &Code, facts: &Facts) -> Result<Box<dyn Instance>, HostError> {
    let state = State { lent: Lent::new(), memory: None, fuel: None, fault: None };
    let mut store = Store::new(code.linked.module().engine(), state);
    if code.stops == Stops::Anywhere {
        // A tick suspends the guest; without a deadline nobody ticks.
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
    }
    let instance = drive(code.linked.instantiate_async(&mut store))
        .map_err(|error| instantiate_error(format!("{error:#}")))?;
    let absent = |name: &str| instantiate_error(format!("export {name} is absent"));
    let memory =
        instance.get_memory(&mut store, EXPORT_MEMORY).ok_or_else(|| absent(EXPORT_MEMORY))?;
    let globals = facts
        .global_names()
        .map(|name| instance.get_global(&mut store, name).ok_or_else(|| absent(name)))
        .collect::<Result<Vec<Global>, HostError>>()?;
    store.data_mut().memory = Some(memory);
    store.data_mut().fuel = globals.get(place::FUEL).copied();
    let stops = code.stops;
    Ok(Box::new(JitInstance { store, instance, memory, globals, stops, last: None, site: None }))
}

fn instantiate_error(detail: String) -> HostError {
    HostError::Instantiate { backend: Backend::Jit, detail }
}

fn broken(detail: impl Into<String>) -> HostError {
    HostError::Backend { backend: Backend::Jit, detail: detail.into() }
}

/// Polls a future that only ever suspends for reasons that need no answer.
pub(crate) fn drive<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// Hands one hostcall to the dispatcher, and ends the run where that says so.
fn enter(
    hostcall: &'static Hostcall,
    mut caller: Caller<'_, State>,
    args: &[u64],
) -> wasmtime::Result<u64> {
    let (memory, fuel) = (caller.data().memory, caller.data().fuel);
    let remaining = fuel.map(|fuel| fuel.get(&mut caller));
    let (Some(memory), Some(fuel), Some(Val::I64(remaining))) = (memory, fuel, remaining) else {
        return Err(end(caller.data_mut(), Fault::Host(broken("no memory or fuel export"))));
    };
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let answered = state.lent.with(|dispatcher| dispatcher.call(hostcall, args, bytes, remaining));
    match answered {
        Some(Ok(answer)) => {
            if answer.charge > 0 {
                let left = remaining.saturating_sub_unsigned(answer.charge);
                fuel.set(&mut caller, Val::I64(left))?;
            }
            Ok(answer.result)
        }
        Some(Err(fault)) => Err(end(state, fault)),
        None => Err(end(state, Fault::Host(broken("a hostcall outside of a run")))),
    }
}

/// Remembers why the run ends and returns the error that unwinds the guest.
fn end(state: &mut State, fault: Fault) -> wasmtime::Error {
    state.fault = Some(fault);
    wasmtime::Error::msg("the run was ended by the host")
}

/// The guests that have a deadline, and whether the thread is there that ticks for them.
struct Ticking {
    guests: usize,
    has_thread: bool,
}

static TICKING: Mutex<Ticking> = Mutex::new(Ticking { guests: 0, has_thread: false });
/// Told when there is a guest again.
static TICKED_FOR: Condvar = Condvar::new();

fn ticking() -> MutexGuard<'static, Ticking> {
    // Two plain numbers are whole whatever happened.
    TICKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, one thread of the process advances the epoch, so that guests are suspended now
/// and then.
struct Ticks;

impl Ticks {
    fn begin() -> Result<Self, HostError> {
        let engine = engine(Stops::Anywhere)?;
        let mut ticking = ticking();
        if !ticking.has_thread {
            std::thread::Builder::new()
                .name("kapsule-deadline".into())
                .spawn(|| tick(engine))
                .map_err(|error| broken(format!("no deadline thread: {error}")))?;
            ticking.has_thread = true;
        }
        ticking.guests += 1;
        if ticking.guests == 1 {
            TICKED_FOR.notify_one();
        }
        Ok(Self)
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        ticking().guests -= 1;
    }
}

/// Advances the epoch for ever, and sleeps while no guest has a deadline.
fn tick(engine: &Engine) {
    let mut held = ticking();
    loop {
        let waited = TICKED_FOR.wait_while(held, |ticking| ticking.guests == 0);
        held = waited.unwrap_or_else(PoisonError::into_inner);
        let waited = TICKED_FOR.wait_timeout(held, TICK);
        let (guard, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            engine.increment_epoch();
        }
        held = guard;
    }
}

impl JitInstance {
    /// Calls an export, and looks at the deadline whenever the guest is suspended.
    fn drive_call(
        &mut self,
        export: &str,
        deadline: Deadline<'_>,
        dispatcher: &mut Dispatcher<'_>,
    ) -> Result<Option<u32>, Fault> {
        let last = self.last.take().filter(|(name, _)| name == export);
        let (_, function) = match last {
            Some(last) => self.last.insert(last),
            None => {
                let found = Export::find(&self.instance, &mut self.store, export);
                self.last.insert((export.into(), found.map_err(Fault::Host)?))
            }
        };
        let called = lend(&mut self.store, dispatcher, |store| {
            let mut call = pin!(function.call(store));
            let mut context = Context::from_waker(Waker::noop());
            loop {
                if let Poll::Ready(called) = call.as_mut().poll(&mut context) {
                    break Ok(called);
                }
                deadline.check()?;
            }
        });
        match called.map_err(Fault::Host)? {
            Ok(result) => Ok(result),
            Err(error) => {
                self.site = trap_site(&error);
                Err(self.store.data_mut().fault.take().unwrap_or_else(|| fault(&error)))
            }
        }
    }

    fn global_at(&self, place: usize) -> Result<Global, HostError> {
        self.globals.get(place).copied().ok_or_else(|| broken(format!("no global {place}")))
    }
}

impl Instance for JitInstance {
    fn call(
        &mut self,
        export: &str,
        dispatcher: &mut Dispatcher<'_>,
    ) -> Result<Option<u32>, Fault> {
        self.site = None;
        let deadline = dispatcher.deadline();
        if deadline.is_none() || self.stops == Stops::AtHostcalls {
            return self.drive_call(export, deadline, dispatcher);
        }
        let _ticks = Ticks::begin().map_err(Fault::Host)?;
        self.drive_call(export, deadline, dispatcher)
    }

    fn global(&mut self, place: usize) -> Result<GlobalValue, HostError> {
        match self.global_at(place)?.get(&mut self.store) {
            Val::I32(value) => Ok(GlobalValue::I32(value.cast_unsigned())),
            Val::I64(value) => Ok(GlobalValue::I64(value.cast_unsigned())),
            Val::F32(bits) => Ok(GlobalValue::F32(bits)),
            Val::F64(bits) => Ok(GlobalValue::F64(bits)),
            _ => Err(broken(format!("global {place} is not a number"))),
        }
    }

    fn set_global(&mut self, place: usize, value: GlobalValue) -> Result<(), HostError> {
        let value = match value {
            GlobalValue::I32(bits) => Val::I32(bits.cast_signed()),
            GlobalValue::I64(bits) => Val::I64(bits.cast_signed()),
            GlobalValue::F32(bits) => Val::F32(bits),
            GlobalValue::F64(bits) => Val::F64(bits),
        };
        let global = self.global_at(place)?;
        global.set(&mut self.store, value).map_err(|error| broken(format!("{error:#}")))
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn trap_site(&self) -> Option<TrapSite> {
        self.site
    }
}

fn trap_site(error: &wasmtime::Error) -> Option<TrapSite> {
    let frame = error.downcast_ref::<WasmBacktrace>()?.frames().first()?;
    let offset = frame.module_offset().and_then(|offset| u64::try_from(offset).ok());
    Some(TrapSite { function: frame.func_index(), offset })
}

/// Translates what the compiler's runtime reports.
pub(crate) fn fault(error: &wasmtime::Error) -> Fault {
    use wasmtime::Trap as Native;
    let trap = match error.downcast_ref::<Native>() {
        Some(Native::UnreachableCodeReached) => Trap::Unreachable,
        Some(Native::IntegerDivisionByZero) => Trap::DivisionByZero,
        Some(Native::IntegerOverflow) => Trap::IntegerOverflow,
        Some(Native::MemoryOutOfBounds) => Trap::MemoryOutOfBounds,
        Some(Native::TableOutOfBounds) => Trap::UndefinedElement,
        Some(Native::IndirectCallToNull) => Trap::UninitialisedElement,
        Some(Native::BadSignature) => Trap::IndirectCallTypeMismatch,
        Some(Native::BadConversionToInteger) => Trap::InvalidConversion,
        Some(Native::StackOverflow) => return Fault::Host(HostError::NativeStack(Backend::Jit)),
        Some(Native::AllocationTooLarge) => return Fault::Host(HostError::Memory),
        _ => return Fault::Host(broken(format!("{error:#}"))),
    };
    Fault::Trap(trap)
}
