//! Guest paths: form, order, and which path covers which.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::form;
use crate::DecodeError;
use crate::limits::{PATH_BYTES_MAX, PATHS_MAX};
use crate::text::is_ascending;

/// Checks one list of paths: count, form of each, order, and that no path lies inside another.
pub(super) fn check_list(name: &str, paths: &[String]) -> Result<(), DecodeError> {
    if guard!("format.policy.path_count", paths.len() > PATHS_MAX) {
        let found = paths.len();
        return Err(DecodeError::new(
            ErrorCode::LimitExceeded,
            format!("{name} has {found} paths, allowed are {PATHS_MAX}"),
        ));
    }
    for path in paths {
        if guard!("format.policy.path_length", path.len() > PATH_BYTES_MAX) {
            let found = path.len();
            return Err(DecodeError::new(
                ErrorCode::LimitExceeded,
                format!("{name} has a path of {found} bytes, allowed are {PATH_BYTES_MAX}"),
            ));
        }
        if guard!("format.policy.path_form", !is_guest_path(path)) {
            return Err(form(format!(
                "{name}: {path:?} is not an absolute path without empty, `.` or `..` parts"
            )));
        }
    }
    if guard!("format.policy.path_order", !is_ascending(paths)) {
        return Err(form(format!("{name} is not in strictly ascending order")));
    }
    if guard!("format.policy.path_nested", has_nested(paths)) {
        return Err(form(format!("{name} has a path that equals or starts another one")));
    }
    Ok(())
}

/// Tells whether `outer` covers `inner`: itself and, if it ends in `/`, everything below it.
pub(super) fn covers(outer: &str, inner: &str) -> bool {
    outer == inner || (outer.ends_with('/') && inner.starts_with(outer))
}

/// Tells whether `path` names one file or directory: a guest path of at most 255 bytes without a
/// final `/`, in which nothing is hidden and every system sees the same parts.
pub(super) fn is_file_path(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && is_guest_path(path)
        && !path.ends_with('/')
        && !path.chars().any(is_hidden)
        // Some systems leave these out at the end of a name.
        && path.split('/').all(|part| !part.ends_with(['.', ' ']))
}

/// Tells whether a character separates parts or streams on some systems, or cannot be seen.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\\' | ':'
            | '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    ) || character.is_control()
}

fn is_guest_path(path: &str) -> bool {
    let Some(relative) = path.strip_prefix('/') else {
        return false;
    };
    let relative = relative.strip_suffix('/').unwrap_or(relative);
    if relative.is_empty() {
        return path == "/";
    }
    relative.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn has_nested(paths: &[String]) -> bool {
    let split: Vec<Vec<&str>> = paths.iter().map(|path| components(path)).collect();
    split.iter().enumerate().any(|(index, outer)| {
        split.iter().enumerate().any(|(other, inner)| index != other && inner.starts_with(outer))
    })
}
