//! Agent logic step by step, its budget, and its refusals.

mod budget;
mod input;
mod plan;
mod scenarios;
mod support;
