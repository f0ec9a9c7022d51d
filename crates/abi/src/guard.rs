//! Checks that a test build can switch off by name.
//!
//! A guard that no test notices is not a guard, so `cargo xtask guards` switches each one off in
//! turn and expects a failing test.
//! In a product build [`enforced`] is the constant `true`.

/// Tells whether `$violated` holds and the guard named `$name` is enforced.
///
/// Names are `crate.area.rule`, unique in the repository.
/// The name is looked at only where `$violated` holds, so a run in which that never happens is the
/// same with the guard off.
///
/// # Examples
/// ```
/// let length = 70_000;
/// let refused = kapsule_abi::guard!("doc.example.length", length > 65_536);
/// assert!(refused);
/// ```
#[macro_export]
macro_rules! guard {
    ($name:literal, $violated:expr) => {
        ($violated) && $crate::guard::enforced($name)
    };
}

/// Returns whether the guard `name` is enforced: always, in a product build.
#[cfg(not(feature = "guard-switch"))]
#[inline(always)]
#[must_use]
pub const fn enforced(_name: &str) -> bool {
    true
}

#[cfg(feature = "guard-switch")]
pub use switch::enforced;

/// What a test build does: it asks two variables of the environment.
#[cfg(feature = "guard-switch")]
mod switch {
    use std::collections::BTreeSet;
    use std::env;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::string::String;
    use std::sync::{LazyLock, Mutex, PoisonError};

    /// The guard to switch off.
    static OFF: LazyLock<Option<String>> = LazyLock::new(|| env::var("KAPSULE_GUARD_OFF").ok());

    /// The file to which the names of the guards that refused something are appended.
    static TRACE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("KAPSULE_GUARD_TRACE").map(PathBuf::from));

    /// Returns whether the guard `name` is enforced: unless `KAPSULE_GUARD_OFF` names it.
    ///
    /// # Panics
    /// If the file that `KAPSULE_GUARD_TRACE` names cannot be written: a name that is missing there
    /// would make a guard look like one that no test needs.
    #[must_use]
    pub fn enforced(name: &'static str) -> bool {
        if let Some(path) = &*TRACE {
            trace(path, name);
        }
        OFF.as_deref() != Some(name)
    }

    /// Appends `name` to the file at `path`, once for each process.
    fn trace(path: &PathBuf, name: &'static str) {
        static SEEN: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert(name) {
            let file = OpenOptions::new().create(true).append(true).open(path);
            // One call of the system, so that lines of several processes do not mix.
            let written =
                file.and_then(|mut file| file.write_all(std::format!("{name}\n").as_bytes()));
            written.expect("the trace of guards can be written");
        }
    }
}
