//! Trust against brute force, its bounds, and its refusals.

mod blocks;
mod bounds;
mod input;
mod reference;
mod support;
