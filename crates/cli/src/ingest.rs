//! From capsule files to rows of the store: one pipeline, whatever the number of files.
//!
//! What a key shows never decides whether a capsule is accepted, so that everybody who holds the
//! same files accepts the same graph; `opened` and `logic` are said of it beside.

mod keys;
mod logic;

use std::num::NonZeroUsize;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::capsule::{
    Capsule, CapsuleId, ChannelId, Held, Meta, Standing, Surroundings, standing,
};
use kapsule_format::encrypt::Identities;
use kapsule_format::envelope::Signatures;
use kapsule_format::hash::sha256;
use kapsule_format::log::{Entry, EntryKind};
use kapsule_format::{DecodeError, Digest};
use kapsule_store::{NewResult, Store, StoreError, View, Write};

pub(crate) use keys::Keys;
pub(crate) use logic::{Logics, Wanted};

use crate::batch;
use crate::error::{Failure, Kind};
use crate::interrupt;
use crate::reading;
use crate::text::{cut, plain};

/// Capsules that are written together.
///
/// Chosen: a commit waits for the disk about once per thousand capsules, and Ctrl-C not long.
const GROUP: usize = 1_024;

/// Longest reason that the log keeps, in characters.
const DETAIL: usize = 240;

/// A capsule file as it came.
pub(crate) struct File {
    /// Name for the report.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A capsule whose form and own signatures were checked.
struct Checked {
    file: File,
    id: CapsuleId,
    meta: Meta,
    signatures: Signatures,
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is in the graph.
    Accepted {
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
    /// Time of this call.
    pub(crate) now_ms: u64,
}

/// Returns how many threads work.
pub(crate) fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Checks all that a capsule says of itself.
fn check(bytes: &[u8]) -> Result<(CapsuleId, Meta, Signatures), DecodeError> {
    let (capsule, signatures) = reading::verified(bytes, &[])?;
    Ok((capsule.id(), capsule.meta().clone(), signatures))
}

impl Ingest<'_> {
    /// Takes the files in, and tells what became of each in the order in which that is known.
    pub(crate) fn take(
        &mut self,
        files: Vec<File>,
        mut tell: impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let files = self.leave_out_known(files, &mut tell)?;
        let (mut checked, refused) = check_all(files)?;
        self.refuse(refused, &mut tell)?;
        // Parents come before their children as far as claimed times tell; the rest waits.
        checked.sort_by_key(|one| (one.meta.keyring.is_none(), one.meta.time_ms, one.meta.seq));
        loop {
            let before = checked.len();
            let mut waiting = Vec::new();
            let mut rest = checked.into_iter().peekable();
            while rest.peek().is_some() {
                interrupt::check()?;
                let group = rest.by_ref().take(GROUP).collect();
                waiting.extend(self.group(group, &mut tell)?);
            }
            if waiting.is_empty() || waiting.len() == before {
                return self.keep_waiting(waiting, &mut tell);
            }
            checked = waiting.into_iter().map(|(one, _)| one).collect();
        }
    }

    /// Leaves out what is held, and what was refused before for a reason that stays.
    fn leave_out_known(
        &self,
        files: Vec<File>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<Vec<File>, Failure> {
        let view = self.store.view();
        let mut new = Vec::with_capacity(files.len());
        for file in files {
            let sha256 = sha256(&file.bytes);
            let id = Capsule::decode(&file.bytes).ok().map(|capsule| capsule.id());
            let held = id.map(|id| view.capsule(&id)).transpose()?.flatten().is_some();
            let fate = match view.quarantined(&sha256)? {
                _ if held => Fate::Held,
                Some(code) if !may_change(&code) => {
                    let known = ErrorCode::ALL.iter().find(|own| own.to_string() == code);
                    let code = known.copied().unwrap_or(ErrorCode::SchemaViolation);
                    Fate::Refused(code, "refused before; the file is in quarantine".to_owned())
                }
                _ => {
                    new.push(file);
                    continue;
                }
            };
            tell(Told { name: file.name, sha256, id, fate })?;
        }
        Ok(new)
    }

    fn refuse(
        &mut self,
        refused: Vec<(File, DecodeError)>,
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
            tell(Told { sha256: sha256(&file.bytes), name: file.name, id: None, fate })?;
        }
        Ok(())
    }

    /// Judges a group and writes what came of it in one transaction; returns what has to wait.
    fn group(
        &mut self,
        group: Vec<Checked>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<Vec<(Checked, DecodeError)>, Failure> {
        let Self { store, keys, logics, now_ms } = self;
        let (mut told, mut accepted, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        let decided = store.write::<(), Failure>(|write| {
            let mut any = false;
            for one in group {
                match judge(write, keys, &one, *now_ms)? {
                    Verdict::Accept { fork } => {
                        any = true;
                        let entry = accept(write, &one, *now_ms)?;
                        write.put_capsule(&one.meta, &one.file.bytes, entry)?;
                        keys.learn(&one.meta, &one.file.bytes);
                        accepted.push((one, fork));
                    }
                    Verdict::Refuse(error) => {
                        any = true;
                        let id = Some(one.id);
                        quarantine(write, &one.file.bytes, id, &error, *now_ms)?;
                        let fate = Fate::Refused(error.code, error.to_string());
                        told.push(Told::new(&one, fate));
                    }
                    Verdict::Held => told.push(Told::new(&one, Fate::Held)),
                    Verdict::Wait(error) => waiting.push((one, error)),
                }
            }
            process(write, keys, logics, &accepted, *now_ms, &mut told)?;
            // A change without an entry is refused, so one without a decision is given up.
            if any { Ok(()) } else { Err(nothing()) }
        });
        match decided {
            Err(failure) if failure == nothing() => {}
            other => {
                other?;
            }
        }
        told.into_iter().try_for_each(tell)?;
        Ok(waiting)
    }

    /// Keeps what still waits in quarantine, where the next call looks at it again.
    fn keep_waiting(
        &mut self,
        waiting: Vec<(Checked, DecodeError)>,
        tell: &mut impl FnMut(Told) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let view = self.store.view();
        let mut new = Vec::new();
        for (one, error) in &waiting {
            let before = view.quarantined(&sha256(&one.file.bytes))?;
            if before != Some(error.code.to_string()) {
                new.push((one, error));
            }
        }
        for group in new.chunks(GROUP) {
            self.store.write::<(), Failure>(|write| {
                for (one, error) in group {
                    let id = Some(one.id);
                    quarantine(write, &one.file.bytes, id, error, self.now_ms)?;
                }
                Ok(())
            })?;
        }
        waiting.into_iter().try_for_each(|(one, error)| {
            let fate = Fate::Waiting(error.code, error.to_string());
            tell(Told::new(&one, fate))
        })
    }
}

impl Told {
    fn new(one: &Checked, fate: Fate) -> Self {
        let sha256 = sha256(&one.file.bytes);
        Self { name: one.file.name.clone(), sha256, id: Some(one.id), fate }
    }
}

/// The failure that gives a transaction up in which nothing was decided; nobody sees it.
fn nothing() -> Failure {
    Failure::internal("nothing was decided", "report this as a bug")
}

/// Tells whether a printed code is one of something that is missing.
pub(crate) fn may_change(code: &str) -> bool {
    [ErrorCode::AncestorAbsent, ErrorCode::NotLookedAt].iter().any(|own| own.to_string() == code)
}

/// A file that is no capsule, or contradicts itself.
type Refused = (File, DecodeError);

/// Checks every file on all cores.
fn check_all(files: Vec<File>) -> Result<(Vec<Checked>, Vec<Refused>), Failure> {
    let mut results = Vec::with_capacity(files.len());
    let told = batch::in_order(
        files.len(),
        jobs(),
        |index| check(&files[index].bytes),
        |_, found| {
            results.push(found);
            Ok::<(), Failure>(())
        },
    )?;
    if told < files.len() {
        return Err(interrupt::failure());
    }
    let (mut checked, mut refused) = (Vec::new(), Vec::new());
    for (file, found) in files.into_iter().zip(results) {
        match found {
            Ok((id, meta, signatures)) => checked.push(Checked { file, id, meta, signatures }),
            Err(error) => refused.push((file, error)),
        }
    }
    Ok((checked, refused))
}

/// What is decided of a capsule.
enum Verdict {
    Accept { fork: bool },
    Held,
    Refuse(DecodeError),
    Wait(DecodeError),
}

fn judge(
    write: &Write<'_>,
    keys: &Keys<'_>,
    one: &Checked,
    now_ms: u64,
) -> Result<Verdict, Failure> {
    let view = write.view();
    if view.capsule(&one.id)?.is_some() {
        return Ok(Verdict::Held);
    }
    let standing = stand(&view, keys, one, now_ms)?;
    if let Some(error) = standing.refusal()
        && guard!("cli.ingest.refusal", true)
    {
        return Ok(Verdict::Refuse(error.clone()));
    }
    if let Some(error) = standing.waiting()
        && guard!("cli.ingest.waiting", true)
    {
        return Ok(Verdict::Wait(error.clone()));
    }
    Ok(Verdict::Accept { fork: standing.fork != kapsule_format::capsule::Finding::Pass })
}

fn stand(
    view: &View<'_>,
    keys: &Keys<'_>,
    one: &Checked,
    now_ms: u64,
) -> Result<Standing, StoreError> {
    let meta = &one.meta;
    let channel = meta.channel.unwrap_or(ChannelId::of_genesis(one.id));
    let keyring = keys.deciding(&channel, meta);
    let mut parents: Vec<Held> = Vec::new();
    for id in &meta.prev {
        parents.extend(view.held(id)?);
    }
    let rivals = view.rivals(&channel, &meta.author.id(), meta.seq)?;
    // Whoever signs the next keyring is known from the one before.
    let signed = match keyring.filter(|_| meta.keyring.is_some()) {
        Some(before) => {
            let owners = before.keyring.owners.iter().flat_map(|owner| owner.keys());
            let capsule = Capsule::decode(&one.file.bytes)?;
            Some(capsule.signatures(owners))
        }
        None => None,
    };
    let around = Surroundings {
        keyring,
        parents: &parents,
        rivals: &rivals,
        identities: &[],
        now_ms: Some(now_ms),
    };
    Ok(standing(meta, signed.as_ref().unwrap_or(&one.signatures), &around))
}

fn accept(write: &mut Write<'_>, one: &Checked, now_ms: u64) -> Result<u64, StoreError> {
    let meta = &one.meta;
    let channel = meta.channel.unwrap_or(ChannelId::of_genesis(one.id));
    let entry = Entry::new(EntryKind::CapsuleAccepted, now_ms)
        .subject("author", *meta.author.id().digest())
        .subject("capsule", *one.id.digest())
        .subject("channel", *channel.digest())
        .subject("file", sha256(&one.file.bytes))
        .datum("kind", meta.kind.clone())
        .datum("seq", meta.seq.to_string());
    write.append(entry)
}

/// Keeps a file that is not accepted, with the reason, and tells the log.
fn quarantine(
    write: &mut Write<'_>,
    bytes: &[u8],
    id: Option<CapsuleId>,
    error: &DecodeError,
    now_ms: u64,
) -> Result<(), StoreError> {
    let detail = cut(&plain(&error.to_string()), DETAIL);
    let mut entry = Entry::new(EntryKind::CapsuleRefused, now_ms)
        .subject("file", sha256(bytes))
        .datum("detail", detail.clone())
        .refused(error.code);
    if let Some(id) = id {
        entry = entry.subject("capsule", *id.digest());
    }
    let index = write.append(entry)?;
    write.put_quarantine(bytes, error.code, &detail, index)
}

/// What came of the payload of one capsule.
struct Processed {
    unread: Option<ErrorCode>,
    ran: Option<Result<logic::Ran, Failure>>,
}

/// Opens the payloads of accepted capsules on all cores, runs their logic, and writes the results.
fn process(
    write: &mut Write<'_>,
    keys: &Keys<'_>,
    logics: &Logics<'_>,
    accepted: &[(Checked, bool)],
    now_ms: u64,
    told: &mut Vec<Told>,
) -> Result<(), Failure> {
    let work = |index: usize| process_one(keys, logics, &accepted[index].0);
    let done = batch::in_order(accepted.len(), jobs(), work, |index, processed: Processed| {
        let (one, fork) = &accepted[index];
        let id = one.id;
        if processed.unread.is_none() {
            let entry = Entry::new(EntryKind::CapsuleDecrypted, now_ms);
            write.append(entry.subject("capsule", *id.digest()))?;
        }
        let logic = match processed.ran {
            None => None,
            Some(Ok(ran)) => Some(Ok(keep(write, id, &ran, now_ms)?)),
            Some(Err(failure)) if failure == interrupt::failure() => return Err(failure),
            Some(Err(failure)) => {
                let mut entry =
                    Entry::new(EntryKind::PackageRefused, now_ms).subject("capsule", *id.digest());
                if let Kind::Code(code) = failure.kind {
                    entry = entry.refused(code);
                }
                write.append(entry)?;
                Some(Err(failure.to_string()))
            }
        };
        let fate = Fate::Accepted { fork: *fork, unread: processed.unread, logic };
        told.push(Told::new(one, fate));
        Ok(())
    })?;
    if done < accepted.len() {
        return Err(interrupt::failure());
    }
    Ok(())
}

fn process_one(keys: &Keys<'_>, logics: &Logics<'_>, one: &Checked) -> Processed {
    let opened = Capsule::decode(&one.file.bytes).and_then(|capsule| keys.open(&capsule));
    match opened {
        Ok(opened) => {
            let ran = logics.run(&one.meta, &opened.bytes);
            Processed { unread: None, ran }
        }
        Err(error) => Processed { unread: Some(error.code), ran: None },
    }
}

/// Writes the result of a run, and returns how it ended.
fn keep(
    write: &mut Write<'_>,
    capsule: CapsuleId,
    ran: &logic::Ran,
    now_ms: u64,
) -> Result<String, StoreError> {
    let entry = Entry::new(EntryKind::RunFinished, now_ms)
        .subject("capsule", *capsule.digest())
        .subject("output", sha256(&ran.output))
        .subject("package", *ran.package.digest())
        .datum("entry", ran.entry.clone())
        .datum("fuel", ran.fuel.to_string())
        .datum("outcome", ran.outcome.clone());
    let index = write.append(entry)?;
    let result = NewResult {
        capsule,
        package: ran.package,
        entry_point: &ran.entry,
        outcome: &ran.outcome,
        fuel: ran.fuel,
        output: &ran.output,
    };
    write.put_result(&result, index)?;
    Ok(ran.outcome.clone())
}

/// Reads the keys of every channel of a store.
pub(crate) fn keys<'a>(store: &Store, personal: &'a Identities) -> Result<Keys<'a>, Failure> {
    let mut keys = Keys::new(personal);
    let view = store.view();
    for row in view.of_kind(kapsule_format::capsule::kind::KEYRING)? {
        let file = view.file(&row.id)?;
        let capsule = Capsule::decode(&file).map_err(StoreError::from)?;
        keys.learn(&capsule.meta().clone(), &file);
    }
    Ok(keys)
}
