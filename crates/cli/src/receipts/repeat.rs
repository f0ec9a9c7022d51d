//! Repeating the run of a receipt from what the receipt holds.

use std::time::Duration;

use kapsule_abi::hostcall::CALL;
use kapsule_abi::{ErrorCode, guard};
use kapsule_engine::{Backend, Recorded, ReplayOptions};
use kapsule_format::package::Decrypt;
use kapsule_format::receipt::{
    BUNDLE, Bundle, Claim, ExecHash, Nested, Plain, Receipt, TraceSpec, exec_body,
};
use kapsule_format::transcript::{Transcript, input_commitment};
use kapsule_format::verify::ReceiptOptions;
use kapsule_format::{DecodeError, closure};

use super::{decode, evidence};
use crate::closure::{Library, Sources};
use crate::error::Failure;
use crate::execute::{self, Engine};
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
    /// Number of runs inside the run, on all levels.
    pub(crate) runs_inside: u64,
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
    let report = verifier.receipt_to_repeat(files.bytes(), &ReceiptOptions::default(), &[])?;
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
    let plain = bundle_bytes(&name, &receipt, verifier)?;
    let bundle = bundle(&name, &plain)?;
    let recording = Recording::of(&name, &receipt, &bundle)?;
    let inside = |(id, bytes)| (id, Files::inside(&name, BUNDLE, bytes));
    let sources = sources.with(bundle.packages().into_iter().map(inside));
    let package = package(&name, &receipt, &sources)?;
    // A receipt asks for its package by hash, whatever versions there are by now.
    let asked = Asked { hash: Some(claim.exec.capsule_hash), ..Asked::default() };
    let opened = verifier.open(&package, asked)?;
    let inner = package.name();
    let closure = match recording.calls() {
        true => sources.closure(&opened.package, verifier),
        false => Ok(closure::Closure::default()),
    };
    let closure =
        closure.map_err(|error| crate::closure::failure(&inner, &opened.package, *error))?;
    let library = Library::new(&closure)?;
    let loaded = execute::load(&inner, &opened.package, &opened.module)?.with_callees(&library);
    if let Some(caution) = opened.caution(&inner) {
        ui.warn(&caution);
    }
    interrupt::watch()?;
    let size = claim.exec.input.size;
    let salt = recording.salt_seed.as_ref();
    let is_input = |bytes: &[u8]| input_commitment(salt, bytes) == claim.exec.input.digest;
    let (blobs, inside) = (receipt.blobs(), bundle.blobs());
    let input = blobs.find(size, is_input).or_else(|| inside.find(size, is_input));
    let input = input.or((size == 0).then_some(&[]));
    let runs = Recorded::all(&recording.nested);
    let known = ReplayOptions {
        input,
        states: true,
        storage_before: Some(claim.exec.storage_before),
        nested: Some(&runs),
        salt_seed: recording.salt_seed,
        ..ReplayOptions::default()
    };
    let replay = || loaded.replay(&recording.transcript, engine, known);
    let replayed = interrupt::during(ui, replay)?;
    let mut difference = replayed.replay.difference.as_ref().map(ToString::to_string);
    if let (None, Some(run)) = (&difference, &replayed.replay.run) {
        // Without the input its commitment is believed, as the recorded reads are.
        let evidence = evidence(input.unwrap_or_default(), run, Some(&library))?;
        let mut found = exec_body(&opened.package, &evidence, salt);
        if input.is_none() {
            found.input = claim.exec.input;
        }
        difference = first_difference(claim, &found);
    }
    let claimed = claim.exec.hash();
    let (backend, elapsed) = (replayed.backend, replayed.elapsed);
    let (transcript, runs_inside) =
        (recording.transcript, recording.nested.iter().map(Nested::count).sum());
    Ok(Repeated { backend, claimed, transcript, runs_inside, difference, elapsed })
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

/// What the audit bundle of a receipt says of the run.
pub(crate) struct Recording {
    /// The run.
    pub(crate) transcript: Transcript,
    /// The runs inside it.
    nested: Vec<Nested<'static>>,
    salt_seed: Option<[u8; 32]>,
}

impl Recording {
    /// Takes it out of a bundle, which is the one that the claim names.
    pub(crate) fn of(
        name: &str,
        receipt: &Receipt<'_>,
        bundle: &Bundle<'_>,
    ) -> Result<Self, Failure> {
        let claim = receipt.claim();
        let unreadable = |error: DecodeError| unreadable(name, &error);
        // Without its salts nothing else that was salted can be read.
        let salt_seed = bundle.salt_seed().map_err(unreadable)?;
        if guard!("cli.repeat.salt", salt_seed.is_none() && claim.exec.salt_commitment.is_some()) {
            return Err(absent(name, "the bundle lacks the salt seed"));
        }
        let nested = bundle.nested(&claim.exec).map_err(unreadable)?;
        if guard!("cli.repeat.nested", nested.is_none() && !claim.exec.nested.is_empty()) {
            return Err(absent(name, "the bundle lacks the runs inside the run"));
        }
        let Some(transcript) = claim.transcript(bundle).map_err(unreadable)? else {
            return Err(absent(name, "the bundle lacks policy or transcript"));
        };
        Ok(Self { transcript, nested: nested.unwrap_or_default(), salt_seed })
    }

    /// Tells whether the run called anything, or tried to.
    fn calls(&self) -> bool {
        self.transcript.entries.iter().any(|entry| entry.hostcall == u64::from(CALL))
    }
}

/// Takes the audit bundle out of a receipt, decrypted if need be.
pub(crate) fn bundle_bytes<'a>(
    name: &str,
    receipt: &Receipt<'a>,
    verifier: &Verifier<'_>,
) -> Result<Plain<'a>, Failure> {
    let bytes = receipt.bundle().ok_or_else(|| absent(name, "audit.bundle is not here"))?;
    let named = receipt.claim().bundle.ok_or_else(|| absent(name, "the claim names no bundle"))?;
    if guard!("cli.repeat.bundle", kapsule_format::hash::sha256(bytes) != named.sha256) {
        return Err(absent(name, "audit.bundle is not the one that the claim names"));
    }
    let keys = verifier.bundle_keys(receipt)?;
    let decrypt = keys.as_ref().map(|keys| keys as &dyn Decrypt);
    named.open(bytes, decrypt).map_err(|error| match error.code {
        ErrorCode::KeyNotHeld => {
            let hint = "name the key with --identity, or ask a recipient of the bundle";
            Failure::decode(format!("{name} cannot be repeated here"), &error, hint)
        }
        _ => unreadable(name, &error),
    })
}

/// Reads a bundle in the clear.
pub(crate) fn bundle<'a>(name: &str, bytes: &'a [u8]) -> Result<Bundle<'a>, Failure> {
    Bundle::decode(bytes).map_err(|error| unreadable(name, &error))
}

fn absent(name: &str, cause: &str) -> Failure {
    let hint = "get the receipt with its audit bundle; it may have been taken out";
    Failure::new(ErrorCode::BundleAbsent, format!("{name} cannot be repeated"), hint).cause(cause)
}

fn unreadable(name: &str, error: &DecodeError) -> Failure {
    let hint = "do not believe who gave it to you";
    Failure::decode(format!("the audit bundle of {name} cannot be read"), error, hint)
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
