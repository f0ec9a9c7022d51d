//! The input: the state before, and the transactions.

use alloc::format;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use kapsule_guest::Error;
use kapsule_guest::minicbor::Decoder;
use kapsule_modules_common::{Name, read};

use crate::state::{AMOUNT_MAX, State};

/// Code of an input with more items than the limits below.
pub const LIMIT_ERROR: u16 = 16;
/// Code of a state whose accounts or assets do not ascend, or that holds a row without content.
pub const ORDER_ERROR: u16 = 17;

/// Greatest number of accounts in a state; chosen so that a run stays below 64 MiB of memory.
pub const ACCOUNTS_MAX: usize = 100_000;
/// Greatest number of balances in a state; chosen likewise.
pub const BALANCES_MAX: usize = 200_000;
/// Greatest number of transactions; chosen likewise.
pub const TRANSACTIONS_MAX: usize = 20_000;
/// Greatest number of authors of a transaction; chosen.
pub const AUTHORS_MAX: usize = 16;
/// Greatest number of postings of a transaction; chosen.
pub const POSTINGS_MAX: usize = 64;

/// Which way an amount goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Out of the account.
    Debit,
    /// Into the account.
    Credit,
}

/// One line of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting<'a> {
    /// Whose balance changes.
    pub account: Name<'a>,
    /// In what.
    pub asset: Name<'a>,
    /// Which way.
    pub side: Side,
    /// By how much, 1 to [`AMOUNT_MAX`].
    pub amount: u64,
}

/// Someone who agreed to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// Their account.
    pub account: Name<'a>,
    /// Number of this transaction among theirs, from 1.
    pub nonce: u64,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction<'a> {
    /// Who agreed.
    pub authors: Vec<Author<'a>>,
    /// What moves.
    pub postings: Vec<Posting<'a>>,
}

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// The state before.
    pub state: State<'a>,
    /// The transactions in the order in which they are applied.
    pub transactions: Vec<Transaction<'a>>,
}

impl<'a> Input<'a> {
    /// Decodes an input.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`LIMIT_ERROR`], [`ORDER_ERROR`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut state, mut transactions) = (None, None);
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => state = Some(decode_state(decoder)?),
                2 => transactions = Some(decode_transactions(decoder)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(Self {
            state: read::required(state, "input", "accounts")?,
            transactions: read::required(transactions, "input", "transactions")?,
        })
    }
}

/// Reads the list of transactions.
///
/// # Errors
/// As [`Input::decode`].
pub fn decode_transactions<'a>(decoder: &mut Decoder<'a>) -> Result<Vec<Transaction<'a>>, Error> {
    let count = counted(decoder, "transactions", 0..=TRANSACTIONS_MAX)?;
    (0..count).map(|_| decode_transaction(decoder)).collect()
}

fn decode_transaction<'a>(decoder: &mut Decoder<'a>) -> Result<Transaction<'a>, Error> {
    read::tuple(decoder, "transaction", 2)?;
    let authors = counted(decoder, "authors", 1..=AUTHORS_MAX)?;
    let authors = (0..authors).map(|_| {
        read::tuple(decoder, "author", 2)?;
        let account = Name::decode(decoder, "author")?;
        Ok(Author { account, nonce: read::uint(decoder, "nonce", 1..=AMOUNT_MAX)? })
    });
    let authors = authors.collect::<Result<_, Error>>()?;
    let postings = counted(decoder, "postings", 2..=POSTINGS_MAX)?;
    let postings = (0..postings).map(|_| decode_posting(decoder)).collect::<Result<_, _>>()?;
    Ok(Transaction { authors, postings })
}

fn decode_posting<'a>(decoder: &mut Decoder<'a>) -> Result<Posting<'a>, Error> {
    read::tuple(decoder, "posting", 4)?;
    Ok(Posting {
        account: Name::decode(decoder, "account")?,
        asset: Name::decode(decoder, "asset")?,
        side: match read::uint(decoder, "side", 0..=1)? {
            0 => Side::Debit,
            _ => Side::Credit,
        },
        amount: read::uint(decoder, "amount", 1..=AMOUNT_MAX)?,
    })
}

fn decode_state<'a>(decoder: &mut Decoder<'a>) -> Result<State<'a>, Error> {
    let mut state = State::default();
    let (mut last, mut balances_count) = (None, 0);
    for _ in 0..counted(decoder, "accounts", 0..=ACCOUNTS_MAX)? {
        let start = decoder.position();
        read::tuple(decoder, "account", 3)?;
        let account = Name::decode(decoder, "account")?;
        let nonce = read::uint(decoder, "nonce", 0..=AMOUNT_MAX)?;
        let balances = counted(decoder, "balances", 0..=BALANCES_MAX)?;
        balances_count += balances;
        check_count(balances_count, "balances", &(0..=BALANCES_MAX))?;
        if last >= Some(account) {
            return Err(out_of_order(start, "accounts do not ascend"));
        }
        if nonce == 0 && balances == 0 {
            return Err(out_of_order(start, "an account without nonce and balance"));
        }
        last = Some(account);
        state.set_nonce(account, nonce);
        decode_balances(decoder, &mut state, account, balances)?;
    }
    Ok(state)
}

fn decode_balances<'a>(
    decoder: &mut Decoder<'a>,
    state: &mut State<'a>,
    account: Name<'a>,
    count: usize,
) -> Result<(), Error> {
    let mut last = None;
    for _ in 0..count {
        let start = decoder.position();
        read::tuple(decoder, "balance", 2)?;
        let asset = Name::decode(decoder, "asset")?;
        let balance = read::uint(decoder, "balance", 1..=AMOUNT_MAX)?;
        if last >= Some(asset) {
            return Err(out_of_order(start, "assets do not ascend"));
        }
        last = Some(asset);
        state.set_balance(account, asset, balance);
    }
    Ok(())
}

fn out_of_order(offset: usize, reason: &str) -> Error {
    Error::new(ORDER_ERROR, format!("state at byte {offset}: {reason}"))
}

/// Reads the head of an array whose length is within `range`.
fn counted(
    decoder: &mut Decoder<'_>,
    what: &str,
    range: RangeInclusive<usize>,
) -> Result<usize, Error> {
    let count = usize::try_from(read::array(decoder, what)?).unwrap_or(usize::MAX);
    check_count(count, what, &range).map(|()| count)
}

fn check_count(count: usize, what: &str, range: &RangeInclusive<usize>) -> Result<(), Error> {
    if range.contains(&count) {
        return Ok(());
    }
    let text = format!("{count} {what} are outside {} to {}", range.start(), range.end());
    Err(Error::new(LIMIT_ERROR, text))
}
