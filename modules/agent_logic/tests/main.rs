//! Agent logic step by step, its budget, and its refusals.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod budget;
mod input;
mod plan;
mod scenarios;
mod support;
