//! Balances and nonces.

use alloc::collections::BTreeMap;

use kapsule_modules_common::Name;

/// Greatest balance and amount, the last integer of KCBOR.
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// What every account holds, and how many transactions it has authored.
///
/// Neither map has a value of 0: an account that has nothing and did nothing is not in the state,
/// so one state has one encoding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State<'a> {
    nonces: BTreeMap<Name<'a>, u64>,
    balances: BTreeMap<(Name<'a>, Name<'a>), u64>,
}

impl<'a> State<'a> {
    /// Returns the nonce of an account's last transaction, 0 before the first.
    #[must_use]
    pub fn nonce(&self, account: Name<'a>) -> u64 {
        self.nonces.get(&account).copied().unwrap_or(0)
    }

    /// Returns what an account holds of an asset.
    #[must_use]
    pub fn balance(&self, account: Name<'a>, asset: Name<'a>) -> u64 {
        self.balances.get(&(account, asset)).copied().unwrap_or(0)
    }

    /// Sets the nonce of an account.
    pub fn set_nonce(&mut self, account: Name<'a>, nonce: u64) {
        set(&mut self.nonces, account, nonce);
    }

    /// Sets what an account holds of an asset.
    pub fn set_balance(&mut self, account: Name<'a>, asset: Name<'a>, balance: u64) {
        set(&mut self.balances, (account, asset), balance);
    }

    /// Returns the nonces other than 0, by account.
    pub fn nonces(&self) -> impl Iterator<Item = (Name<'a>, u64)> {
        self.nonces.iter().map(|(account, nonce)| (*account, *nonce))
    }

    /// Returns the balances other than 0 as (account, asset, balance), ascending.
    pub fn balances(&self) -> impl Iterator<Item = (Name<'a>, Name<'a>, u64)> {
        self.balances.iter().map(|((account, asset), balance)| (*account, *asset, *balance))
    }

    /// Returns how much there is of each asset, over all accounts.
    #[must_use]
    pub fn totals(&self) -> BTreeMap<Name<'a>, u128> {
        let mut totals = BTreeMap::new();
        for (_, asset, balance) in self.balances() {
            *totals.entry(asset).or_default() += u128::from(balance);
        }
        totals
    }
}

fn set<K: Ord>(map: &mut BTreeMap<K, u64>, key: K, value: u64) {
    if value == 0 {
        map.remove(&key);
    } else {
        map.insert(key, value);
    }
}
