//! The error that an entry returns: a code for the outcome and a sentence for the log.

use alloc::borrow::Cow;
use core::fmt;

use kapsule_abi::Errno;

/// Why an entry failed.
///
/// The code becomes the outcome `completed(code)` and is part of every receipt.
/// The message is logged at level error, so it is in the transcript but not in the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: u16,
    message: Cow<'static, str>,
}

impl Error {
    /// Code of an input that cannot be decoded.
    pub const INPUT: u16 = 1;
    /// Code of a hostcall that was refused or answered with bytes that cannot be decoded.
    pub const HOST: u16 = 2;
    /// Least code that a module defines for itself; the SDK keeps those below.
    pub const MODULE: u16 = 16;

    /// Returns an error with a code of the module's own.
    ///
    /// # Panics
    /// If `code` is 0, which means success.
    #[must_use]
    pub fn new(code: u16, message: impl Into<Cow<'static, str>>) -> Self {
        assert!(code != 0, "an error code is not 0, which means success");
        Self { code, message: message.into() }
    }

    /// Returns an error that says why the input is refused.
    #[must_use]
    pub fn input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::INPUT, message)
    }

    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (guest error code {})", self.message, self.code)
    }
}

impl core::error::Error for Error {}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::new(Self::HOST, alloc::format!("hostcall refused: {}", errno.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_message_and_code() {
        let error = Error::new(16, "weight 3 exceeds the limit of 2");
        assert_eq!(
            alloc::string::ToString::to_string(&error),
            "weight 3 exceeds the limit of 2 (guest error code 16)"
        );
    }

    #[test]
    fn errno_becomes_host_error() {
        let error = Error::from(Errno::KeyNotHeld);
        assert_eq!((error.code(), error.message()), (2, "hostcall refused: key not held"));
    }
}
