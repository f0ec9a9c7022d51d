//! Ctrl-C: the first one stops at a safe point, the second one at once.
//!
//! A command that works for long or leaves something behind calls [`watch`] when its work begins
//! and [`check`] at its safe points, the points where nothing is half written; what it has to
//! clean up it cleans up on the way out, like after any other failure.
//! Until [`watch`] is called, and in commands that never call it, Ctrl-C ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGINT;

use crate::error::{Failure, Kind};
use crate::ui::Ui;

/// Time for a guest to come to its next hostcall; chosen, at once for a person.
const PATIENCE: Duration = Duration::from_millis(200);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Set by the signal handler.
static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on the first Ctrl-C is a request and only the second ends the process.
pub(crate) fn watch() -> Result<(), Failure> {
    if INTERRUPTED.get().is_some() {
        return Ok(());
    }
    let flag = Arc::new(AtomicBool::new(false));
    let exit = i32::from(Kind::Interrupted.exit_code());
    // In this order: the handler that exits looks at the flag before the other one sets it.
    signal_hook::flag::register_conditional_shutdown(SIGINT, exit, Arc::clone(&flag))
        .and_then(|_| signal_hook::flag::register(SIGINT, Arc::clone(&flag)))
        .map_err(|error| {
            Failure::internal("cannot listen for Ctrl-C", "report this as a bug").cause(error)
        })?;
    INTERRUPTED.get_or_init(|| flag);
    Ok(())
}

/// Tells whether Ctrl-C was pressed since [`watch`]; a run asks this as its deadline.
pub(crate) fn requested() -> bool {
    INTERRUPTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Stops the command if Ctrl-C was pressed.
pub(crate) fn check() -> Result<(), Failure> {
    match requested() {
        true => Err(failure()),
        false => Ok(()),
    }
}

/// Does work that leaves nothing half done if the process ends, such as the run of a guest, which
/// changes nothing before it completed.
///
/// A guest that makes hostcalls stops at the next one after Ctrl-C; when the work goes on for
/// [`PATIENCE`], the process ends here.
pub(crate) fn during<T>(ui: &Ui, work: impl FnOnce() -> T) -> T {
    during_parts(ui, failure, work)
}

/// As [`during`], for work of many parts; `stopped` says how far it came.
pub(crate) fn during_parts<T>(
    ui: &Ui,
    stopped: impl Fn() -> Failure + Send,
    work: impl FnOnce() -> T,
) -> T {
    let (working, ended) = mpsc::channel::<()>();
    let listen = move || {
        let mut since = None;
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            if requested() && since.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                ui.failure(&stopped());
                std::process::exit(i32::from(Kind::Interrupted.exit_code()));
            }
        }
    };
    std::thread::scope(|scope| {
        // Without a thread the second Ctrl-C still ends the process.
        drop(std::thread::Builder::new().spawn_scoped(scope, listen));
        let done = work();
        drop(working);
        done
    })
}

/// Returns the failure of a command that was stopped at a safe point.
pub(crate) fn failure() -> Failure {
    Failure::interrupted("run the command again; nothing is left half written")
}
