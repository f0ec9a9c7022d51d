//! Many samples on all cores, and what they came to.

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use kapsule_abi::{Limit, Outcome};

use super::{Disagreement, Ending, Report, check};

/// Disagreements that are kept; more say nothing new.
const KEPT_MAX: usize = 20;

/// What a range of seeds came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeds that were taken.
    pub seeds: u64,
    /// Seeds whose bytes made no module.
    pub no_module: u64,
    /// Modules that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Modules whose entry returned.
    pub completed: u64,
    /// Modules that trapped, by kind.
    pub trapped: BTreeMap<&'static str, u64>,
    /// Modules that used up their fuel.
    pub out_of_fuel: u64,
    /// Modules that reached another limit or were denied a call, by outcome.
    pub stopped: BTreeMap<String, u64>,
    /// Hostcalls under the whole grants by number: all, and the answered ones.
    pub hostcalls: BTreeMap<u64, [u64; 2]>,
    /// Modules with at least one hostcall.
    pub calling: u64,
    /// Runs that were compared.
    pub runs: u64,
    /// Modules whose fuel was recounted.
    pub recounted: u64,
    /// Runs that the circuit's tables were filled with, and their steps.
    pub traced: [u64; 2],
    /// Runs of which a proof was made and verified.
    pub proven: u64,
    /// Seeds that broke a rule, the first of them.
    pub disagreements: Vec<Disagreement>,
}

impl Tally {
    fn add(&mut self, checked: Result<Report, Disagreement>) {
        self.seeds += 1;
        let report = match checked {
            Ok(report) => report,
            Err(disagreement) => {
                if self.disagreements.len() < KEPT_MAX {
                    self.disagreements.push(disagreement);
                }
                return;
            }
        };
        self.calling += u64::from(!report.hostcalls.is_empty());
        for (number, [more, more_answered]) in report.hostcalls {
            let [all, answered] = self.hostcalls.entry(number).or_default();
            *all += more;
            *answered += more_answered;
        }
        self.runs += report.runs;
        self.recounted += u64::from(report.recounted);
        for (sum, more) in self.traced.iter_mut().zip(report.traced) {
            *sum += more;
        }
        self.proven += report.proven;
        match report.ending {
            Ending::NoModule => self.no_module += 1,
            Ending::Refused(reason) => *self.refused.entry(reason).or_default() += 1,
            Ending::Ran(Outcome::Completed(_)) => self.completed += 1,
            Ending::Ran(Outcome::Trapped(trap)) => {
                *self.trapped.entry(trap.name()).or_default() += 1;
            }
            Ending::Ran(Outcome::LimitReached(Limit::Fuel)) => self.out_of_fuel += 1,
            Ending::Ran(outcome) => *self.stopped.entry(outcome.to_string()).or_default() += 1,
        }
    }

    /// Returns how many modules trapped.
    #[must_use]
    pub fn trapped_total(&self) -> u64 {
        self.trapped.values().sum()
    }

    /// Returns how many modules were refused.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Returns every count as (name, value), for printing.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut rows = vec![
            ("seeds".into(), self.seeds),
            ("made no module".into(), self.no_module),
            ("completed".into(), self.completed),
            ("out of fuel".into(), self.out_of_fuel),
        ];
        rows.extend(self.trapped.iter().map(|(name, n)| (format!("trapped: {name}"), *n)));
        rows.extend(self.stopped.iter().map(|(name, n)| (format!("stopped: {name}"), *n)));
        rows.extend(self.refused.iter().map(|(why, n)| (format!("refused: {why}"), *n)));
        rows.extend([
            ("modules with hostcalls".into(), self.calling),
            ("hostcalls".into(), self.hostcalls.values().map(|[all, _]| all).sum()),
            ("hostcalls answered".into(), self.hostcalls.values().map(|[_, n]| n).sum()),
            ("runs compared".into(), self.runs),
            ("modules recounted".into(), self.recounted),
            ("runs traced".into(), self.traced[0]),
            ("steps traced".into(), self.traced[1]),
            ("proofs verified".into(), self.proven),
            ("disagreements".into(), self.disagreements.len() as u64),
        ]);
        rows
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.rows() {
            writeln!(f, "{value:>9}  {name}")?;
        }
        for disagreement in &self.disagreements {
            writeln!(f, "{disagreement}")?;
        }
        Ok(())
    }
}

/// Checks every seed of a range on all cores; `progress` is shown what there is now and then.
///
/// Takes about two minutes for 10,000 seeds on two cores in a release build.
///
/// # Panics
/// If a check panics.
pub fn run_all(seeds: Range<u64>, progress: &(dyn Fn(&Tally) + Sync)) -> Tally {
    run_all_with(check, seeds, progress)
}

/// As [`run_all`], with another check.
///
/// # Panics
/// If a check panics.
pub fn run_all_with(
    check: fn(u64) -> Result<Report, Disagreement>,
    seeds: Range<u64>,
    progress: &(dyn Fn(&Tally) + Sync),
) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let threads = std::thread::available_parallelism().map_or(1, core::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let checked = check(seed);
                    let mut tally = tally.lock().expect("no thread panics while it counts");
                    tally.add(checked);
                    if tally.seeds.is_multiple_of(1_000) {
                        progress(&tally);
                    }
                }
            });
        }
    });
    let mut tally = tally.into_inner().expect("no thread panics while it counts");
    tally.disagreements.sort_by_key(|disagreement| disagreement.seed);
    tally
}
