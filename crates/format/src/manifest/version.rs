//! Semantic Versioning 2.0.0, as far as a manifest needs it: form and precedence.

use alloc::format;
use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use kapsule_abi::{ErrorCode, guard};

use crate::DecodeError;

/// Greatest length of a version in bytes.
const BYTES_MAX: usize = 64;
/// Greatest number of digits of a numeric part, so that each fits a u64.
const DIGITS_MAX: usize = 18;

/// A version in the form of Semantic Versioning 2.0.0.
///
/// Equality compares the text; [`Version::precedence`] ignores build metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    text: String,
    /// Major, minor and patch.
    numbers: [u64; 3],
}

impl Version {
    /// Returns the text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Compares precedence: numbers, then pre-release identifiers; build metadata do not order.
    #[must_use]
    pub fn precedence(&self, other: &Self) -> Ordering {
        let numbers = self.numbers.cmp(&other.numbers);
        numbers.then_with(|| match (self.pre_release(), other.pre_release()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(own), Some(others)) => compare_pre_release(own, others),
        })
    }

    fn pre_release(&self) -> Option<&str> {
        let (release, _) = split_build(&self.text);
        release.split_once('-').map(|(_, pre)| pre)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Version {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong = || {
            DecodeError::new(
                ErrorCode::SchemaViolation,
                format!("{text:?} is not a version as Semantic Versioning 2.0.0 has them"),
            )
        };
        if guard!("format.version.length", text.len() > BYTES_MAX) {
            return Err(DecodeError::new(
                ErrorCode::SchemaViolation,
                format!("version has {} bytes, allowed are {BYTES_MAX}", text.len()),
            ));
        }
        let (release, build) = split_build(text);
        let (core, pre) = match release.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (release, None),
        };
        let build_form = build.is_none_or(|build| build.split('.').all(is_identifier));
        let pre_form = pre.is_none_or(|pre| pre.split('.').all(is_pre_release));
        if guard!("format.version.identifiers", !build_form || !pre_form) {
            return Err(wrong());
        }
        let mut parts = core.split('.');
        let mut numbers = [0; 3];
        for slot in &mut numbers {
            *slot = parts.next().and_then(number).ok_or_else(wrong)?;
        }
        if guard!("format.version.parts", parts.next().is_some()) {
            return Err(wrong());
        }
        Ok(Self { text: text.to_string(), numbers })
    }
}

fn split_build(text: &str) -> (&str, Option<&str>) {
    match text.split_once('+') {
        Some((release, build)) => (release, Some(build)),
        None => (text, None),
    }
}

/// Reads a numeric part: digits without a leading zero, at most [`DIGITS_MAX`].
fn number(text: &str) -> Option<u64> {
    let digits = is_numeric(text) && text.len() <= DIGITS_MAX;
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if digits && !leading_zero { text.parse().ok() } else { None }
}

fn is_numeric(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_pre_release(text: &str) -> bool {
    is_identifier(text) && (!is_numeric(text) || number(text).is_some())
}

fn compare_pre_release(own: &str, others: &str) -> Ordering {
    let mut own = own.split('.');
    let mut others = others.split('.');
    loop {
        let ordering = match (own.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) => compare_identifier(left, right),
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// Numbers compare by value and stand below text.
fn compare_identifier(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}
