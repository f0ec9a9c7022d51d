#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod apply;
mod input;
mod output;
mod state;

use alloc::vec::Vec;

use kapsule_guest::Error;

pub use apply::Verdict;
pub use input::{
    ACCOUNTS_MAX, AUTHORS_MAX, Author, BALANCES_MAX, Input, LIMIT_ERROR, ORDER_ERROR, POSTINGS_MAX,
    Posting, Side, TRANSACTIONS_MAX, Transaction, decode_transactions,
};
pub use output::Output;
pub use state::{AMOUNT_MAX, State};

/// Applies transactions to a state, one after the other.
///
/// One that is refused changes nothing; its verdict says why.
#[must_use]
pub fn evaluate<'a>(mut state: State<'a>, transactions: &[Transaction<'a>]) -> Output<'a> {
    let verdicts = transactions.iter().map(|transaction| apply::apply(&mut state, transaction));
    let verdicts = verdicts.collect();
    Output { state, verdicts }
}

/// Evaluates an encoded input to an encoded output.
///
/// # Errors
/// The codes of the README's table.
pub fn run(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let input = Input::decode(bytes)?;
    Ok(evaluate(input.state, &input.transactions).encode())
}

kapsule_guest::entry!(raw run);
