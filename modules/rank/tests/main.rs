//! Rank against vectors computed by hand, the trust module's output, and its refusals.

mod input;
mod order;
mod support;
mod trust_output;
mod vectors;
