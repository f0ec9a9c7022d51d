//! Text forms that several formats share.

use alloc::string::String;

/// Tells whether `text` is an `ident`: `[a-z][a-z0-9._-]{0,63}`.
pub(crate) fn is_ident(text: &str) -> bool {
    is_name(text, 64, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// Tells whether `text` matches `[a-z][a-z0-9_]{0,47}`.
pub(crate) fn is_hostcall_name(text: &str) -> bool {
    is_name(text, 48, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Tells whether `text` matches `[A-Za-z_][A-Za-z0-9_]{0,63}`, the form of an entry.
pub(crate) fn is_entry_name(text: &str) -> bool {
    let first = text.as_bytes().first();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && is_made_of(text, 64, |byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Tells whether `text` matches `[A-Za-z0-9._/-]{1,128}`, the form of a file label.
pub(crate) fn is_label(text: &str) -> bool {
    is_made_of(text, 128, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'-')
    })
}

/// Tells whether `text` has 1 to `max` bytes, all of them accepted by `allowed`.
pub(crate) fn is_made_of(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    (1..=max).contains(&text.len()) && text.bytes().all(allowed)
}

/// Tells whether `text` has `min` to `max` lower-case hex digits.
pub(crate) fn is_hex(text: &str, min: usize, max: usize) -> bool {
    text.len() >= min && is_made_of(text, max, |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Tells whether `text` is 1 to `max` bytes without control characters.
pub(crate) fn is_plain(text: &str, max: usize) -> bool {
    (1..=max).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_name(text: &str, max: usize, allowed: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && is_made_of(text, max, allowed)
}

/// Cuts text that comes from outside and is to be shown in an error.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Tells whether the keys are in strictly ascending order.
pub(crate) fn is_ascending<T: PartialOrd>(keys: impl IntoIterator<Item = T>) -> bool {
    keys.into_iter().is_sorted_by(|left, right| left < right)
}

/// Tells whether a text is 00 to 15, as attached entries are numbered.
pub(crate) fn is_number(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text < "16"
}
