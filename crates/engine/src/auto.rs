//! Chooses the backend for callers that do not care.

use kapsule_abi::{Limit, Outcome};
use kapsule_meter::MeteredModule;

use crate::backend::{Backend, Compiled, JIT_FUEL_MIN, compile, compile_once};
use crate::host::Host;
use crate::run::{Job, Run, check, run};
use crate::{HostError, RunError, compose};

/// Compiles a module for one run and runs it.
///
/// On the interpreter only those functions are compiled that the run calls, which takes a fraction
/// of the time that [`compile`](crate::compile) does; whoever runs a module again keeps a
/// [`Compiled`] or a [`Pool`](crate::Pool) instead.
///
/// # Errors
/// As [`compile`](crate::compile) and [`run`].
///
/// # Determinism
/// As [`run`].
pub fn run_once(
    module: &MeteredModule,
    backend: Backend,
    job: &Job<'_>,
    host: &mut dyn Host,
) -> Result<Run, RunError> {
    run(&compile_once(module, backend)?, job, host)
}

/// Compiles and runs a module on the backend that suits the work it turns out to be.
///
/// A run starts on the interpreter, which is ready at once, with at most [`JIT_FUEL_MIN`] fuel; a
/// run that uses this up and was granted more starts again on the JIT.
/// If the JIT lacks native stack for a run that the metering allows, the run is repeated on the
/// interpreter with all its fuel.
/// Starting again needs a host that [`Host::reset`] makes forget a void run, which is asked for
/// before the first start; any other host gets one attempt, on [`Backend::choose`] of the grant.
/// Callers that run one module often keep a [`Compiled`] instead.
///
/// # Errors
/// As [`run`]; [`HostError::NativeStack`] only if the host cannot be reset.
///
/// # Determinism
/// As [`run`]; which backend ran is told, and is part of nothing else.
pub fn run_auto(
    module: &MeteredModule,
    job: &Job<'_>,
    host: &mut dyn Host,
) -> Result<(Backend, Run), RunError> {
    run_auto_with(module, job, host, &mut compile)
}

/// Runs a module as [`run_auto`] does, with a compiler of the caller's, who may keep what it makes.
///
/// # Errors
/// As [`run_auto`].
///
/// # Determinism
/// As [`run_auto`].
pub fn run_auto_with(
    module: &MeteredModule,
    job: &Job<'_>,
    host: &mut dyn Host,
    compile: &mut dyn FnMut(&MeteredModule, Backend) -> Result<Compiled, HostError>,
) -> Result<(Backend, Run), RunError> {
    let backend = Backend::choose(job.fuel);
    if backend != Backend::Wasmi && host.reset() {
        let interpreted = compile_once(module, Backend::Wasmi)?;
        if let Some(run) = run_short(&interpreted, job, host)? {
            return Ok((Backend::Wasmi, run));
        }
        // Asked for above, and granted.
        host.reset();
    }
    with_fallback(backend, host, |backend, host| match backend == Backend::Wasmi {
        true => run_once(module, backend, job, host),
        false => run(&compile(module, backend)?, job, host),
    })
}

/// Runs a job on code that is at hand, from an earlier run or from a host's cache.
///
/// The module itself is asked for only if the JIT lacks native stack for a run that the metering
/// allows, and the run is repeated on the interpreter.
///
/// # Errors
/// As [`run_auto`], and what `module` fails with.
///
/// # Determinism
/// As [`run_auto`].
pub fn run_hot<'m>(
    compiled: &Compiled,
    job: &Job<'_>,
    host: &mut dyn Host,
    module: impl Fn() -> Result<&'m MeteredModule, HostError>,
) -> Result<(Backend, Run), RunError> {
    let hot = compiled.backend();
    with_fallback(hot, host, |backend, host| match backend == hot {
        true => run(compiled, job, host),
        false => run_once(module()?, backend, job, host),
    })
}

/// Runs a job if [`JIT_FUEL_MIN`] fuel is enough for it.
fn run_short(
    compiled: &Compiled,
    job: &Job<'_>,
    host: &mut dyn Host,
) -> Result<Option<Run>, RunError> {
    check(&compiled.facts, job)?;
    let short = Job { fuel: JIT_FUEL_MIN, ..*job };
    let mut run = run(compiled, &short, host)?;
    if run.outcome == Outcome::LimitReached(Limit::Fuel) || compose::is_starved(&run) {
        return Ok(None);
    }
    // A run that does not run out is the same under any larger grant, except that it names it.
    if let Some(transcript) = &mut run.transcript {
        transcript.header.fuel = job.fuel;
    }
    compose::regrant(&mut run, job.fuel.saturating_sub(JIT_FUEL_MIN));
    Ok(Some(run))
}

/// Makes an attempt, and another on the interpreter if the first ran out of native stack.
pub(crate) fn with_fallback<T>(
    backend: Backend,
    host: &mut dyn Host,
    mut attempt: impl FnMut(Backend, &mut dyn Host) -> Result<T, RunError>,
) -> Result<(Backend, T), RunError> {
    match attempt(backend, host) {
        Err(RunError::Host(HostError::NativeStack(_)))
            if backend != Backend::Wasmi && host.reset() =>
        {
            Ok((Backend::Wasmi, attempt(Backend::Wasmi, host)?))
        }
        made => Ok((backend, made?)),
    }
}

#[cfg(all(test, feature = "jit"))]
mod tests {
    use alloc::vec::Vec;
    use core::cell::RefCell;

    use super::*;
    use crate::host::{CapsuleResult, MemoryHost};

    /// Runs an attempt that fails on the JIT, and returns which backends were tried.
    fn check_fallback(host: &mut dyn Host, expect: Result<Backend, RunError>) -> Vec<Backend> {
        let tried = RefCell::new(Vec::new());
        let made = with_fallback(Backend::Jit, host, |backend, _| {
            tried.borrow_mut().push(backend);
            match backend {
                Backend::Wasmi => Ok(()),
                Backend::Jit => Err(HostError::NativeStack(backend).into()),
            }
        });
        assert_eq!(made.map(|(backend, ())| backend), expect);
        tried.into_inner()
    }

    #[test]
    fn a_run_without_native_stack_is_repeated_on_the_interpreter() {
        let mut host = MemoryHost::default();
        host.results.insert(0, CapsuleResult::default());
        let tried = check_fallback(&mut host, Ok(Backend::Wasmi));
        assert_eq!(tried, [Backend::Jit, Backend::Wasmi]);
        assert!(host.results.is_empty(), "the void run left a result");
    }
}
