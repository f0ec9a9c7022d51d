//! Repeating the run of a receipt from what the receipt holds.

use std::time::Duration;

use kapsule_abi::{ErrorCode, guard};
use kapsule_engine::Backend;
use kapsule_format::receipt::{Bundle, Claim, ExecHash, Receipt, TraceSpec, exec_body};
use kapsule_format::transcript::{Transcript, input_commitment};
use kapsule_format::verify::ReceiptOptions;

use super::{decode, evidence};
use crate::closure::Sources;
use crate::error::Failure;
use crate::execute::{self, Engine, States};
use crate::interrupt;
use crate::opening::{self, Asked, Files, Verifier};
use crate::ui::Ui;

/// A run that was repeated.
pub(crate) struct Repeated {
    /// Engine that repeated it.
    pub(crate) backend: Backend,
    /// Execution hash of the claim.
    pub(crate) claimed: ExecHash,
    /// The transcript that was followed.
    pub(crate) transcript: Transcript,
    /// First difference, if the run is another one than the claim says.
    pub(crate) difference: Option<String>,
    /// Time that it took.
    pub(crate) elapsed: Duration,
}

/// Verifies a receipt and runs its package again, with the answers of its audit bundle.
///
/// Every hostcall, both checkpoints and the execution hash are compared.
pub(crate) fn repeat(
    ui: &Ui,
    verifier: &Verifier<'_>,
    files: &Files,
    engine: Engine,
    sources: &Sources,
) -> Result<Repeated, Failure> {
    let name = files.name();
    let report = verifier.receipt_to_repeat(files.bytes(), &ReceiptOptions::default(), &[]);
    if !report.is_accepted() {
        return Err(opening::rejected(&name, &report));
    }
    let receipt = decode(files)?;
    let claim = receipt.claim();
    if guard!("cli.repeat.trace_spec", claim.trace_spec != TraceSpec::ends()) {
        let message = "this version repeats runs with checkpoints at start and end alone";
        let hint = "repeat it with the tool that made it";
        return Err(Failure::new(ErrorCode::VersionUnsupported, message, hint));
    }
    let transcript = transcript(&name, &receipt)?;
    let package = package(&name, &receipt, sources)?;
    // A receipt asks for its package by hash, whatever versions there are by now.
    let asked = Asked { hash: Some(claim.exec.capsule_hash), ..Asked::default() };
    let opened = verifier.open(&package, asked)?;
    let inner = package.name();
    let loaded = execute::load(&inner, &opened.package, &opened.module)?;
    if let Some(caution) = opened.caution(&inner) {
        ui.warn(&caution);
    }
    interrupt::watch()?;
    let size = claim.exec.input.size;
    let is_input = |bytes: &[u8]| input_commitment(None, bytes) == claim.exec.input.digest;
    let blobs = receipt.blobs();
    let input = blobs.find(size, is_input).or((size == 0).then_some(&[]));
    let before = claim.exec.storage_before;
    let replay = || loaded.replay(&transcript, engine, input, States::Kept { before });
    let replayed = interrupt::during(ui, replay)?;
    let mut difference = replayed.replay.difference.as_ref().map(ToString::to_string);
    if let (None, Some(run)) = (&difference, &replayed.replay.run) {
        // Without the input its commitment is believed, as the recorded reads are.
        let evidence = evidence(input.unwrap_or_default(), run)?;
        let mut found = exec_body(&opened.package, &evidence);
        if input.is_none() {
            found.input = claim.exec.input;
        }
        difference = first_difference(claim, &found);
    }
    let claimed = claim.exec.hash();
    let (backend, elapsed) = (replayed.backend, replayed.elapsed);
    Ok(Repeated { backend, claimed, transcript, difference, elapsed })
}

fn first_difference(claim: &Claim, found: &kapsule_format::receipt::ExecBody) -> Option<String> {
    if !guard!("cli.repeat.exec_hash", claim.exec.hash() != found.hash()) {
        return None;
    }
    let pairs = claim.exec.facts().into_iter().zip(found.facts());
    let differing = pairs.into_iter().find(|(claimed, found)| claimed != found);
    differing
        .map(|((name, claimed), (_, found))| format!("{name}: claimed {claimed}, found {found}"))
}

/// Takes the transcript out of the audit bundle of a receipt.
pub(crate) fn transcript(name: &str, receipt: &Receipt<'_>) -> Result<Transcript, Failure> {
    let absent = |cause: &str| {
        let hint = "get the receipt with its audit bundle; it may have been taken out";
        Failure::new(ErrorCode::BundleAbsent, format!("{name} cannot be repeated"), hint)
            .cause(cause)
    };
    let bytes = receipt.bundle().ok_or_else(|| absent("audit.bundle is not here"))?;
    let named = receipt.claim().bundle.ok_or_else(|| absent("the claim names no bundle"))?;
    if guard!("cli.repeat.bundle", kapsule_format::hash::sha256(bytes) != named.sha256) {
        return Err(absent("audit.bundle is not the one that the claim names"));
    }
    let made = Bundle::decode(bytes).and_then(|bundle| receipt.claim().transcript(&bundle));
    let refused = |error| {
        let hint = "do not believe who gave it to you";
        Failure::decode(format!("the audit bundle of {name} cannot be read"), &error, hint)
    };
    made.map_err(refused)?.ok_or_else(|| absent("the bundle lacks policy or transcript"))
}

/// Takes the package out of the receipt, or looks for it where packages are.
pub(crate) fn package(
    name: &str,
    receipt: &Receipt<'_>,
    sources: &Sources,
) -> Result<Files, Failure> {
    if let Some(bytes) = receipt.package() {
        return Ok(Files::inside(name, kapsule_format::receipt::PACKAGE, bytes));
    }
    let id = receipt.claim().exec.capsule_hash;
    sources.get(&id)?.ok_or_else(|| {
        let hint = "name the package with `--dep FILE`, or keep it with `kapsule package add FILE`";
        let message = format!("{name} cannot be repeated");
        Failure::new(ErrorCode::EntryAbsent, message, hint)
            .cause(format!("it holds no package, and {id} is not among the packages here"))
    })
}
