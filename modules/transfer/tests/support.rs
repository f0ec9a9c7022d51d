//! Short ways to write transactions.

use kapsule_modules_common::Name;
use transfer::{Author, Posting, Side, State, Transaction};

pub(crate) const COIN: Name<'static> = Name::Text("coin");

pub(crate) fn debit(account: &'static str, amount: u64) -> Posting<'static> {
    Posting { account: Name::Text(account), asset: COIN, side: Side::Debit, amount }
}

pub(crate) fn credit(account: &'static str, amount: u64) -> Posting<'static> {
    Posting { side: Side::Credit, ..debit(account, amount) }
}

/// A transaction by authors with their nonces.
pub(crate) fn transaction(
    authors: &[(&'static str, u64)],
    postings: &[Posting<'static>],
) -> Transaction<'static> {
    let author = |(account, nonce): &(&'static str, u64)| Author {
        account: Name::Text(account),
        nonce: *nonce,
    };
    Transaction { authors: authors.iter().map(author).collect(), postings: postings.to_vec() }
}

/// A state of accounts with their coins.
pub(crate) fn state(balances: &[(&'static str, u64)]) -> State<'static> {
    let mut state = State::default();
    for (account, balance) in balances {
        state.set_balance(Name::Text(account), COIN, *balance);
    }
    state
}
