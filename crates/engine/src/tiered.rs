//! A module that is run often: on the interpreter at first, and on the JIT once that pays.

use alloc::boxed::Box;
use alloc::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use kapsule_meter::MeteredModule;

use crate::auto::with_fallback;
use crate::backend::{Backend, Compiled, JIT_FUEL_MIN, compile};
use crate::host::Host;
use crate::pool::Pool;
use crate::run::{Job, Run};
use crate::{HostError, RunError};

/// Instances that each of the two pools keeps.
///
/// Chosen: [`Tiered::run`] has one run at a time.
const IDLE_MAX: usize = 1;

/// Runs after which a module is compiled whatever it used.
///
/// Chosen: a module that was run so often is run again, and setting the JIT to work costs a thread
/// for a tenth of a second.
const RUNS_MIN: u64 = 10_000;

/// One module on both backends.
///
/// Runs start on the interpreter at once.
/// When they have used [`JIT_FUEL_MIN`] fuel together, or were ten thousand, a thread compiles the
/// module; the runs that begin after it is done use the compiled code.
/// If compiling fails, or the process ends before it is done, nothing is lost but the time.
///
/// # Determinism
/// Which backend runs depends on time; nothing that a run reports does.
pub struct Tiered {
    module: Arc<MeteredModule>,
    interpreter: Pool,
    hot: Hot,
    runs: u64,
    fuel: u64,
}

/// How far the compiled code is.
enum Hot {
    Cold,
    Compiling(Receiver<Result<Compiled, HostError>>),
    Ready(Box<Pool>),
    Failed,
}

impl Tiered {
    /// Makes a module ready to run on the interpreter; compiles all of it, about 2 ms for 100 KB.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn new(module: MeteredModule) -> Result<Self, HostError> {
        let interpreter = Pool::new(compile(&module, Backend::Wasmi)?, IDLE_MAX);
        Ok(Self { module: Arc::new(module), interpreter, hot: Hot::Cold, runs: 0, fuel: 0 })
    }

    /// Takes over code that was compiled before, and uses it from the next run on.
    pub fn heat(&mut self, compiled: Compiled) {
        self.hot = Hot::Ready(Box::new(Pool::new(compiled, IDLE_MAX)));
    }

    /// Returns the compiled code, once there is some, for a host to keep.
    #[must_use]
    pub fn compiled(&self) -> Option<&Compiled> {
        match &self.hot {
            Hot::Ready(pool) => Some(pool.compiled()),
            _ => None,
        }
    }

    /// Waits for the compiling thread, if it is at work.
    pub fn wait(&mut self) {
        if let Hot::Compiling(receiver) = &self.hot {
            // A thread that died without an answer failed.
            let compiled = receiver.recv().ok().and_then(Result::ok);
            self.settle(compiled);
        }
    }

    /// Runs a job on the backend that is ready for it.
    ///
    /// # Errors
    /// As [`run`](crate::run); [`HostError::NativeStack`] only if the host cannot be reset.
    ///
    /// # Determinism
    /// As [`run`](crate::run); which backend ran is told, and is part of nothing else.
    pub fn run(&mut self, job: &Job<'_>, host: &mut dyn Host) -> Result<(Backend, Run), RunError> {
        self.look();
        let Self { interpreter, hot, .. } = self;
        let (backend, run) = match hot {
            Hot::Ready(pool) => with_fallback(Backend::Jit, host, |backend, host| match backend {
                Backend::Jit => pool.run(job, host),
                Backend::Wasmi => interpreter.run(job, host),
            }),
            _ => interpreter.run(job, host).map(|run| (Backend::Wasmi, run)),
        }?;
        self.runs = self.runs.saturating_add(1);
        self.fuel = self.fuel.saturating_add(run.usage.fuel);
        if matches!(self.hot, Hot::Cold) && (self.fuel >= JIT_FUEL_MIN || self.runs >= RUNS_MIN) {
            self.start();
        }
        Ok((backend, run))
    }

    /// Starts the compiling thread; a machine that has no thread to spare goes on without.
    fn start(&mut self) {
        let (sender, receiver) = channel();
        let module = Arc::clone(&self.module);
        let compiling = move || {
            // Nobody listens once the owner is gone.
            let _ = sender.send(compile(&module, Backend::Jit));
        };
        let thread = std::thread::Builder::new().name("kapsule-compile".into()).spawn(compiling);
        self.hot = if thread.is_ok() { Hot::Compiling(receiver) } else { Hot::Failed };
    }

    /// Takes the compiled code if it is done.
    fn look(&mut self) {
        let Hot::Compiling(receiver) = &self.hot else { return };
        match receiver.try_recv() {
            Ok(compiled) => self.settle(compiled.ok()),
            Err(TryRecvError::Disconnected) => self.settle(None),
            Err(TryRecvError::Empty) => {}
        }
    }

    fn settle(&mut self, compiled: Option<Compiled>) {
        match compiled {
            Some(compiled) => self.heat(compiled),
            None => self.hot = Hot::Failed,
        }
    }
}
