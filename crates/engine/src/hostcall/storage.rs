//! The storage hostcalls: a run changes a view, and nothing outside until it has completed.
//!
//! A replay has the view alone: it answers what the run itself set, and believes of the rest what
//! does not contradict an earlier answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use kapsule_abi::{Errno, Limit, guard};
use kapsule_format::limits::{STORAGE_KEY_BYTES_MAX, STORAGE_KEYS_MAX};
use kapsule_format::package::PackageId;
use kapsule_format::{Digest, storage, tree};

use super::handlers::{Failure, whole_or_needed};
use super::{Answers, Dispatcher, Reply, Request, STATUS_ENDED};
use crate::HostError;
use crate::host::{Effects, Proposal, StorageChanges, StorageSize};
use crate::replay::{Difference, Field};

/// Numbers of the storage hostcalls.
pub(crate) const STORAGE_CALLS: core::ops::RangeInclusive<u16> = 15..=18;

/// What a run has changed so far; it leaves the run as [`Effects`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Staged {
    /// Shared with copies until one of them changes.
    pub(super) storage: BTreeMap<PackageId, Arc<View>>,
    pub(super) files: BTreeMap<String, Vec<u8>>,
    /// Proposals that were taken: first those of other runs inside the outermost one, which count
    /// against the same budget, and then those of this run.
    pub(super) proposals: Vec<Proposal>,
    /// Number of the first ones.
    pub(super) proposals_of_others: usize,
}

impl Staged {
    /// Returns what is to be applied.
    pub(crate) fn into_effects(mut self) -> Effects {
        let changed = |(package, view): (PackageId, Arc<View>)| {
            let changes = Arc::unwrap_or_clone(view).changes;
            (!changes.is_empty()).then_some((package, changes))
        };
        Effects {
            storage: self.storage.into_iter().filter_map(changed).collect(),
            files: self.files,
            proposals: self.proposals.split_off(self.proposals_of_others),
        }
    }

    /// Keeps the proposals of this run and returns those of others.
    pub(super) fn take_proposals_of_others(&mut self) -> Vec<Proposal> {
        let own = self.proposals.split_off(self.proposals_of_others);
        self.proposals_of_others = 0;
        core::mem::replace(&mut self.proposals, own)
    }

    /// Counts proposals of a run inside this one, which it is inside of no longer.
    pub(super) fn add_proposals_of_others(&mut self, proposals: &[Proposal]) {
        let place = self.proposals_of_others;
        self.proposals.splice(place..place, proposals.iter().cloned());
        self.proposals_of_others += proposals.len();
    }

    /// Returns how many bytes more the storage of a package holds, or `None` in a replay that
    /// cannot know what was there before.
    pub(crate) fn storage_delta(&self, package: &PackageId) -> Option<i64> {
        let Some(view) = self.storage.get(package) else { return Some(0) };
        match &view.sizes {
            Some((before, now)) => Some(now.bytes.cast_signed() - before.bytes.cast_signed()),
            None if view.changes.is_empty() => Some(0),
            None => None,
        }
    }
}

/// What is known of a key as it was before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Absent,
    /// There, with a value of this length if that was told.
    Present(Option<u64>),
    Value(Vec<u8>),
}

impl Known {
    /// Returns both together, or `None` if they contradict each other.
    fn and(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Absent, Self::Absent) => Some(Self::Absent),
            (Self::Absent, _) | (_, Self::Absent) => None,
            (Self::Value(left), Self::Value(right)) => (left == right).then_some(Self::Value(left)),
            (Self::Value(value), Self::Present(length))
            | (Self::Present(length), Self::Value(value)) => {
                let agree = length.is_none_or(|length| length == value.len() as u64);
                agree.then_some(Self::Value(value))
            }
            (Self::Present(Some(left)), Self::Present(Some(right))) if left != right => None,
            (Self::Present(left), Self::Present(right)) => Some(Self::Present(left.or(right))),
        }
    }
}

/// The storage of one package as a run sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    changes: StorageChanges,
    /// What a replay was told of keys before the run; a first run asks its host again.
    known: BTreeMap<Vec<u8>, Known>,
    /// Keys that are there: in a first run all of them once `listed`, in a replay those known.
    present: BTreeSet<Vec<u8>>,
    listed: bool,
    /// Size before the run and with its changes, once a first run asked for it.
    sizes: Option<(StorageSize, StorageSize)>,
    /// Size of what the run itself set.
    own: StorageSize,
}

impl View {
    /// Puts or removes a key, whose size before was `old`.
    fn change(&mut self, key: &[u8], value: Option<&[u8]>, old: Option<StorageSize>) {
        if let Some((_, now)) = &mut self.sizes {
            *now = replaced(*now, old, value.map(|value| size_of(key, value.len() as u64)));
        }
        let own = self.changes.get(key).and_then(Option::as_ref);
        let own = own.map(|value| size_of(key, value.len() as u64));
        self.own = replaced(self.own, own, value.map(|value| size_of(key, value.len() as u64)));
        match value {
            Some(_) => drop(self.present.insert(key.to_vec())),
            None => drop(self.present.remove(key)),
        }
        self.changes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
    }

    /// Notes what a recorded answer tells of a key before the run; `false` if that cannot be.
    fn learn(&mut self, key: &[u8], found: Known) -> bool {
        let found = match self.known.remove(key) {
            Some(before) => before.and(found),
            None => Some(found),
        };
        let Some(found) = found else { return false };
        if found != Known::Absent && !self.changes.contains_key(key) {
            self.present.insert(key.to_vec());
        }
        self.known.insert(key.to_vec(), found);
        true
    }

    /// Returns the least key that is known to be there and greater than `key`.
    fn next(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let after = (Bound::Excluded(key), Bound::Unbounded);
        self.present.range::<[u8], _>(after).next()
    }

    /// Tells whether a recorded answer of `kv_next` is possible, and notes what it tells.
    fn learn_next(&mut self, key: &[u8], next: Option<&[u8]>) -> bool {
        let least = self.next(key);
        let Some(next) = next else { return least.is_none() };
        let between = least.is_some_and(|least| least.as_slice() < next);
        if next <= key || next.len() > STORAGE_KEY_BYTES_MAX || between {
            return false;
        }
        match self.changes.get(next) {
            Some(changed) => changed.is_some(),
            None => self.learn(next, Known::Present(None)),
        }
    }
}

const fn size_of(key: &[u8], value_bytes: u64) -> StorageSize {
    StorageSize { keys: 1, bytes: (key.len() as u64).saturating_add(value_bytes) }
}

fn replaced(size: StorageSize, old: Option<StorageSize>, new: Option<StorageSize>) -> StorageSize {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    StorageSize {
        keys: size.keys.saturating_sub(old.keys).saturating_add(new.keys),
        bytes: size.bytes.saturating_sub(old.bytes).saturating_add(new.bytes),
    }
}

impl Dispatcher<'_> {
    /// Returns the view to be changed.
    fn view(&mut self) -> &mut View {
        Arc::make_mut(self.staged.storage.entry(self.setting.package).or_default())
    }

    /// Returns what the run changed of a key.
    fn changed(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.staged.storage.get(&self.setting.package)?.changes.get(key)
    }

    pub(super) fn kv_get(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let key = request.input(0);
        if guard!("engine.storage.get_key", !is_key(key)) {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        let capacity = request.capacity();
        let answer = |value: Option<Vec<u8>>| match value {
            Some(value) => whole_or_needed(value, capacity),
            None => Reply::Refused(Errno::NotFound),
        };
        if let Some(changed) = self.changed(key) {
            return Ok(answer(changed.clone()));
        }
        let package = self.setting.package;
        let reply = self.ask(request, |host| Ok(answer(host.storage_get(&package, key)?)))?;
        self.learn(
            request,
            key,
            match &reply {
                Reply::Answered(length, written) if *length == length_of(written) => {
                    Known::Value(written.clone())
                }
                Reply::Answered(length, _) => Known::Present(Some(length.cast_unsigned())),
                _ => Known::Absent,
            },
        )?;
        Ok(reply)
    }

    pub(super) fn kv_set(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let (key, value) = (request.input(0), request.input(1));
        if guard!("engine.storage.set_key", !is_key(key)) {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        let old = self.old_size(key)?;
        let new = Some(size_of(key, value.len() as u64));
        let sizes = self.view().sizes;
        let next = match sizes {
            Some((_, now)) => replaced(now, old, new),
            // A replay believes a full storage, and knows that it holds what the run set.
            None if self.is_recorded_full() => return Ok(Reply::Limit(Limit::Storage)),
            None => {
                let view = self.view();
                let own = view.changes.get(key).and_then(Option::as_ref);
                let own = own.map(|value| size_of(key, value.len() as u64));
                replaced(view.own, own, new)
            }
        };
        if guard!("engine.storage.keys", next.keys > STORAGE_KEYS_MAX) {
            return Ok(Reply::Limit(Limit::Storage));
        }
        if guard!("engine.storage.bytes", next.bytes > self.setting.policy.limits.storage_bytes) {
            return Ok(Reply::Limit(Limit::Storage));
        }
        self.view().change(key, Some(value), old);
        Ok(Reply::Answered(0, Vec::new()))
    }

    pub(super) fn kv_delete(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let key = request.input(0);
        if guard!("engine.storage.delete_key", !is_key(key)) {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        let done = Reply::Answered(0, Vec::new());
        if let Some(changed) = self.changed(key) {
            if changed.is_none() {
                return Ok(Reply::Refused(Errno::NotFound));
            }
            let old = self.old_size(key)?;
            self.view().change(key, None, old);
            return Ok(done);
        }
        let old = self.old_size(key)?;
        let reply = self.ask(request, |_| {
            Ok(if old.is_some() { done } else { Reply::Refused(Errno::NotFound) })
        })?;
        let found = matches!(reply, Reply::Answered(..));
        self.learn(request, key, if found { Known::Present(None) } else { Known::Absent })?;
        if found {
            self.view().change(key, None, old);
        }
        Ok(reply)
    }

    pub(super) fn kv_next(&mut self, request: &Request<'_>) -> Result<Reply, Failure> {
        let key = request.input(0);
        if guard!("engine.storage.next_key", key.len() > STORAGE_KEY_BYTES_MAX) {
            return Ok(Reply::Refused(Errno::InvalidArgument));
        }
        self.list()?;
        let capacity = request.capacity();
        let view = self.staged.storage.get(&self.setting.package);
        let next = view.and_then(|view| view.next(key)).cloned();
        let reply = self.ask(request, |_| {
            Ok(match next {
                Some(next) => whole_or_needed(next, capacity),
                None => Reply::Refused(Errno::NotFound),
            })
        })?;
        if !matches!(self.answers, Answers::Recorded(_)) {
            return Ok(reply);
        }
        let possible = match &reply {
            Reply::Answered(length, written) if *length == length_of(written) => {
                self.view().learn_next(key, Some(written))
            }
            Reply::Answered(length, _) => {
                (1..=STORAGE_KEY_BYTES_MAX as u64).contains(&length.cast_unsigned())
            }
            _ => self.view().learn_next(key, None),
        };
        if guard!("engine.replay.storage_next", !possible) {
            return Err(self.contradiction(request));
        }
        Ok(reply)
    }

    /// Returns the size of a key with its changes, and lets a first run know that of the storage.
    fn old_size(&mut self, key: &[u8]) -> Result<Option<StorageSize>, HostError> {
        let package = self.setting.package;
        let view = self.staged.storage.entry(package).or_default();
        let changed = view.changes.get(key).map(|changed| changed.as_ref().map(Vec::len));
        let Answers::Live(host) = &mut self.answers else {
            return Ok(changed.flatten().map(|length| size_of(key, length as u64)));
        };
        if view.sizes.is_none() {
            let size = host.storage_size(&package)?;
            Arc::make_mut(view).sizes = Some((size, size));
        }
        let length = match changed {
            Some(changed) => changed,
            None => host.storage_get(&package, key)?.map(|value| value.len()),
        };
        Ok(length.map(|length| size_of(key, length as u64)))
    }

    /// Lists the keys of a first run once.
    fn list(&mut self) -> Result<(), HostError> {
        let package = self.setting.package;
        let view = self.staged.storage.entry(package).or_default();
        let Answers::Live(host) = &mut self.answers else { return Ok(()) };
        if view.listed {
            return Ok(());
        }
        let view = Arc::make_mut(view);
        let mut key = Vec::new();
        while let Some(next) = host.storage_next(&package, &key)? {
            if next <= key {
                return Err(failed("the host's keys do not ascend"));
            }
            if view.changes.get(&next).is_none_or(Option::is_some) {
                view.present.insert(next.clone());
            }
            key = next;
        }
        view.listed = true;
        Ok(())
    }

    /// Notes what a recorded answer tells of a key.
    fn learn(&mut self, request: &Request<'_>, key: &[u8], found: Known) -> Result<(), Failure> {
        if !matches!(self.answers, Answers::Recorded(_)) {
            return Ok(());
        }
        let possible = self.view().learn(key, found);
        if guard!("engine.replay.storage_value", !possible) {
            return Err(self.contradiction(request));
        }
        Ok(())
    }

    fn contradiction(&self, request: &Request<'_>) -> Failure {
        let seq = self.record.entries.len() as u64;
        let recorded = alloc::format!("an answer of {}", request.hostcall.name);
        let found = "what contradicts an earlier answer".to_string();
        Failure::Diverged(Difference::at(seq, Field::Response, recorded, found))
    }

    /// Tells whether a replay is to believe that the storage is full here.
    fn is_recorded_full(&self) -> bool {
        let Answers::Recorded(entries) = self.answers else { return false };
        let entry = entries.get(self.record.entries.len());
        entry.is_some_and(|entry| entry.status == STATUS_ENDED + Limit::Storage as u64)
    }

    /// Returns the storage root with the run's changes, or `None` if the storage is empty.
    ///
    /// Reads and hashes the whole storage of a first run, about 1 ms per MiB.
    pub(crate) fn storage_root(&mut self) -> Result<Option<Digest>, HostError> {
        self.list()?;
        let package = self.setting.package;
        let view = self.staged.storage.entry(package).or_default();
        let Answers::Live(host) = &mut self.answers else { return Ok(self.setting.storage_root) };
        let mut root = tree::Builder::new();
        for key in &view.present {
            let value = match view.changes.get(key) {
                Some(changed) => changed.clone(),
                None => host.storage_get(&package, key)?,
            };
            let value = value.ok_or_else(|| failed("the host lists a key without a value"))?;
            root.push(&storage::pair(key, &value));
        }
        Ok((root.count() > 0).then(|| root.root()))
    }

    /// Returns the storage root before the run, which a replay is told; called before any hostcall.
    pub(crate) fn storage_root_before(
        &mut self,
        told: Option<Digest>,
    ) -> Result<Option<Digest>, HostError> {
        match self.answers {
            Answers::Live(_) => self.storage_root(),
            Answers::Recorded(_) => Ok(told),
        }
    }

    /// Tells whether a replay knows of a key that is there at its end.
    pub(crate) fn holds_keys(&self) -> bool {
        let view = self.staged.storage.get(&self.setting.package);
        view.is_some_and(|view| !view.present.is_empty())
    }
}

fn is_key(key: &[u8]) -> bool {
    (1..=STORAGE_KEY_BYTES_MAX).contains(&key.len())
}

fn length_of(written: &[u8]) -> i64 {
    i64::try_from(written.len()).unwrap_or(i64::MAX)
}

fn failed(detail: &str) -> HostError {
    HostError::Hostcall { hostcall: "kv_next", detail: detail.into() }
}
