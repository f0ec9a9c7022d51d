//! Transfer against tables, an independent model, and its refusals.

mod input;
mod model;
mod support;
mod verdicts;
