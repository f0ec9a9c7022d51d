//! What packages made of many capsules, and what agents proposed, against the log.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_abi::guard;
use kapsule_format::Digest;
use kapsule_format::hash::sha256;
use kapsule_format::log::EntryKind;

use super::{Checker, Place};
use crate::error::StoreError;
use crate::views::proposals_digest;

impl Checker<'_> {
    /// Checks that every view is the one that its entry tells of, and that the last one of each
    /// name and scope is there.
    pub(super) fn views(&mut self) -> Result<(), StoreError> {
        let mut seen = BTreeSet::new();
        for (row, index) in self.store.view().all_computed()? {
            let output = self.store.view().output(&row);
            let same = self.told.entries.get(&index).is_some_and(|entry| {
                entry.kind == EntryKind::RunFinished
                    && entry.find_subject("scope") == Some(&row.scope)
                    && entry.find_subject("basis") == Some(&row.basis)
                    && entry.find_subject("package") == Some(row.package.digest())
                    && entry.find_subject("input") == Some(&row.input)
                    && entry.find_subject("output") == Some(&row.output)
                    && entry.find_datum("view") == Some(row.name.as_str())
                    && entry.find_datum("entry") == Some(row.entry_point.as_str())
                    && entry.find_datum("outcome") == Some(row.outcome.as_str())
                    && entry.find_datum("fuel") == Some(row.fuel.to_string().as_str())
                    && entry.find_datum("last") == Some(row.last.to_string().as_str())
                    && entry.find_datum("now") == Some(row.now_ms.to_string().as_str())
                    && entry.find_datum("until") == Some(row.until_ms.to_string().as_str())
            });
            seen.insert(index);
            if guard!("store.check.view", !same || output.is_err()) {
                let detail = format!("the view {} is not that of entry {index}", row.name);
                self.corrupt(Place::Result, detail);
            }
        }
        let mut last = BTreeMap::new();
        for (index, entry) in &self.told.entries {
            if let (Some(name), Some(scope)) =
                (entry.find_datum("view"), entry.find_subject("scope"))
            {
                last.insert((name, *scope), *index);
            }
        }
        let gone: Vec<u64> = last.into_values().filter(|index| !seen.contains(index)).collect();
        for index in gone {
            let detail = format!("the view that entry {index} of the log tells of is gone");
            self.corrupt(Place::Result, detail);
        }
        Ok(())
    }

    /// Checks that the proposals of every run are those that its entry tells of, and that every
    /// decision is one of the log.
    pub(super) fn proposals(&mut self) -> Result<(), StoreError> {
        let mut by_run: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        let mut decided = 0_usize;
        for row in self.store.view().proposals(false)? {
            let found = row.entry.and_then(|index| self.told.entries.get(&index));
            let told = found.is_some_and(|entry| {
                entry.kind == EntryKind::ProposalDecided
                    && entry.find_subject("proposal") == Some(&sha256(&row.body))
                    && entry.find_datum("number") == Some(row.number.to_string().as_str())
                    && entry.find_datum("decision") == row.decision.as_deref()
            });
            if guard!("store.check.decision", row.decision.is_some() && !told) {
                let detail =
                    format!("the log tells of no such decision on proposal {}", row.number);
                self.corrupt(Place::Proposal, detail);
            }
            decided += usize::from(row.decision.is_some());
            by_run.entry(row.run).or_default().push(row.body);
        }
        let decisions = self.told.entries.values();
        let decisions = decisions.filter(|entry| entry.kind == EntryKind::ProposalDecided).count();
        if guard!("store.check.decision_count", decisions != decided) {
            let detail = format!("the log tells of {decisions} decisions, {decided} are kept");
            self.corrupt(Place::Proposal, detail);
        }
        let stated: BTreeMap<u64, Digest> = self
            .told
            .entries
            .iter()
            .filter_map(|(index, entry)| Some((*index, *entry.find_subject("proposals")?)))
            .collect();
        let kept: BTreeMap<u64, Digest> =
            by_run.into_iter().map(|(run, bodies)| (run, proposals_digest(bodies))).collect();
        if guard!("store.check.proposals", stated != kept) {
            let runs = stated.iter().filter(|(run, digest)| kept.get(run) != Some(digest));
            let strays = kept.keys().filter(|run| !stated.contains_key(run));
            let runs: Vec<String> =
                runs.map(|(run, _)| run).chain(strays).map(u64::to_string).collect();
            let detail = format!("the proposals of the runs {} are others", runs.join(", "));
            self.corrupt(Place::Proposal, detail);
        }
        Ok(())
    }
}
