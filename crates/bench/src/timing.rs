//! How times are taken and combined.

use std::time::{Duration, Instant};

/// Times of one thing and of the peer that it is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Duration,
    pub(crate) peer: Duration,
}

impl Pair {
    /// Returns our time as a multiple of the peer's.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.as_secs_f64() / self.peer.as_secs_f64()
    }
}

/// Measures two things in turn, `rounds` times, and returns the shortest time of each.
///
/// The shortest time is the one least disturbed by the machine; taking turns gives both the same
/// machine.
pub(crate) fn compare(
    rounds: usize,
    mut ours: impl FnMut() -> Result<(), String>,
    mut peer: impl FnMut() -> Result<(), String>,
) -> Result<Pair, String> {
    let mut best = Pair { ours: Duration::MAX, peer: Duration::MAX };
    for _ in 0..rounds {
        best.ours = best.ours.min(time(&mut ours)?);
        best.peer = best.peer.min(time(&mut peer)?);
    }
    Ok(best)
}

/// A clock that stands still while others have the processor, where the system has one.
///
/// Linux counts the nanoseconds that a thread ran, and brings the count up to date when the thread
/// yields.
pub(crate) fn busy_time() -> Option<Duration> {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
}

fn time(act: &mut impl FnMut() -> Result<(), String>) -> Result<Duration, String> {
    let start = Instant::now();
    act()?;
    Ok(start.elapsed())
}

/// Returns the geometric mean.
pub(crate) fn geometric_mean(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    #[expect(clippy::cast_precision_loss, reason = "a table has few rows")]
    let count = values.len() as f64;
    (sum / count).exp()
}

/// Returns the median, the upper one of two.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns how many a second.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Writes a duration with three digits and a fitting unit.
pub(crate) fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.2} us", s * 1e6),
    }
}
