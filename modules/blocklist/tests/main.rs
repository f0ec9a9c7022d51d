//! Blocklist against adversarial spellings, its rules one by one, and its refusals.

mod input;
mod rules;
mod spellings;
mod support;
