//! Checks that a test build can switch off by name.
//!
//! A guard that no test notices is not a guard, so `cargo xtask guards` switches each one off in
//! turn and expects a failing test.
//! In a product build [`enforced`] is the constant `true`.

/// Tells whether `$violated` holds and the guard named `$name` is enforced.
///
/// Names are `crate.area.rule`, unique in the repository.
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

/// Returns whether the guard `name` is enforced: unless `KAPSULE_GUARD_OFF` names it.
#[cfg(feature = "guard-switch")]
#[must_use]
pub fn enforced(name: &str) -> bool {
    use std::sync::OnceLock;
    static OFF: OnceLock<Option<std::string::String>> = OnceLock::new();
    OFF.get_or_init(|| std::env::var("KAPSULE_GUARD_OFF").ok()).as_deref() != Some(name)
}
