//! From capsule files to rows of the store: one pipeline, whatever the number of files.
//!
//! A file is read, taken apart and hashed once; signatures, payloads and logic are looked at on
//! all cores, while one thread judges in order and writes.
//! What a key shows never decides whether a capsule is accepted, so that everybody who holds the
//! same files accepts the same graph; `opened` and `logic` are said of it beside.

mod judging;
mod keys;
mod logic;
mod processing;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, CapsuleId, kind};
use kapsule_format::encrypt::Identities;
use kapsule_format::envelope::Signatures;
use kapsule_format::hash::sha256;
use kapsule_format::{DecodeError, Digest};
use kapsule_store::{CapsuleFile, CapsuleRow, Statement, Store, StoreError, Trusted, View, Write};

use judging::{Verdict, accept, judge, quarantine};
pub(crate) use keys::Keys;
pub(crate) use logic::{Logics, Wanted};
use processing::{Around, Kept, Processed, keep, process};

use crate::batch;
use crate::error::Failure;
use crate::gather::Item;
use crate::interrupt;

/// Capsules that are written together.
///
/// Chosen: a commit waits for the disk about once per thousand capsules, and Ctrl-C not long.
const GROUP: usize = 1_024;

/// Fuel of the runs inside one change, which ends with the run that reaches it.
///
/// Chosen: some seconds, less than another writer waits; a number of fuel and no time, so that the
/// same capsules make the same groups everywhere.
const GROUP_FUEL: u64 = 1 << 31;

/// A capsule file as it came.
pub(crate) struct File {
    /// Name for the report.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A file with what its form shows.
pub(crate) struct Looked<'a> {
    file: &'a File,
    found: Result<CapsuleFile<'a>, DecodeError>,
    sha256: Digest,
    /// What an earlier call decided, where that stays.
    decided: Option<Fate>,
}

impl<'a> Looked<'a> {
    /// Returns the capsule, if it is one.
    pub(crate) fn capsule(&self) -> Option<&Capsule<'a>> {
        Some(self.found.as_ref().ok()?.capsule())
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the graph.
    Accepted {
        /// Whether it was there before, without its body.
        restored: bool,
        /// Whether another capsule takes its place too.
        fork: bool,
        /// Why the payload was not read, if it was not.
        unread: Option<ErrorCode>,
        /// How its logic ended, or why it did not run.
        logic: Option<Result<String, String>>,
    },
    /// It was there already.
    Held,
    /// It contradicts something; the file is in quarantine.
    Refused(ErrorCode, String),
    /// Something is missing before it can be judged; the file is in quarantine until then.
    Waiting(ErrorCode, String),
}

/// What became of one file, with its names.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Name of the file.
    pub(crate) name: String,
    /// SHA-256 of the file.
    pub(crate) sha256: Digest,
    /// Capsule, if it is one.
    pub(crate) id: Option<CapsuleId>,
    /// What became of it.
    pub(crate) fate: Fate,
}

/// The pipeline with everything that it needs.
pub(crate) struct Ingest<'a> {
    /// Where capsules go.
    pub(crate) store: &'a mut Store,
    /// Keys of channels and of people.
    pub(crate) keys: Keys<'a>,
    /// What processes them.
    pub(crate) logics: &'a Logics<'a>,
    /// What they are told of trust.
    pub(crate) trusted: Trusted,
    /// Time of this call.
    pub(crate) now_ms: u64,
}

/// A capsule that may be accepted.
struct Candidate<'a> {
    name: &'a str,
    file: CapsuleFile<'a>,
    /// What an earlier round found.
    examined: Option<Examined>,
}

impl Candidate<'_> {
    fn told(&self, fate: Fate) -> Told {
        let (sha256, id) = (*self.file.sha256(), Some(self.file.capsule().id()));
        Told { name: self.name.to_owned(), sha256, id, fate }
    }
}

/// What one capsule shows without its neighbours.
#[derive(Clone)]
struct Examined {
    signatures: Result<Signatures, DecodeError>,
    /// What came of its payload, if that was looked at.
    processed: Option<Box<Processed>>,
}

impl Examined {
    /// Looks at signatures alone.
    fn signatures(candidate: &Candidate<'_>) -> Self {
        let earlier = candidate.examined.clone();
        earlier.unwrap_or_else(|| {
            let signatures = candidate.file.capsule().check_own([]);
            Self { signatures, processed: None }
        })
    }

    /// Looks at signatures, and opens and processes what they vouch for.
    fn whole(candidate: &Candidate<'_>, keys: &Keys<'_>, logics: &Logics<'_>) -> Self {
        let mut examined = Self::signatures(candidate);
        // A key that was not held in an earlier round may be held in this one.
        let opened = examined.processed.as_ref().is_some_and(|done| done.unread.is_none());
        if examined.signatures.is_ok() && !opened {
            let processed = process(keys, logics, candidate.file.capsule());
            examined.processed = Some(Box::new(processed));
        }
        examined
    }
}

/// How a capsule came in.
#[derive(Clone, Copy)]
struct Entrance {
    fork: bool,
    /// Its header was there before.
    restored: bool,
}

/// What is decided of a candidate inside a change.
enum Settled {
    Done(Fate),
    /// Accepted, with what its key showed; `fuel` is that of a run in this change.
    Finished {
        fate: Fate,
        fuel: u64,
    },
    Waits(DecodeError, Box<Examined>),
}

/// What the judgement alone decides.
enum Judged {
    Settled(Settled),
    /// Accepted, and nothing else yet.
    Accepted(Entrance, Option<Box<Processed>>),
}

/// A file that is no capsule, with the reason.
type Refused<'f> = (&'f File, DecodeError);

/// Candidates that wait, each with the reason.
type Waiting<'f> = Vec<(Candidate<'f>, DecodeError)>;

/// Why a change is given up.
enum Stop {
    /// Nothing was decided, and a change without an entry of the log is refused.
    Nothing,
    Failed(Failure),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Returns how many threads work.
pub(crate) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Takes files apart on all cores while one thread looks up what is known of them; no signature is
/// looked at.
pub(crate) fn look<'f>(store: &Store, files: &'f [File]) -> Result<Vec<Looked<'f>>, Failure> {
    let mut looked = Vec::with_capacity(files.len());
    let work = |index: usize| {
        let bytes = &files[index].bytes;
        let found = CapsuleFile::decode(bytes);
        let sha256 = found.as_ref().map_or_else(|_| sha256(bytes), |found| *found.sha256());
        (found, sha256)
    };
    store.look(|view| {
        batch::in_order(files.len(), jobs(), work, |index, (found, sha256)| {
            let decided = decided(view, found.as_ref().ok(), &sha256)?;
            looked.push(Looked { file: &files[index], found, sha256, decided });
            Ok::<(), Failure>(())
        })
    })?;
    if looked.len() < files.len() {
        return Err(interrupt::failure());
    }
    Ok(looked)
}

/// Returns what an earlier call decided of a file, unless that may change.
fn decided(
    view: View<'_>,
    found: Option<&CapsuleFile<'_>>,
    sha256: &Digest,
) -> Result<Option<Fate>, StoreError> {
    if let Some(found) = found
        && view.held(&found.capsule().id())?.is_some()
        && !view.lacks_body(found)?
    {
        return Ok(Some(Fate::Held));
    }
    Ok(view.quarantined(sha256)?.filter(|code| !may_change(code)).map(|code| {
        let known = ErrorCode::ALL.iter().find(|own| own.to_string() == code);
        let code = known.copied().unwrap_or(ErrorCode::SchemaViolation);
        Fate::Refused(code, "refused before; the file is in quarantine".to_owned())
    }))
}

impl Ingest<'_> {
    /// Takes the files in, and tells what became of each in the order in which that is known.
    pub(crate) fn take(
        &mut self,
        looked: Vec<Looked<'_>>,
        mut tell: impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let (candidates, refused) = leave_out_known(looked, &mut tell)?;
        self.refuse(refused, &mut tell)?;
        let keyring = |one: &Candidate<'_>| one.file.capsule().meta().keyring.is_some();
        let (mut keyrings, mut others): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(keyring);
        loop {
            let before = keyrings.len() + others.len();
            // Keyrings decide about the others, and hold the keys that open them.
            let mut waiting = self.keyrings(in_time(keyrings), &mut tell)?;
            waiting.extend(self.others(in_time(others), &mut tell)?);
            if waiting.is_empty() || waiting.len() == before {
                return self.keep_waiting(waiting, &mut tell);
            }
            let waiting = waiting.into_iter().map(|(candidate, _)| candidate);
            (keyrings, others) = waiting.partition(keyring);
        }
    }

    fn refuse(
        &mut self,
        refused: Vec<Refused<'_>>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for group in refused.chunks(GROUP) {
            self.store.write::<(), Failure>(|write| {
                for (file, error) in group {
                    quarantine(write, &file.bytes, None, error, self.now_ms)?;
                }
                Ok(())
            })?;
        }
        for (file, error) in refused {
            let fate = Fate::Refused(error.code, error.to_string());
            tell(Told { sha256: sha256(&file.bytes), name: file.name.clone(), id: None, fate })?;
        }
        Ok(())
    }

    /// Takes keyrings in; each is learned before the next is judged.
    fn keyrings<'f>(
        &mut self,
        candidates: Vec<Candidate<'f>>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<Waiting<'f>, Failure> {
        let Self { store, keys, logics, trusted, now_ms } = self;
        let settle = |write: &mut Write<'_>, one: &Candidate<'_>, examined: Examined| {
            let entrance = match settle(write, keys, one, examined, *now_ms)? {
                Judged::Settled(settled) => return Ok(settled),
                Judged::Accepted(entrance, _) => entrance,
            };
            let capsule = one.file.capsule();
            keys.learn(capsule);
            let processed = process(keys, logics, capsule);
            let around = Around { logics, trusted, entrance, now_ms: *now_ms };
            let kept = keep(write, around, capsule, &processed)?;
            Ok(finished(entrance, &processed, kept))
        };
        round(store, candidates, Examined::signatures, settle, tell, *now_ms)
    }

    /// Takes everything else in; what is opened and run is so before it is judged, since nothing
    /// that this shows is part of the judgement.
    fn others<'f>(
        &mut self,
        candidates: Vec<Candidate<'f>>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<Waiting<'f>, Failure> {
        let Self { store, keys, logics, trusted, now_ms } = self;
        let (keys, logics): (&Keys<'_>, &Logics<'_>) = (keys, logics);
        let examine = |one: &Candidate<'_>| Examined::whole(one, keys, logics);
        let settle = |write: &mut Write<'_>, one: &Candidate<'_>, examined: Examined| {
            let (entrance, processed) = match settle(write, keys, one, examined, *now_ms)? {
                Judged::Settled(settled) => return Ok(settled),
                Judged::Accepted(entrance, processed) => (entrance, processed),
            };
            let capsule = one.file.capsule();
            let processed = processed.unwrap_or_else(|| Box::new(process(keys, logics, capsule)));
            let around = Around { logics, trusted, entrance, now_ms: *now_ms };
            let kept = keep(write, around, capsule, &processed)?;
            Ok(finished(entrance, &processed, kept))
        };
        round(store, candidates, examine, settle, tell, *now_ms)
    }

    /// Keeps what still waits in quarantine, where the next call looks at it again.
    fn keep_waiting(
        &mut self,
        waiting: Waiting<'_>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let view = self.store.view();
        let mut new = Vec::new();
        for (one, error) in &waiting {
            let before = view.quarantined(one.file.sha256())?;
            if before != Some(error.code.to_string()) {
                new.push((&one.file, error));
            }
        }
        for group in new.chunks(GROUP) {
            self.store.write::<(), Failure>(|write| {
                for (file, error) in group {
                    let id = Some(file.capsule().id());
                    quarantine(write, file.bytes(), id, error, self.now_ms)?;
                }
                Ok(())
            })?;
        }
        waiting.into_iter().try_for_each(|(one, error)| {
            let fate = Fate::Waiting(error.code, error.to_string());
            tell(one.told(fate))
        })
    }
}

/// Leaves out what is held, and what was refused before for a reason that stays; sets apart what is
/// no capsule.
fn leave_out_known<'f>(
    looked: Vec<Looked<'f>>,
    tell: &mut impl FnMut(Told) -> Result<(), Failure>,
) -> Result<(Vec<Candidate<'f>>, Vec<Refused<'f>>), Failure> {
    let (mut candidates, mut refused) = (Vec::with_capacity(looked.len()), Vec::new());
    for Looked { file, found, sha256, decided } in looked {
        let name = &file.name;
        match (decided, found) {
            (Some(fate), found) => {
                let id = found.ok().map(|found| found.capsule().id());
                tell(Told { name: name.clone(), sha256, id, fate })?;
            }
            (None, Ok(file)) => candidates.push(Candidate { name, file, examined: None }),
            (None, Err(error)) => refused.push((file, error)),
        }
    }
    Ok((candidates, refused))
}

/// Sorts by the claimed time, so that parents come before their children where authors are honest;
/// the rest waits for its parents.
fn in_time(mut candidates: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    candidates.sort_by_key(|one| {
        let meta = one.file.capsule().meta();
        (meta.time_ms, meta.seq)
    });
    candidates
}

/// Examines candidates on all cores while `settle` decides about them in order, in changes of
/// [`GROUP`]; returns what has to wait.
fn round<'f>(
    store: &mut Store,
    candidates: Vec<Candidate<'f>>,
    examine: impl Fn(&Candidate<'_>) -> Examined + Sync,
    mut settle: impl FnMut(&mut Write<'_>, &Candidate<'_>, Examined) -> Result<Settled, Failure>,
    tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    now_ms: u64,
) -> Result<Waiting<'f>, Failure> {
    let count = candidates.len();
    let mut waits = BTreeMap::new();
    let work = |index: usize| examine(&candidates[index]);
    batch::stream(count, jobs(), work, |results| {
        while results.taken() < count {
            interrupt::check()?;
            let mut told = Vec::new();
            let written = store.write::<(), Stop>(|write| {
                let (mut decided, mut spent) = (false, 0_u64);
                for _ in 0..GROUP.min(count - results.taken()) {
                    // The one gap is that of Ctrl-C.
                    let (index, examined) = results.next().ok_or_else(interrupt::failure)?;
                    let one = &candidates[index];
                    match settle(write, one, examined)? {
                        Settled::Waits(error, examined) => {
                            waits.insert(index, (error, *examined));
                        }
                        Settled::Done(fate) => {
                            decided |= fate != Fate::Held;
                            told.push(one.told(fate));
                        }
                        Settled::Finished { fate, fuel } => {
                            decided = true;
                            spent = spent.saturating_add(fuel);
                            told.push(one.told(fate));
                        }
                    }
                    if spent > GROUP_FUEL {
                        break;
                    }
                }
                write.tell_storage(now_ms)?;
                if decided { Ok(()) } else { Err(Stop::Nothing) }
            });
            match written {
                Ok(()) | Err(Stop::Nothing) => {}
                Err(Stop::Failed(failure)) => return Err(failure),
            }
            told.into_iter().try_for_each(&mut *tell)?;
        }
        Ok(())
    })?;
    let waiting = candidates.into_iter().enumerate().filter_map(|(index, mut one)| {
        let (error, examined) = waits.remove(&index)?;
        one.examined = Some(examined);
        Some((one, error))
    });
    Ok(waiting.collect())
}

/// Judges a candidate and writes the decision.
fn settle(
    write: &mut Write<'_>,
    keys: &Keys<'_>,
    one: &Candidate<'_>,
    examined: Examined,
    now_ms: u64,
) -> Result<Judged, Failure> {
    let refuse = |write: &mut Write<'_>, id, error: DecodeError| {
        quarantine(write, one.file.bytes(), id, &error, now_ms)?;
        Ok(Settled::Done(Fate::Refused(error.code, error.to_string())))
    };
    let signatures = match &examined.signatures {
        Ok(signatures) => signatures,
        // A forged copy has the id of the true capsule, and nothing is said about that one.
        Err(error) => return refuse(write, None, error.clone()).map(Judged::Settled),
    };
    let settled = match judge(&write.view(), keys, &one.file, signatures, now_ms)? {
        Verdict::Held => Settled::Done(Fate::Held),
        Verdict::Wait(error) => Settled::Waits(error, Box::new(examined)),
        Verdict::Refuse(error) => refuse(write, Some(one.file.capsule().id()), error)?,
        Verdict::Accept { fork } => {
            accept(write, &one.file, now_ms)?;
            let entrance = Entrance { fork, restored: false };
            return Ok(Judged::Accepted(entrance, examined.processed));
        }
        Verdict::Restore => {
            write.restore(&one.file, now_ms)?;
            let entrance = Entrance { fork: false, restored: true };
            return Ok(Judged::Accepted(entrance, examined.processed));
        }
    };
    Ok(Judged::Settled(settled))
}

/// Says what became of an accepted capsule.
fn finished(entrance: Entrance, processed: &Processed, kept: Kept) -> Settled {
    let Entrance { fork, restored } = entrance;
    let fate = Fate::Accepted { restored, fork, unread: processed.unread, logic: kept.logic };
    Settled::Finished { fate, fuel: kept.fuel }
}

/// Tells whether a printed code is one of something that is missing.
pub(crate) fn may_change(code: &str) -> bool {
    [ErrorCode::AncestorAbsent, ErrorCode::NotLookedAt].iter().any(|own| own.to_string() == code)
}

/// Files that are opened together.
///
/// Chosen: some megabytes at the size of most capsules.
pub(crate) const OPENED_TOGETHER: usize = 4_096;

/// Opens capsules of a store on all cores, and gives what each says to `then` in the order of the
/// rows; nothing for one that no key opens.
pub(crate) fn open_rows(
    store: &Store,
    keys: &Keys<'_>,
    rows: &[CapsuleRow],
    mut then: impl FnMut(Option<Item>),
) -> Result<(), Failure> {
    for portion in rows.chunks(OPENED_TOGETHER) {
        interrupt::check()?;
        let files: Vec<Vec<u8>> = store.look(|view| {
            let files = portion.iter().map(|row| view.file(&row.id));
            files.collect::<Result<_, StoreError>>()
        })?;
        let work = |index: usize| {
            let capsule = Capsule::decode(&files[index]).map_err(StoreError::from)?;
            let body = keys.open(&capsule).map(|opened| opened.body);
            Ok::<_, Failure>(body.ok().map(|body| Item::of(&capsule, body)))
        };
        let told = batch::in_order(files.len(), jobs(), work, |_, item| {
            then(item?);
            Ok::<(), Failure>(())
        })?;
        if told < files.len() {
            return Err(interrupt::failure());
        }
    }
    Ok(())
}

/// Reads every trust statement of a store that a key opens, in the order of acceptance.
pub(crate) fn statements(store: &Store, keys: &Keys<'_>) -> Result<Vec<Statement>, Failure> {
    let rows = store.view().of_kind(kind::TRUST)?;
    let mut statements = Vec::new();
    open_rows(store, keys, &rows, |item| {
        statements.extend(item.iter().flat_map(processing::statements));
    })?;
    Ok(statements)
}

/// Reads the keys of every channel of a store.
pub(crate) fn keys<'a>(store: &Store, personal: &'a Identities) -> Result<Keys<'a>, Failure> {
    let mut keys = Keys::new(personal);
    let view = store.view();
    for row in view.all_keyrings()? {
        let file = view.file(&row.id)?;
        keys.learn(&Capsule::decode(&file).map_err(StoreError::from)?);
    }
    Ok(keys)
}
