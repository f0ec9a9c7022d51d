//! A directory of capsules, verified and opened on all cores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::capsule::{Body, Capsule, Opened};
use kapsule_format::encrypt::Identities;
use kapsule_format::envelope::Signatures;
use kapsule_format::key::PublicKey;
use kapsule_format::limits::CAPSULE_BYTES_MAX;

use crate::batch::{self, Input};
use crate::error::Failure;
use crate::gather::Item;
use crate::ui::Ui;
use crate::{files, interrupt};

/// End of the names that are read.
const EXTENSION: &str = "kapsule";

/// What a directory of capsules holds.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// What was verified and opened, in the order of the file names, each capsule once.
    pub(crate) items: Vec<Item>,
    /// Files that are no capsule or contradict themselves, with the reason.
    pub(crate) refused: Vec<(String, DecodeError)>,
    /// Capsules that no identity here opens.
    pub(crate) closed: u64,
    /// Files with the same capsule as an earlier one.
    pub(crate) repeated: u64,
}

/// What opens capsules here.
pub(crate) struct Keys<'a> {
    /// Identities of the reader and of its channels.
    held: Vec<&'a Identities>,
    /// Those of keyrings that were met.
    learned: Identities,
}

impl<'a> Keys<'a> {
    /// Takes the identities that the reader holds.
    pub(crate) fn new(held: Vec<&'a Identities>) -> Self {
        Self { held, learned: Identities::default() }
    }

    /// Opens a capsule with whatever opens it.
    fn open(&self, capsule: &Capsule<'_>) -> Result<Opened, DecodeError> {
        let mut opened = capsule.open(&self.learned);
        for identities in &self.held {
            match &opened {
                Err(error) if error.code == ErrorCode::KeyNotHeld => {
                    opened = capsule.open(*identities);
                }
                _ => break,
            }
        }
        opened
    }

    /// Adds the keys of the epochs whose keyrings are among the files.
    fn learn(&mut self, inputs: &[Input], jobs: usize) -> Result<(), Failure> {
        let work = |index: usize| -> Result<Option<String>, Failure> {
            let bytes = files::read(&inputs[index].path, "capsule", CAPSULE_BYTES_MAX)?;
            let Ok(capsule) = Capsule::decode(&bytes) else { return Ok(None) };
            let Some(keyring) = &capsule.meta().keyring else { return Ok(None) };
            if keyring.identity.is_some() {
                return Ok(keyring.identity.clone());
            }
            Ok(match self.open(&capsule).map(|opened| opened.body) {
                Ok(Body::Keyring(epoch)) => Some(epoch.identity.to_string()),
                _ => None,
            })
        };
        let mut learned = Identities::default();
        batch::in_order(inputs.len(), jobs, work, |_, key| {
            // A text that is no identity opens nothing.
            if let Some(Ok(key)) = key?.map(|text| Identities::decode(&text)) {
                learned.extend(key);
            }
            Ok::<(), Failure>(())
        })?;
        self.learned = learned;
        Ok(())
    }
}

/// Reads every `.kapsule` of a directory; other files are passed over.
///
/// A keyring that opens, or that publishes its key, opens the other capsules of its channel.
/// Verified are form, digests, links and the author's signatures; whether the author may write in
/// the channel is for a store to say.
pub(crate) fn directory(
    ui: &Ui,
    directory: &Path,
    mut keys: Keys<'_>,
    jobs: usize,
) -> Result<Reading, Failure> {
    interrupt::watch()?;
    let mut inputs = batch::inputs(directory)?;
    inputs.retain(|input| input.path.extension().is_some_and(|end| end == EXTENSION));
    keys.learn(&inputs, jobs)?;
    let what = format!("reading {} capsules", inputs.len());
    let progress = ui.begin_counted(&what, inputs.len() as u64);
    let mut reading = Reading::default();
    let mut seen = BTreeMap::new();
    let closed = AtomicU64::new(0);
    let work = |index: usize| open(&inputs[index], &keys, &closed);
    batch::in_order(inputs.len(), jobs, work, |index, opened| {
        progress.advance();
        match opened? {
            Err(error) => reading.refused.push((inputs[index].name.clone(), error)),
            Ok(Some(item)) if seen.insert(item.id, ()).is_some() => reading.repeated += 1,
            Ok(Some(item)) => reading.items.push(item),
            Ok(None) => {}
        }
        Ok::<(), Failure>(())
    })?;
    interrupt::check()?;
    reading.closed = closed.into_inner();
    progress.end(&format!("{} opened", reading.items.len()));
    Ok(reading)
}

fn open(
    input: &Input,
    keys: &Keys<'_>,
    closed: &AtomicU64,
) -> Result<Result<Option<Item>, DecodeError>, Failure> {
    let bytes = files::read(&input.path, "capsule", CAPSULE_BYTES_MAX)?;
    let item = verified(&bytes, &[]).and_then(|(capsule, _)| match keys.open(&capsule) {
        Ok(opened) => Ok(Some(Item::of(&capsule, opened.body))),
        Err(error) if matches!(error.code, ErrorCode::KeyNotHeld | ErrorCode::EntryAbsent) => {
            closed.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }
        Err(error) => Err(error),
    });
    Ok(item)
}

/// Decodes a capsule and checks what it says of itself, and that its author signed it.
///
/// Signatures by `others` are looked at too, such as those of the owners of a channel.
pub(crate) fn verified<'b>(
    bytes: &'b [u8],
    others: &[&PublicKey],
) -> Result<(Capsule<'b>, Signatures), DecodeError> {
    let capsule = Capsule::decode(bytes)?;
    let signatures = capsule.check_own(others.iter().copied())?;
    Ok((capsule, signatures))
}
