//! Blocklist against adversarial spellings, its rules one by one, and its refusals.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod input;
mod rules;
mod spellings;
mod support;
