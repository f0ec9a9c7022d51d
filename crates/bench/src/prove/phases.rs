//! Where the time of the argument goes, from the spans that its libraries open.
//!
//! A span's own time is what its thread spent in it and in no span inside.
//! Loops that a span shares out to other threads count on the thread that waits for them, so the
//! shares are those of the work only with one thread (`RAYON_NUM_THREADS=1`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Subscriber, set_global_default};
use tracing::{Event, Metadata};

/// Spans of one phase, by what their names contain; the first that fits.
const PHASES: &[(&str, &str)] = &[
    ("reduce matrix quotient", "openings"),
    ("quotient", "quotient"),
    ("buses", "buses"),
    ("constraint layout", "quotient"),
    ("symbolic", "quotient"),
    ("merkle tree", "hashing"),
    ("digest layer", "hashing"),
    ("grind", "grinding"),
    ("dft", "transforms"),
    ("lde", "transforms"),
    ("_half", "transforms"),
    ("reverse_matrix", "transforms"),
    ("reserve_exact", "transforms"),
    ("evaluate matrix", "openings"),
    ("opened values", "openings"),
    ("columnwise", "openings"),
    ("compress mat", "openings"),
    ("inverse_denominators", "openings"),
    ("fold_matrix", "folding"),
    ("commit phase", "folding"),
    ("query phase", "folding"),
    ("final poly", "folding"),
];

/// Time of each phase.
pub(super) type Phases = BTreeMap<&'static str, Duration>;

static TIMES: Mutex<Phases> = Mutex::new(Phases::new());

thread_local! {
    /// Open spans of this thread: since when, and the time of spans inside.
    static OPEN: RefCell<Vec<(Instant, Duration)>> = const { RefCell::new(Vec::new()) };
}

/// Makes the spans of this process count.
pub(super) fn install() -> Result<(), String> {
    let timer = Timer { next: AtomicU64::new(1), names: Mutex::default() };
    set_global_default(timer).map_err(|error| error.to_string())
}

/// Returns what was counted since the last call.
pub(super) fn take() -> Phases {
    TIMES.lock().map(|mut times| core::mem::take(&mut *times)).unwrap_or_default()
}

struct Timer {
    next: AtomicU64,
    names: Mutex<BTreeMap<u64, &'static str>>,
}

fn phase(name: &str) -> &'static str {
    PHASES.iter().find(|(part, _)| name.contains(part)).map_or("other", |(_, phase)| phase)
}

impl Subscriber for Timer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        if let Ok(mut names) = self.names.lock() {
            names.insert(id, phase(attributes.metadata().name()));
        }
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        OPEN.with_borrow_mut(|open| open.push((Instant::now(), Duration::ZERO)));
    }

    fn exit(&self, id: &Id) {
        let Some((start, inner)) = OPEN.with_borrow_mut(Vec::pop) else { return };
        let whole = start.elapsed();
        OPEN.with_borrow_mut(|open| {
            if let Some((_, inner)) = open.last_mut() {
                *inner += whole;
            }
        });
        let phase = self.names.lock().ok().and_then(|names| names.get(&id.into_u64()).copied());
        if let (Some(phase), Ok(mut times)) = (phase, TIMES.lock()) {
            *times.entry(phase).or_default() += whole.saturating_sub(inner);
        }
    }

    fn try_close(&self, id: Id) -> bool {
        self.names.lock().is_ok_and(|mut names| names.remove(&id.into_u64()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::phase;

    #[test]
    fn spans_are_sorted_by_their_names() {
        assert_eq!(phase("first digest layer"), "hashing");
        assert_eq!(phase("coset_lde_batch"), "transforms");
        assert_eq!(phase("prove_batch"), "other");
    }
}
