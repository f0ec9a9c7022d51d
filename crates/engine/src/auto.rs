//! Chooses the backend for callers that do not care.

use kapsule_meter::MeteredModule;

use crate::backend::{Backend, compile};
use crate::host::Host;
use crate::run::{Job, Run, run};
use crate::{HostError, RunError};

/// Compiles a module for the backend that suits the job, and runs it.
///
/// If the JIT lacks native stack for a run that the metering allows, the run is repeated on the
/// interpreter, provided that [`Host::reset`] forgets what the void run did.
/// Callers that run one module often keep a [`Compiled`](crate::Compiled) instead.
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
    let attempt = |backend, host: &mut dyn Host| run(&compile(module, backend)?, job, host);
    with_fallback(Backend::choose(job.fuel), host, attempt)
}

/// Makes an attempt, and another on the interpreter if the first ran out of native stack.
fn with_fallback<T>(
    backend: Backend,
    host: &mut dyn Host,
    attempt: impl Fn(Backend, &mut dyn Host) -> Result<T, RunError>,
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
    fn check(host: &mut dyn Host, expect: Result<Backend, RunError>) -> Vec<Backend> {
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
        let tried = check(&mut host, Ok(Backend::Wasmi));
        assert_eq!(tried, [Backend::Jit, Backend::Wasmi]);
        assert!(host.results.is_empty(), "the void run left a result");
    }
}
