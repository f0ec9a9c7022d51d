//! Random batches against a model that works on whole ledgers of signed numbers.
//!
//! The model applies a transaction first and looks at the result then, where the module checks
//! first; it knows neither of the module's types for state nor of its order of checks.

use std::collections::HashMap;

use kapsule_modules_common::Name;
use proptest::prelude::*;
use transfer::{AMOUNT_MAX, Author, Posting, Side, State, Transaction, Verdict, evaluate};

const ACCOUNTS: u64 = 4;

/// Balances by (account, asset), and nonces, both signed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Model {
    balances: HashMap<(u64, u64), i128>,
    nonces: HashMap<u64, i128>,
}

fn number(name: Name<'_>) -> u64 {
    match name {
        Name::Number(number) => number,
        other => panic!("{other:?} is not a number"),
    }
}

impl Model {
    fn of(state: &State<'_>) -> Self {
        let balance = |(account, asset, balance): (Name<'_>, Name<'_>, u64)| {
            ((number(account), number(asset)), i128::from(balance))
        };
        let nonce = |(account, nonce): (Name<'_>, u64)| (number(account), i128::from(nonce));
        Self {
            balances: state.balances().map(balance).collect(),
            nonces: state.nonces().map(nonce).collect(),
        }
    }

    /// Returns the ledger after a transaction, or nothing if that is no ledger.
    fn after(&self, transaction: &Transaction<'_>) -> Option<Self> {
        let mut next = self.clone();
        let mut totals: HashMap<u64, i128> = HashMap::new();
        for (index, posting) in transaction.postings.iter().enumerate() {
            let place = (number(posting.account), number(posting.asset));
            let earlier = &transaction.postings[..index];
            let same = |other: &&Posting<'_>| (number(other.account), number(other.asset)) == place;
            if earlier.iter().find(same).is_some() {
                return None;
            }
            let amount = i128::from(posting.amount);
            let change = if posting.side == Side::Debit { -amount } else { amount };
            *totals.entry(place.1).or_default() += change;
            *next.balances.entry(place).or_default() += change;
            let agreed = transaction.authors.iter().any(|author| author.account == posting.account);
            if change < 0 && !agreed {
                return None;
            }
        }
        for (index, author) in transaction.authors.iter().enumerate() {
            if transaction.authors[..index].iter().any(|other| other.account == author.account) {
                return None;
            }
            let nonce = next.nonces.entry(number(author.account)).or_default();
            *nonce += 1;
            if *nonce != i128::from(author.nonce) {
                return None;
            }
        }
        let most = i128::from(AMOUNT_MAX);
        let fair = totals.values().all(|total| *total == 0);
        let held = next.balances.values().all(|balance| (0..=most).contains(balance));
        next.balances.retain(|_, balance| *balance != 0);
        (fair && held).then_some(next)
    }
}

fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1..20_u64, 1 => Just(AMOUNT_MAX), 1 => AMOUNT_MAX - 20..AMOUNT_MAX]
}

fn posting() -> impl Strategy<Value = Posting<'static>> {
    (0..ACCOUNTS, 0..2_u64, any::<bool>(), amount()).prop_map(|(account, asset, debit, amount)| {
        Posting {
            account: Name::Number(account),
            asset: Name::Number(asset),
            side: if debit { Side::Debit } else { Side::Credit },
            amount,
        }
    })
}

/// A plain payment, which is often right, or postings at random, which are mostly wrong.
fn postings() -> impl Strategy<Value = Vec<Posting<'static>>> {
    let payment = (posting(), 0..ACCOUNTS).prop_map(|(posting, to)| {
        let side = |account, side| Posting { account, side, ..posting };
        vec![side(posting.account, Side::Debit), side(Name::Number(to), Side::Credit)]
    });
    prop_oneof![3 => payment, 1 => prop::collection::vec(posting(), 2..6)]
}

fn transactions() -> impl Strategy<Value = Vec<Transaction<'static>>> {
    let authors = prop::collection::vec((0..ACCOUNTS, 1..5_u64), 1..3);
    let one = (authors, postings(), any::<bool>()).prop_map(|(authors, postings, by_payer)| {
        let author = |(account, nonce)| Author { account: Name::Number(account), nonce };
        let mut authors: Vec<Author<'static>> = authors.into_iter().map(author).collect();
        if by_payer {
            authors.truncate(1);
            authors[0].account = postings[0].account;
        }
        Transaction { authors, postings }
    });
    prop::collection::vec(one, 0..40)
}

fn state() -> impl Strategy<Value = State<'static>> {
    prop::collection::btree_map((0..ACCOUNTS, 0..2_u64), amount(), 0..8).prop_map(|balances| {
        let mut state = State::default();
        for ((account, asset), balance) in balances {
            state.set_balance(Name::Number(account), Name::Number(asset), balance);
        }
        state
    })
}

proptest! {
    #[test]
    fn the_model_agrees_and_nothing_is_made_or_lost(
        before in state(),
        transactions in transactions(),
    ) {
        let after = evaluate(before.clone(), &transactions);
        let mut model = Model::of(&before);
        for (transaction, verdict) in transactions.iter().zip(&after.verdicts) {
            let next = model.after(transaction);
            prop_assert_eq!(next.is_some(), *verdict == Verdict::Applied, "{:?}", transaction);
            model = next.unwrap_or(model);
        }
        prop_assert_eq!(Model::of(&after.state), model);
        prop_assert_eq!(after.state.totals(), before.totals());
    }

    #[test]
    fn a_batch_is_its_parts(before in state(), transactions in transactions(), cut in 0..40_usize) {
        let whole = evaluate(before.clone(), &transactions);
        let (one, two) = transactions.split_at(cut.min(transactions.len()));
        let first = evaluate(before, one);
        let second = evaluate(first.state, two);
        prop_assert_eq!(second.state, whole.state);
        prop_assert_eq!([first.verdicts, second.verdicts].concat(), whole.verdicts);
    }
}
