//! The engine: what metering costs, what a first run costs, what a warm call costs; and how
//! fast the executor of lowered programs is beside it.

mod cold;
mod hostcall;
mod large;
mod lowered;
mod metering;
mod programs;
mod resident;
mod signatures;
mod warm;

use kapsule_engine::Backend;

use crate::run::{FUEL, MEMORY_BYTES, job, meter, policy};

/// One part of the report.
type Section = (&'static str, fn() -> Result<Vec<String>, String>);

const SECTIONS: &[Section] = &[
    ("metering", metering::measure),
    ("cold", cold::measure),
    ("warm", warm::measure),
    ("hostcall", hostcall::measure),
    ("resident", resident::measure),
    ("signatures", signatures::measure),
    ("lowered", lowered::measure),
];

/// Runs the measurements with these names, or every one, and returns the lines of the report.
pub(crate) fn measure(names: &[&str]) -> Result<Vec<String>, String> {
    let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("found section {unknown:?}, allowed are {known:?}"));
    }
    let mut lines = vec![
        "All ratios: ours over the peer, measured in turn in this run; lower is better.".to_owned(),
    ];
    for (name, section) in SECTIONS {
        if names.is_empty() || names.contains(name) {
            lines.extend(section()?);
        }
    }
    Ok(lines)
}

fn heading(title: &str) -> [String; 2] {
    [String::new(), title.to_owned()]
}

fn name(backend: Backend) -> String {
    format!("{:<6}", backend.name())
}
