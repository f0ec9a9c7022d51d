//! What the system says about the machine and about this process; Linux only, else nothing.

use std::fs;

/// The machine that a report is about.
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) model: String,
    /// Vector extensions that the field arithmetic of this build uses.
    pub(super) built_for: &'static str,
    /// The widest that the processor has.
    pub(super) available: &'static str,
    /// Runnable processes over the last minute, at the end of the run.
    pub(super) load: String,
}

impl Machine {
    pub(super) fn read() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            line.split_once(": ").map(|(_, value)| value.to_owned())
        };
        let flags = field("flags").unwrap_or_default();
        let has = |name: &str| flags.split(' ').any(|flag| flag == name);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            model: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            built_for: built_for(),
            available: match (has("avx512f"), has("avx2")) {
                (true, _) => "avx512f",
                (_, true) => "avx2",
                _ => "none known",
            },
            load: load.split(' ').next().unwrap_or("unknown").to_owned(),
        }
    }
}

/// The field arithmetic chooses when it is compiled, not when it runs.
const fn built_for() -> &'static str {
    if cfg!(target_feature = "avx512f") {
        "avx512f"
    } else if cfg!(target_feature = "avx2") {
        "avx2"
    } else if cfg!(all(target_arch = "aarch64", target_feature = "neon")) {
        "neon"
    } else {
        "none"
    }
}

/// Returns the processor time of this process in seconds, all threads together.
pub(super) fn cpu_seconds() -> Option<f64> {
    // Fields 14 and 15 in ticks of 10 ms; the name in field 2 may hold anything but ends with `)`.
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = |field: Option<&str>| field?.parse::<f64>().ok();
    Some((ticks(fields.next())? + ticks(fields.next())?) / 100.0)
}

/// Forgets the greatest resident size so far.
pub(super) fn reset_peak() {
    // Where this fails the size of the whole process is reported, which is greater.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Returns the greatest resident size in bytes.
pub(super) fn peak_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1_024)
}
