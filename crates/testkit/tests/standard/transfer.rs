//! `transfer`: the slice of the long run.

use kapsule_testkit::ledger::{BATCH, soak};

/// Transactions; the long run makes a million.
const TRANSACTIONS: u64 = 20 * BATCH;

#[test]
fn random_transactions_agree_with_the_model() {
    let counts = soak(1, TRANSACTIONS, &|_| ()).unwrap();
    assert_eq!(counts.verdicts.iter().sum::<u64>(), TRANSACTIONS);
    assert!(counts.verdicts.iter().all(|count| *count > 0), "a rule was never tried: {counts:?}");
    assert!(counts.verdicts[0] > TRANSACTIONS / 4, "too few are right: {counts:?}");
    assert_eq!((counts.batches, counts.batches_on_both), (20, 2));
}
