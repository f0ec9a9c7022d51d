#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod decode;
mod facts;
mod input;
mod output;
mod plan;

use alloc::vec::Vec;

use kapsule_guest::host::{self, Level};
use kapsule_guest::{Errno, Error, Proposal};

pub use facts::{FACT_MAX, State};
pub use input::{
    ACTIONS_MAX, Action, Agent, Budget, Change, Condition, EVENTS_MAX, Event, GOALS_MAX, Goal,
    Input, LIMIT_ERROR, NAME_ERROR, PENDING_MAX, RULES_MAX, Rule, Side,
};
pub use output::{GoalRow, Output, Row, Verdict};
pub use plan::{PROPOSALS_MAX, evaluate};

/// Evaluates an encoded input to an encoded output, and hands proposals to `propose`.
///
/// # Errors
/// The codes of the README's table.
pub fn run_with(
    bytes: &[u8],
    propose: &mut dyn FnMut(&Proposal) -> Result<u32, Errno>,
) -> Result<Vec<u8>, Error> {
    Ok(evaluate(Input::decode(bytes)?, propose)?.encode())
}

/// Evaluates an encoded input to an encoded output, and proposes to the host.
///
/// # Errors
/// As [`run_with`].
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run_with(bytes, &mut |proposal| {
        let answer = host::propose(proposal);
        if answer == Err(Errno::Refused) {
            host::log(Level::Info, "the host refused a proposal");
        }
        answer
    })
}

kapsule_guest::entry!(raw run);
