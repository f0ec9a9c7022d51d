//! Each rule on its own, and which one wins.

use kapsule_modules_common::Name;
use transfer::{AMOUNT_MAX, Posting, Transaction, Verdict, evaluate};

use crate::support::{COIN, credit, debit, state, transaction};

fn verdict(transaction: Transaction<'static>) -> Verdict {
    let before = state(&[("ada", 10), ("bob", 5), ("full", AMOUNT_MAX)]);
    let after = evaluate(before.clone(), &[transaction]);
    if after.verdicts != [Verdict::Applied] {
        assert_eq!(after.state, before, "a refused transaction changes nothing");
    }
    after.verdicts[0]
}

#[test]
fn each_rule_has_its_verdict() {
    let usd = |posting: Posting<'static>| Posting { asset: Name::Text("usd"), ..posting };
    let ada = [("ada", 1)];
    for (authors, postings, expect) in [
        (&ada[..], vec![debit("ada", 10), credit("bob", 10)], Verdict::Applied),
        (&ada, vec![debit("ada", 9), credit("bob", 4), credit("new", 5)], Verdict::Applied),
        (
            &[("ada", 1), ("bob", 1)],
            vec![debit("ada", 3), debit("bob", 3), credit("new", 6)],
            Verdict::Applied,
        ),
        (&[("ada", 1), ("ada", 2)], vec![debit("ada", 1), credit("bob", 1)], Verdict::Repeated),
        (&ada, vec![debit("ada", 1), debit("ada", 1), credit("bob", 2)], Verdict::Repeated),
        (&ada, vec![debit("ada", 1), credit("ada", 1)], Verdict::Repeated),
        (&ada, vec![debit("ada", 2), credit("bob", 1)], Verdict::Unbalanced),
        (&ada, vec![credit("ada", 1), credit("bob", 1)], Verdict::Unbalanced),
        (&ada, vec![debit("ada", 1), usd(credit("bob", 1))], Verdict::Unbalanced),
        (&ada, vec![debit("bob", 1), credit("ada", 1)], Verdict::Unauthorised),
        (&ada, vec![debit("ada", 1), debit("bob", 1), credit("new", 2)], Verdict::Unauthorised),
        (&[("ada", 2)], vec![debit("ada", 1), credit("bob", 1)], Verdict::Nonce),
        (&[("ada", 1), ("bob", 2)], vec![debit("ada", 1), credit("bob", 1)], Verdict::Nonce),
        (&ada, vec![debit("ada", 11), credit("bob", 11)], Verdict::Insufficient),
        (&ada, vec![usd(debit("ada", 1)), usd(credit("bob", 1))], Verdict::Insufficient),
        (&ada, vec![debit("ada", 1), credit("full", 1)], Verdict::Overflow),
        // Several rules are broken: the first of the list counts.
        (&[("ada", 9)], vec![debit("bob", 99), credit("bob", 1)], Verdict::Repeated),
        (&[("ada", 9)], vec![debit("bob", 99), credit("ada", 1)], Verdict::Unbalanced),
        (&[("ada", 9)], vec![debit("bob", 99), credit("ada", 99)], Verdict::Unauthorised),
        (&[("ada", 9)], vec![debit("ada", 99), credit("full", 99)], Verdict::Nonce),
        (&ada, vec![debit("ada", 99), credit("full", 99)], Verdict::Insufficient),
    ] {
        let text = format!("{authors:?} {postings:?}");
        assert_eq!(verdict(transaction(authors, &postings)), expect, "{text}");
    }
}

#[test]
fn two_assets_change_hands_in_one_transaction() {
    let mut before = state(&[("ada", 10)]);
    let usd = Name::Text("usd");
    before.set_balance(Name::Text("bob"), usd, 7);
    let usd = |posting: Posting<'static>| Posting { asset: usd, ..posting };
    let postings =
        [debit("ada", 10), credit("bob", 10), usd(debit("bob", 7)), usd(credit("ada", 7))];
    let swap = transaction(&[("ada", 1), ("bob", 1)], &postings);
    let after = evaluate(before, core::slice::from_ref(&swap));
    assert_eq!(after.verdicts, [Verdict::Applied]);
    let rows: Vec<_> = after.state.balances().collect();
    let expect =
        [(Name::Text("ada"), Name::Text("usd"), 7), (Name::Text("bob"), Name::Text("coin"), 10)];
    assert_eq!(rows, expect, "what reaches 0 leaves the state");
}

#[test]
fn a_transaction_applies_once() {
    let once = transaction(&[("ada", 1)], &[debit("ada", 1), credit("bob", 1)]);
    let after = evaluate(state(&[("ada", 10)]), &[once.clone(), once]);
    assert_eq!(after.verdicts, [Verdict::Applied, Verdict::Nonce]);
    assert_eq!(after.state.balance(Name::Text("bob"), COIN), 1);
    assert_eq!(after.state.nonce(Name::Text("ada")), 1);
}

#[test]
fn a_refused_transaction_uses_no_nonce() {
    let much = transaction(&[("ada", 1)], &[debit("ada", 11), credit("bob", 11)]);
    let less = transaction(&[("ada", 1)], &[debit("ada", 10), credit("bob", 10)]);
    let after = evaluate(state(&[("ada", 10)]), &[much, less]);
    assert_eq!(after.verdicts, [Verdict::Insufficient, Verdict::Applied]);
}
