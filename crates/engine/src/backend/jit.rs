//! The compiling backend.
//!
//! A guest runs on a stack of its own, driven by polling: when it makes a hostcall, the call is
//! put into a mailbox and the guest is suspended; the host answers from outside and resumes it.
//! That keeps the host's borrowed state out of the engine's store, gives the guest as much native
//! stack as the stack limit of the metering needs whatever thread it runs on, and lets a ticking
//! epoch suspend a guest that makes no hostcalls so that the deadline can be looked at.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use kapsule_abi::{EXPORT_MEMORY, Hostcall, Trap, ValueType};
use kapsule_meter::exports;
use wasmtime::{Caller, Config, Engine, Extern, FuncType, Global, Linker, Memory, Module, Store};
use wasmtime::{Instance as NativeInstance, OptLevel, Val, ValType, WasmBacktrace};

use super::{Backend, Facts, Fault, GlobalValue, Instance, NAMESPACE, TrapSite, signature};
use crate::HostError;
use crate::hostcall::{Dispatcher, Request, Response};

/// Native stack of a guest, in bytes.
///
/// A slot of `stack-1` is 8 bytes of values; 512 bytes for each of the 131,072 slots leave room
/// for return addresses, saved registers and spilled temporaries of the smallest frames.
const GUEST_STACK_BYTES: usize = 131_072 * 512;

/// Native stack left for the host side of a call, in bytes.
///
/// Chosen: a host function keeps its buffers on the heap and answers are made on the caller's
/// stack, so half of what a thread usually has is ample.
const HOST_STACK_BYTES: usize = 1 << 20;

/// Time between two looks at the deadline while the guest makes no hostcalls.
///
/// Chosen: short beside any deadline a person gives, long beside the switch out of the guest.
const TICK: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(crate) struct Code {
    module: Module,
}

struct State {
    mailbox: Arc<Mutex<Mailbox>>,
    memory: Option<Memory>,
    fuel: Option<Global>,
}

/// Where the suspended guest and the host hand each other one hostcall.
#[derive(Default)]
struct Mailbox {
    request: Option<Request>,
    /// The answer; `None` inside means that the run ends here.
    response: Option<Option<Response>>,
    fault: Option<Fault>,
}

struct JitInstance<'a> {
    dispatcher: Dispatcher<'a>,
    store: Store<State>,
    instance: NativeInstance,
    memory: Memory,
    mailbox: Arc<Mutex<Mailbox>>,
    site: Option<TrapSite>,
}

/// Returns the one engine of this process, or why there is none.
pub(crate) fn engine() -> Result<&'static Engine, HostError> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| Engine::new(&config()).map_err(|error| format!("{error:#}")));
    made.as_ref().map_err(|detail| broken(detail.clone()))
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(false)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(GUEST_STACK_BYTES + HOST_STACK_BYTES)
        .native_unwind_info(false);
    config
}

impl Code {
    pub(crate) fn new(bytes: &[u8]) -> Result<Self, HostError> {
        let module = Module::new(engine()?, bytes).map_err(|error| HostError::Compile {
            backend: Backend::Jit,
            detail: format!("{error:#}"),
        })?;
        Ok(Self { module })
    }
}

pub(crate) fn instantiate<'a>(
    code: &Code,
    facts: &Facts,
    dispatcher: Dispatcher<'a>,
) -> Result<Box<dyn Instance<'a> + 'a>, HostError> {
    let failed = |error: wasmtime::Error| instantiate_error(format!("{error:#}"));
    let engine = code.module.engine();
    let mailbox = Arc::new(Mutex::new(Mailbox::default()));
    let state = State { mailbox: Arc::clone(&mailbox), memory: None, fuel: None };
    let mut store = Store::new(engine, state);
    // A tick suspends the guest; without a deadline nobody ticks.
    store.set_epoch_deadline(1);
    store.epoch_deadline_async_yield_and_update(1);
    let mut linker = Linker::new(engine);
    for hostcall in facts.distinct_imports() {
        let (params, results) = signature(hostcall, value_type);
        linker
            .func_new_async(
                NAMESPACE,
                hostcall.name,
                FuncType::new(engine, params, results),
                move |caller, args, results| {
                    Box::new(host_function(hostcall, caller, args, results))
                },
            )
            .map_err(failed)?;
    }
    let instance = drive(linker.instantiate_async(&mut store, &code.module)).map_err(failed)?;
    let memory = instance
        .get_memory(&mut store, EXPORT_MEMORY)
        .ok_or_else(|| instantiate_error("export memory is absent".into()))?;
    let fuel = instance.get_global(&mut store, exports::FUEL);
    store.data_mut().memory = Some(memory);
    store.data_mut().fuel = fuel;
    Ok(Box::new(JitInstance { dispatcher, store, instance, memory, mailbox, site: None }))
}

fn instantiate_error(detail: String) -> HostError {
    HostError::Instantiate { backend: Backend::Jit, detail }
}

fn broken(detail: impl Into<String>) -> HostError {
    HostError::Backend { backend: Backend::Jit, detail: detail.into() }
}

fn value_type(value_type: ValueType) -> ValType {
    match value_type {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
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

fn lock(mailbox: &Mutex<Mailbox>) -> MutexGuard<'_, Mailbox> {
    // Nothing panics while the lock is held, and a mailbox is replaced as a whole.
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Posts one hostcall, waits for the host's answer and hands it to the guest.
async fn host_function(
    hostcall: &'static Hostcall,
    mut caller: Caller<'_, State>,
    args: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let mailbox = Arc::clone(&caller.data().mailbox);
    let remaining = caller.data().fuel.map(|fuel| fuel.get(&mut caller));
    let (Some(memory), Some(Val::I64(remaining))) = (caller.data().memory, remaining) else {
        return Err(end(&mailbox, Fault::Host(broken("no memory or fuel export"))));
    };
    let args: Vec<u64> = args.iter().map(value_bits).collect();
    match Request::read(hostcall, &args, memory.data(&caller), remaining) {
        Ok(request) => lock(&mailbox).request = Some(request),
        Err(trap) => return Err(end(&mailbox, Fault::Trap(trap))),
    }
    let answered = core::future::poll_fn(|_| match lock(&mailbox).response.take() {
        Some(response) => Poll::Ready(response),
        None => Poll::Pending,
    });
    let Some(response) = answered.await else {
        return Err(wasmtime::Error::msg("the run was ended by the host"));
    };
    response.write(hostcall, &args, memory.data_mut(&mut caller));
    if let (Some(bits), Some(slot), Some(value_type)) =
        (response.result, results.first_mut(), hostcall.result)
    {
        *slot = match value_type {
            ValueType::I32 => Val::I32(low32(bits).cast_signed()),
            ValueType::I64 => Val::I64(bits.cast_signed()),
        };
    }
    Ok(())
}

/// Remembers why the run ends and returns the error that unwinds the guest.
fn end(mailbox: &Mutex<Mailbox>, fault: Fault) -> wasmtime::Error {
    lock(mailbox).fault = Some(fault);
    wasmtime::Error::msg("the run was ended by the host")
}

fn value_bits(value: &Val) -> u64 {
    match value {
        Val::I32(value) => u64::from(value.cast_unsigned()),
        Val::I64(value) => value.cast_unsigned(),
        Val::F32(bits) => u64::from(*bits),
        Val::F64(bits) => *bits,
        // Hostcalls take and give integers only.
        _ => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low32(bits: u64) -> u32 {
    bits as u32
}

/// Runs `body` while a thread advances the epoch, so that the guest is suspended now and then.
fn with_ticks<T>(engine: &Engine, body: impl FnOnce() -> T) -> Result<T, HostError> {
    std::thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let ticker = move || {
            while stopped.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        std::thread::Builder::new()
            .name("kapsule-deadline".into())
            .spawn_scoped(scope, ticker)
            .map_err(|error| broken(format!("no deadline thread: {error}")))?;
        let value = body();
        drop(stop);
        Ok(value)
    })
}

impl<'a> JitInstance<'a> {
    fn drive_call(&mut self, export: &str) -> Result<Option<u32>, Fault> {
        let function = self
            .instance
            .get_func(&mut self.store, export)
            .ok_or_else(|| Fault::Host(broken(format!("export {export} is absent"))))?;
        let count = function.ty(&self.store).results().len();
        let mut results = [Val::I32(0)];
        let slots = results.get_mut(..count).unwrap_or_default();
        let called = {
            let mut call = pin!(function.call_async(&mut self.store, &[], slots));
            let mut context = Context::from_waker(Waker::noop());
            loop {
                if let Poll::Ready(called) = call.as_mut().poll(&mut context) {
                    break called;
                }
                serve(&self.mailbox, &mut self.dispatcher)?;
            }
        };
        match called {
            Ok(()) => Ok(results.first().filter(|_| count > 0).map(|v| low32(value_bits(v)))),
            Err(error) => {
                self.site = trap_site(&error);
                Err(lock(&self.mailbox).fault.take().unwrap_or_else(|| fault(&error)))
            }
        }
    }
}

/// Does what a suspended guest waits for: an answer, or a look at the deadline.
fn serve(mailbox: &Mutex<Mailbox>, dispatcher: &mut Dispatcher<'_>) -> Result<(), Fault> {
    let request = lock(mailbox).request.take();
    let Some(request) = request else {
        return dispatcher.check_deadline().map_err(Fault::Host);
    };
    let answer = dispatcher.answer(request);
    let mut mailbox = lock(mailbox);
    match answer {
        Ok(response) => mailbox.response = Some(Some(response)),
        Err(fault) => {
            mailbox.fault = Some(fault);
            mailbox.response = Some(None);
        }
    }
    Ok(())
}

impl<'a> Instance<'a> for JitInstance<'a> {
    fn call(&mut self, export: &str) -> Result<Option<u32>, Fault> {
        if !self.dispatcher.has_deadline() {
            return self.drive_call(export);
        }
        let engine = self.store.engine().clone();
        with_ticks(&engine, || self.drive_call(export)).map_err(Fault::Host)?
    }

    fn global(&mut self, name: &str) -> Result<GlobalValue, HostError> {
        let global = self
            .instance
            .get_global(&mut self.store, name)
            .ok_or_else(|| broken(format!("global {name} is absent")))?;
        match global.get(&mut self.store) {
            Val::I32(value) => Ok(GlobalValue::Word32(value.cast_unsigned())),
            Val::F32(bits) => Ok(GlobalValue::float32(bits)),
            Val::I64(value) => Ok(GlobalValue::Word64(value.cast_unsigned())),
            Val::F64(bits) => Ok(GlobalValue::float64(bits)),
            _ => Err(broken(format!("global {name} is not a number"))),
        }
    }

    fn set_global(&mut self, name: &str, value: GlobalValue) -> Result<(), HostError> {
        let global = match self.instance.get_export(&mut self.store, name) {
            Some(Extern::Global(global)) => global,
            _ => return Err(broken(format!("global {name} is absent"))),
        };
        let value = match value {
            GlobalValue::Word32(value) => Val::I32(value.cast_signed()),
            GlobalValue::Word64(value) => Val::I64(value.cast_signed()),
        };
        global.set(&mut self.store, value).map_err(|error| broken(format!("{error:#}")))
    }

    fn memory(&mut self) -> &[u8] {
        self.memory.data(&self.store)
    }

    fn trap_site(&self) -> Option<TrapSite> {
        self.site
    }

    fn dispatcher(&mut self) -> &mut Dispatcher<'a> {
        &mut self.dispatcher
    }

    fn finish(self: Box<Self>) -> Dispatcher<'a> {
        self.dispatcher
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
