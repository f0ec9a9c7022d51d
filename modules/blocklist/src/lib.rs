#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod fold;
mod input;
mod judge;
mod label;
mod link;
mod output;
mod pattern;
mod token;

use alloc::vec::Vec;

use kapsule_guest::Error;

pub use input::{
    Allow, ITEMS_MAX, Input, Item, LABELS_MAX, LIMIT_ERROR, LIST_MAX, PATTERN_ERROR, PATTERNS_MAX,
    Rules, Set, Threshold, VALUE_ERROR,
};
pub use judge::{BY_AUTHOR, BY_DISGUISE, BY_DOMAIN, BY_LABELLER, BY_PATTERN, evaluate};
pub use label::Label;
pub use output::{Action, Output, Reason, Verdict, Written};
pub use pattern::STEPS_MAX;

/// Evaluates an encoded input to an encoded output.
///
/// # Errors
/// The codes of the README's table.
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(evaluate(&Input::decode(bytes)?)?.encode())
}

kapsule_guest::entry!(raw run);
