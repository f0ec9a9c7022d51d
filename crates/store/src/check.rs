//! Looking for damage: everything that can be recomputed is recomputed.

mod pruned;
mod storage;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::capsule::Capsule;
use kapsule_format::hash::sha256;
use kapsule_format::log::{Chain, Entry, EntryKind, SignedCheckpoint, VerifierKey, blind};
use kapsule_format::{DecodeError, Digest};
use rusqlite::types::ValueRef;

use crate::error::StoreError;
use crate::log::{self, digest, from_sql};
use crate::open::Store;
use crate::schema;

/// Where damage is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The database file or its tables.
    Database,
    /// The log: an entry, a node, the head or a checkpoint.
    Log,
    /// A capsule, its file or its arrows.
    Capsule,
    /// A result, of one capsule or of many.
    Result,
    /// A proposal of an agent.
    Proposal,
    /// What a package keeps.
    Storage,
    /// A file in quarantine.
    Quarantine,
    /// A receipt.
    Receipt,
    /// A file beside the database.
    Blob,
}

/// One thing that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where.
    pub place: Place,
    /// Stable code.
    pub code: ErrorCode,
    /// What was found, with the name of the row, entry or file.
    pub detail: String,
}

/// What the log tells of, for the comparison with the tables.
#[derive(Default)]
struct Told {
    /// Capsule id to the index of the entry that accepted it.
    capsules: BTreeMap<Digest, u64>,
    /// Capsule id to the last entry that names its file, with that name.
    files: BTreeMap<Digest, Named>,
    /// Entries about runs and refusals, by index.
    entries: BTreeMap<u64, Entry>,
}

/// The file of a capsule, as an entry names it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Named {
    file: Digest,
    entry: u64,
    pruned: bool,
}

struct Checker<'a> {
    store: &'a Store,
    found: Vec<Damage>,
    told: Told,
}

impl Store {
    /// Recomputes the log alone: chain, tree, head, checkpoints, blinded values.
    ///
    /// `key` is that of the log, without which signatures of checkpoints are not checked.
    /// Takes about 10 microseconds for each entry.
    ///
    /// # Errors
    /// Those of the database; damage is in the list.
    pub fn check_log(&self, key: Option<&VerifierKey>) -> Result<Vec<Damage>, StoreError> {
        let mut checker = Checker::new(self);
        checker.log(key)?;
        Ok(checker.found)
    }

    /// Recomputes everything: tables, log, capsules, results, quarantine, large values.
    ///
    /// Decodes every capsule, about 30 microseconds each.
    ///
    /// # Errors
    /// Those of the database; damage is in the list.
    pub fn check(&self, key: Option<&VerifierKey>) -> Result<Vec<Damage>, StoreError> {
        let mut checker = Checker::new(self);
        checker.database()?;
        checker.log(key)?;
        checker.capsules()?;
        checker.pruned()?;
        checker.results()?;
        checker.views()?;
        checker.proposals()?;
        checker.storage()?;
        checker.quarantine()?;
        checker.receipts()?;
        checker.prepared()?;
        Ok(checker.found)
    }
}

impl<'a> Checker<'a> {
    fn new(store: &'a Store) -> Self {
        Self { store, found: Vec::new(), told: Told::default() }
    }

    fn say(&mut self, place: Place, code: ErrorCode, detail: impl Into<String>) {
        self.found.push(Damage { place, code, detail: detail.into() });
    }

    fn corrupt(&mut self, place: Place, detail: impl Into<String>) {
        self.say(place, ErrorCode::StoreCorrupt, detail);
    }

    fn database(&mut self) -> Result<(), StoreError> {
        for pragma in ["integrity_check", "foreign_key_check"] {
            let sql = format!("PRAGMA {pragma}");
            let mut statement = self.store.connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let text = match row.get_ref(0)? {
                    ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    other => format!("{other:?}"),
                };
                if text != "ok" {
                    self.corrupt(Place::Database, format!("{pragma}: {text}"));
                }
            }
        }
        let (found, expected) = (schema::texts(&self.store.connection)?, schema::expected()?);
        let names = |list: &[(String, String)], other: &[(String, String)]| -> Vec<String> {
            let own = list.iter().filter(|item| !other.contains(item));
            own.map(|(name, _)| name.clone()).collect()
        };
        let mut changed = names(&found, &expected);
        changed.extend(names(&expected, &found));
        changed.sort();
        changed.dedup();
        for name in changed {
            let detail = format!("{name} of the schema is not the one that was made");
            self.corrupt(Place::Database, detail);
        }
        Ok(())
    }

    fn log(&mut self, key: Option<&VerifierKey>) -> Result<(), StoreError> {
        let connection = &self.store.connection;
        let (origin, key_epoch) = log::origin(connection)?;
        let mut checkpoints: BTreeMap<u64, SignedCheckpoint> = BTreeMap::new();
        self.read_checkpoints(key, &mut checkpoints)?;
        let mut chain = Chain::new(origin);
        let mut nodes = BTreeMap::new();
        let mut statement =
            connection.prepare("SELECT idx, bytes, hash FROM entry ORDER BY idx")?;
        let mut rows = statement.query([])?;
        let mut broken = false;
        while let Some(row) = rows.next()? {
            let (index, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let pushed = chain.push_noting(&bytes, &mut |level, position, hash| {
                nodes.insert((level, position), *hash);
            });
            let entry = match pushed {
                Ok(entry) => entry,
                Err(error) => {
                    let detail = format!("entry {index}: {}", error.detail);
                    self.say(Place::Log, error.code, detail);
                    broken = true;
                    break;
                }
            };
            if guard!("store.check.entry_row", from_sql(index)? != entry.index) {
                let detail = format!("entry {} stands in row {index}", entry.index);
                self.say(Place::Log, ErrorCode::LogChainBroken, detail);
            }
            let stated: Vec<u8> = row.get(2)?;
            if guard!("store.check.entry_hash", stated != chain.head().as_ref()) {
                let detail = format!("entry {index} has another hash than its row says");
                self.say(Place::Log, ErrorCode::LogChainBroken, detail);
            }
            if let Some(note) = checkpoints.remove(&chain.size())
                && let Err(error) = chain.check_reaches(&note.checkpoint)
            {
                let detail = format!("checkpoint of {} entries: {}", chain.size(), error.detail);
                self.say(Place::Log, error.code, detail);
            }
            self.told.note(entry);
        }
        if broken {
            return Ok(());
        }
        self.end(&chain, key_epoch)?;
        for size in checkpoints.into_keys() {
            let detail = format!("the log has {} entries, a checkpoint saw {size}", chain.size());
            self.say(Place::Log, ErrorCode::LogTruncated, detail);
        }
        self.nodes(&nodes)?;
        self.personal()
    }

    fn read_checkpoints(
        &mut self,
        key: Option<&VerifierKey>,
        checkpoints: &mut BTreeMap<u64, SignedCheckpoint>,
    ) -> Result<(), StoreError> {
        let sql = "SELECT size, note FROM checkpoint ORDER BY size";
        let mut statement = self.store.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (size, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let read = SignedCheckpoint::decode(&bytes).and_then(|note| {
                let verified = key.map_or(Ok(()), |key| note.verify(key));
                let stated = from_sql(size).is_ok_and(|size| size == note.checkpoint.size);
                if guard!("store.check.checkpoint_row", !stated) {
                    let detail = "it states another size than its row";
                    return Err(DecodeError::new(ErrorCode::CheckpointInvalid, detail));
                }
                verified.map(|()| note)
            });
            match read {
                Ok(note) => drop(checkpoints.insert(note.checkpoint.size, note)),
                Err(error) => {
                    let detail = format!("checkpoint of {size} entries: {}", error.detail);
                    self.say(Place::Log, error.code, detail);
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, chain: &Chain, key_epoch: u64) -> Result<(), StoreError> {
        let head = log::head(&self.store.connection)?;
        let (size, stated) = (chain.size(), head.size);
        if guard!("store.check.head_size", size < stated) {
            let detail = format!("the log has {size} entries, its head says {stated}");
            self.say(Place::Log, ErrorCode::LogTruncated, detail);
        } else if guard!("store.check.head_surplus", size > stated) {
            let detail = format!("the log has {size} entries, its head says {stated}");
            self.say(Place::Log, ErrorCode::LogChainBroken, detail);
        }
        let differs = *chain.head() != head.hash || chain.root() != head.root;
        if guard!("store.check.head", size == stated && differs) {
            self.say(Place::Log, ErrorCode::LogChainBroken, "the head differs from the entries");
        }
        if guard!("store.check.key_epoch", chain.key_epoch() != key_epoch) {
            let detail =
                format!("the key epoch is {}, the store says {key_epoch}", chain.key_epoch());
            self.say(Place::Log, ErrorCode::EpochKeyOrder, detail);
        }
        Ok(())
    }

    fn nodes(&mut self, expected: &BTreeMap<(u32, u64), Digest>) -> Result<(), StoreError> {
        let sql = "SELECT level, pos, hash FROM node";
        let mut statement = self.store.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            let (level, position): (i64, i64) = (row.get(0)?, row.get(1)?);
            let place = u32::try_from(level).ok().zip(from_sql(position).ok());
            let wanted = place.and_then(|place| expected.get(&place));
            let hash: Vec<u8> = row.get(2)?;
            if guard!("store.check.node", wanted.is_none_or(|wanted| wanted.as_ref() != hash)) {
                let detail =
                    format!("node {position} of level {level} is not the one of the entries");
                self.say(Place::Log, ErrorCode::LogChainBroken, detail);
            }
            seen += usize::from(wanted.is_some());
        }
        if guard!("store.check.node_count", seen != expected.len()) {
            let detail = format!("{} nodes of the tree are gone", expected.len() - seen);
            self.say(Place::Log, ErrorCode::LogChainBroken, detail);
        }
        Ok(())
    }

    /// Checks that every kept personal value is the one that its entry hides.
    fn personal(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT idx, name, salt, value FROM personal";
        let mut statement = self.store.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (index, name): (i64, String) = (row.get(0)?, row.get(1)?);
            let (salt, value): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
            let entry = self.told.entries.get(&from_sql(index)?);
            let hidden = entry.and_then(|entry| {
                entry
                    .blinded
                    .iter()
                    .flatten()
                    .find(|(own, _)| *own == name)
                    .map(|(_, digest)| digest)
            });
            let salt: Option<[u8; 32]> = salt.try_into().ok();
            let opens = salt.is_some_and(|salt| hidden == Some(&blind(&salt, &name, &value)));
            if guard!("store.check.personal", !opens) {
                let detail =
                    format!("the kept value of {name:?} is not the one that entry {index} hides");
                self.say(Place::Log, ErrorCode::CommitmentMismatch, detail);
            }
        }
        Ok(())
    }

    fn capsules(&mut self) -> Result<(), StoreError> {
        let view = self.store.view();
        let mut left = std::mem::take(&mut self.told.capsules);
        for row in view.capsules(None)? {
            let told = left.remove(row.id.digest());
            if guard!("store.check.capsule_told", told != Some(row.entry)) {
                let detail =
                    format!("no entry {} of the log accepts capsule {}", row.entry, row.id);
                self.corrupt(Place::Capsule, detail);
            }
            let named = self.told.files.get(row.id.digest());
            if guard!("store.check.capsule_file", named.is_some_and(|one| one.file != row.sha256)) {
                let detail = format!("capsule {}: its file is not the one of the log", row.id);
                self.corrupt(Place::Capsule, detail);
            }
            let file = match view.file(&row.id) {
                Ok(file) => file,
                Err(error) => {
                    let place = if row.size > 1 << 18 { Place::Blob } else { Place::Capsule };
                    self.corrupt(place, format!("capsule {}: {error}", row.id));
                    continue;
                }
            };
            let same = Capsule::decode(&file).is_ok_and(|capsule| {
                let meta = capsule.meta();
                let channel = meta.channel.map_or(*row.id.digest(), |channel| *channel.digest());
                capsule.id() == row.id
                    && (channel, meta.author.id()) == (*row.channel.digest(), row.author)
                    && (meta.seq, &meta.kind, meta.time_ms) == (row.seq, &row.kind, row.time_ms)
                    && (meta.epoch, file.len() as u64) == (row.epoch, row.size)
                    && self.arrows(row.id.as_ref()).is_ok_and(|arrows| {
                        arrows.iter().map(Vec::as_slice).eq(meta.prev.iter().map(AsRef::as_ref))
                    })
            });
            if guard!("store.check.capsule_row", !same) {
                let detail = format!("capsule {}: its row does not say what its file says", row.id);
                self.corrupt(Place::Capsule, detail);
            }
        }
        for (id, entry) in left {
            let detail = format!("capsule {id} is gone, which entry {entry} of the log accepts");
            self.corrupt(Place::Capsule, detail);
        }
        let sql = "SELECT count(*) FROM parent WHERE child NOT IN (SELECT id FROM capsule)";
        let strays: i64 = self.store.connection.query_row(sql, [], |row| row.get(0))?;
        if guard!("store.check.arrows", strays != 0) {
            self.corrupt(Place::Capsule, format!("{strays} arrows of capsules that are not here"));
        }
        Ok(())
    }

    /// Returns the parents of a capsule in ascending order.
    fn arrows(&self, id: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let sql = "SELECT parent FROM parent WHERE child = ?1 ORDER BY parent";
        let mut statement = self.store.connection.prepare_cached(sql)?;
        let rows = statement.query_map([id], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn results(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT capsule, package, entry_point, outcome, fuel, output, sha256, entry,
                   submitted FROM result";
        let mut statement = self.store.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut seen = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (capsule, package) = (digest(row.get(0)?)?, digest(row.get(1)?)?);
            let (point, outcome): (String, String) = (row.get(2)?, row.get(3)?);
            let (fuel, output): (i64, Vec<u8>) = (row.get(4)?, row.get(5)?);
            let (stated, index): (Vec<u8>, u64) = (row.get(6)?, from_sql(row.get(7)?)?);
            let submitted: Option<Vec<u8>> = row.get(8)?;
            let (found, submitted) = (sha256(&output), submitted.map(|bytes| sha256(&bytes)));
            let same = self.told.entries.get(&index).is_some_and(|entry| {
                entry.kind == EntryKind::RunFinished
                    && entry.find_subject("capsule") == Some(&capsule)
                    && entry.find_subject("package") == Some(&package)
                    && entry.find_subject("output") == Some(&found)
                    && entry.find_subject("submitted") == submitted.as_ref()
                    && entry.find_datum("entry") == Some(point.as_str())
                    && entry.find_datum("outcome") == Some(outcome.as_str())
                    && entry.find_datum("fuel") == Some(fuel.to_string().as_str())
            });
            seen.insert(index);
            if guard!("store.check.result", !same || stated != found.as_ref()) {
                let detail = format!(
                    "result of {package} for capsule {capsule} is not that of entry {index}"
                );
                self.corrupt(Place::Result, detail);
            }
        }
        // The last run of a package over a capsule is the one whose result is kept.
        let mut last = BTreeMap::new();
        for (index, entry) in &self.told.entries {
            let of_one = entry.find_subject("capsule").is_some();
            if entry.kind == EntryKind::RunFinished && of_one {
                let subject = |name| entry.find_subject(name);
                let run = (subject("capsule"), subject("package"), entry.find_datum("entry"));
                last.insert(run, *index);
            }
        }
        let gone: Vec<u64> = last.into_values().filter(|index| !seen.contains(index)).collect();
        for index in gone {
            let detail = format!("the result that entry {index} of the log tells of is gone");
            self.corrupt(Place::Result, detail);
        }
        Ok(())
    }

    fn quarantine(&mut self) -> Result<(), StoreError> {
        let view = self.store.view();
        for row in view.quarantine()? {
            let same = self.told.entries.get(&row.entry).is_some_and(|entry| {
                entry.kind == EntryKind::CapsuleRefused
                    && entry.find_subject("file") == Some(&row.sha256)
                    && entry.error.as_ref() == Some(&row.code)
                    && entry.find_datum("detail") == Some(row.detail.as_str())
            });
            let kept = view.quarantined_file(&row.sha256);
            let size = kept.as_ref().map(|file| file.len() as u64);
            if guard!("store.check.quarantine", !same || !matches!(size, Ok(n) if n == row.size)) {
                let detail =
                    format!("file {} in quarantine is not that of entry {}", row.sha256, row.entry);
                self.corrupt(Place::Quarantine, detail);
            }
        }
        Ok(())
    }

    fn receipts(&mut self) -> Result<(), StoreError> {
        let rows = match self.store.view().receipts() {
            Ok(rows) => rows,
            Err(StoreError::Damaged(error)) => {
                self.corrupt(Place::Receipt, error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for row in rows {
            let told = self.told.entries.get(&row.entry).is_some_and(|entry| {
                entry.kind == EntryKind::ReceiptVerified
                    && entry.find_subject("receipt") == Some(row.id.digest())
            });
            if guard!("store.check.receipt", !told || !row.is_sound()) {
                let detail = format!("receipt {} is not that of entry {}", row.id, row.entry);
                self.corrupt(Place::Receipt, detail);
            }
        }
        Ok(())
    }

    /// Checks what no command writes yet, and what stands beside the database.
    fn prepared(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT count(*) FROM posting";
        let count: i64 = self.store.connection.query_row(sql, [], |row| row.get(0))?;
        if guard!("store.check.prepared", count != 0) {
            let detail = format!("{count} rows of posting, which this version does not write");
            self.corrupt(Place::Database, detail);
        }
        let Ok(files) = fs::read_dir(&self.store.blobs) else { return Ok(()) };
        for name in files.filter_map(|file| file.ok()?.file_name().into_string().ok()) {
            let named: Option<Digest> = name.parse().ok();
            let Some(named) = named else { continue };
            if let Err(error) = crate::blobs::get(&self.store.blobs, &named) {
                self.corrupt(Place::Blob, format!("{error}"));
            }
        }
        Ok(())
    }
}

impl Told {
    fn note(&mut self, entry: Entry) {
        if let (EntryKind::CapsuleAccepted, Some(id)) = (entry.kind, entry.find_subject("capsule"))
        {
            self.capsules.insert(*id, entry.index);
        }
        let names_file = matches!(
            entry.kind,
            EntryKind::CapsuleAccepted | EntryKind::CapsulePruned | EntryKind::CapsuleRestored
        );
        if let (true, Some(id), Some(file)) =
            (names_file, entry.find_subject("capsule"), entry.find_subject("file"))
        {
            let pruned = entry.kind == EntryKind::CapsulePruned;
            self.files.insert(*id, Named { file: *file, entry: entry.index, pruned });
        }
        let kept = matches!(
            entry.kind,
            EntryKind::RunFinished
                | EntryKind::CapsuleRefused
                | EntryKind::ProposalDecided
                | EntryKind::StorageChanged
                | EntryKind::ReceiptVerified
        );
        if kept || entry.blinded.is_some() {
            self.entries.insert(entry.index, entry);
        }
    }
}
