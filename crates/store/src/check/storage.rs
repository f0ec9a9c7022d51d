//! Looking for damage in what packages keep.

use std::collections::BTreeMap;

use kapsule_abi::guard;
use kapsule_format::log::EntryKind;
use kapsule_format::storage;

use super::{Checker, Place};
use crate::error::StoreError;

impl Checker<'_> {
    /// Compares what each package keeps with the last entry of the log about it.
    pub(super) fn storage(&mut self) -> Result<(), StoreError> {
        let mut last = BTreeMap::new();
        for (index, entry) in &self.told.entries {
            if let (EntryKind::StorageChanged, Some(package)) =
                (entry.kind, entry.find_subject("package"))
            {
                last.insert(*package, (entry.find_subject("storage").copied(), *index));
            }
        }
        let view = self.store.view();
        for row in view.storages()? {
            let package = row.package;
            let pairs = view.storage(&package)?;
            let bytes: usize = pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
            let told = last.remove(package.digest());
            let same = (pairs.len() as u64, bytes as u64) == (row.keys, row.bytes)
                && row.told == Some((storage::root(&pairs), row.told.map_or(0, |(_, at)| at)))
                && told == row.told.map(|(root, at)| (Some(root), at));
            if guard!("store.check.storage", !same) {
                let at = told.map_or_else(String::new, |(_, at)| format!(" of entry {at}"));
                self.corrupt(Place::Storage, format!("the storage of {package} is not that{at}"));
            }
        }
        for (package, (_, at)) in last {
            let detail = format!("the storage of {package}, of which entry {at} tells, is gone");
            self.corrupt(Place::Storage, detail);
        }
        let sql = "SELECT count(*) FROM storage WHERE package NOT IN
                   (SELECT package FROM storage_head)";
        let strays: i64 = self.store.connection.query_row(sql, [], |row| row.get(0))?;
        if guard!("store.check.storage_strays", strays != 0) {
            let detail = format!("{strays} keys of packages that never kept anything");
            self.corrupt(Place::Storage, detail);
        }
        Ok(())
    }
}
