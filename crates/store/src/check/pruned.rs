//! Looking for damage in what is said of dropped bodies.

use std::collections::BTreeMap;

use kapsule_abi::guard;

use super::{Checker, Place};
use crate::error::StoreError;

impl Checker<'_> {
    /// Checks that the capsules without body are those whose last entry about a file says so.
    pub(super) fn pruned(&mut self) -> Result<(), StoreError> {
        let files = std::mem::take(&mut self.told.files);
        let mut told: BTreeMap<_, _> = files.into_iter().filter(|(_, one)| one.pruned).collect();
        for row in self.store.view().pruned()? {
            let entry = told.remove(row.capsule.digest()).map(|one| one.entry);
            if guard!("store.check.pruned", entry != Some(row.entry)) {
                let (capsule, at) = (row.capsule, row.entry);
                let detail = format!("no entry {at} of the log drops the body of {capsule}");
                self.corrupt(Place::Capsule, detail);
            }
        }
        for (capsule, one) in told {
            let at = one.entry;
            let detail =
                format!("of the body of {capsule}, dropped by entry {at}, nothing is said");
            self.corrupt(Place::Capsule, detail);
        }
        Ok(())
    }
}
