//! The rules, in the order in which they are looked at.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use kapsule_modules_common::Name;

use crate::input::{Posting, Side, Transaction};
use crate::state::{AMOUNT_MAX, State};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// It is part of the state.
    Applied = 0,
    /// It names an author, or an account with an asset, twice.
    Repeated = 1,
    /// Debits and credits of an asset differ.
    Unbalanced = 2,
    /// It takes from an account that is not among its authors.
    Unauthorised = 3,
    /// A nonce is not the one that follows the author's last.
    Nonce = 4,
    /// An account would hold less than nothing.
    Insufficient = 5,
    /// An account would hold more than [`AMOUNT_MAX`].
    Overflow = 6,
}

/// Applies a transaction, or leaves the state as it is.
pub(crate) fn apply<'a>(state: &mut State<'a>, transaction: &Transaction<'a>) -> Verdict {
    let settled = well_formed(transaction)
        .and_then(|()| nonces_follow(state, transaction))
        .and_then(|()| settle(state, &transaction.postings));
    match settled {
        Ok(balances) => {
            for (posting, balance) in transaction.postings.iter().zip(balances) {
                state.set_balance(posting.account, posting.asset, balance);
            }
            for author in &transaction.authors {
                state.set_nonce(author.account, author.nonce);
            }
            Verdict::Applied
        }
        Err(verdict) => verdict,
    }
}

/// Checks what depends on the transaction alone.
fn well_formed(transaction: &Transaction<'_>) -> Result<(), Verdict> {
    let Transaction { authors, postings } = transaction;
    let authors = sorted(authors.iter().map(|author| author.account));
    let places = sorted(postings.iter().map(|posting| (posting.account, posting.asset)));
    if has_repeated(&authors) || has_repeated(&places) {
        return Err(Verdict::Repeated);
    }
    // At most 64 amounts below 2^53 are added, so the sums stay below 2^59.
    let mut sums: BTreeMap<Name<'_>, (u64, u64)> = BTreeMap::new();
    for posting in postings {
        let (debits, credits) = sums.entry(posting.asset).or_default();
        match posting.side {
            Side::Debit => *debits += posting.amount,
            Side::Credit => *credits += posting.amount,
        }
    }
    if sums.values().any(|(debits, credits)| debits != credits) {
        return Err(Verdict::Unbalanced);
    }
    let mut debits = postings.iter().filter(|posting| posting.side == Side::Debit);
    if debits.any(|posting| authors.binary_search(&posting.account).is_err()) {
        return Err(Verdict::Unauthorised);
    }
    Ok(())
}

fn sorted<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    items
}

fn has_repeated<T: PartialEq>(sorted: &[T]) -> bool {
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// Checks that every author's nonce is the next one.
fn nonces_follow(state: &State<'_>, transaction: &Transaction<'_>) -> Result<(), Verdict> {
    let mut authors = transaction.authors.iter();
    match authors.all(|author| author.nonce == state.nonce(author.account) + 1) {
        true => Ok(()),
        false => Err(Verdict::Nonce),
    }
}

/// Returns the balance after each posting.
///
/// No two postings share account and asset, so their order does not matter.
fn settle(state: &State<'_>, postings: &[Posting<'_>]) -> Result<Vec<u64>, Verdict> {
    let after = |posting: &Posting<'_>| {
        let before = state.balance(posting.account, posting.asset);
        match posting.side {
            Side::Debit => before.checked_sub(posting.amount).ok_or(Verdict::Insufficient),
            Side::Credit => Ok(before + posting.amount),
        }
    };
    let balances: Vec<u64> = postings.iter().map(after).collect::<Result<_, _>>()?;
    match balances.iter().all(|balance| *balance <= AMOUNT_MAX) {
        true => Ok(balances),
        false => Err(Verdict::Overflow),
    }
}
