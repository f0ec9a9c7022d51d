//! `kapsule audit`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::container::BLOBS;
use kapsule_format::hash::sha256;
use kapsule_format::limits::PACKAGE_BYTES_MAX;
use kapsule_format::receipt::{BUNDLE, Bundle, Checkpoint, Claim, Receipt};
use kapsule_format::transcript::{input_commitment, output_commitment};
use kapsule_format::verify::{CheckName, CheckResult, ReceiptOptions, Reexecution};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::error::{Done, Failure};
use crate::execute::Engine;
use crate::fetch::Source;
use crate::opening::{self, Files, TrustArgs};
use crate::receipts;
use crate::text::{grouped, plain};

const EXAMPLES: &str = "\
Examples:
  kapsule audit hello.cap
  kapsule audit small.cap --fetch archive --engine wasmi
  kapsule audit small.cap --fetch archive --sample 1 --json";

/// What an audit demands besides the form of a receipt.
const DEMANDED: [CheckName; 7] = [
    CheckName::Signature,
    CheckName::Entries,
    CheckName::Bundle,
    CheckName::Transcript,
    CheckName::Checkpoints,
    CheckName::Availability,
    CheckName::Reexec,
];

/// Fetches what a receipt lacks, checks every digest and root, and repeats the run
///
/// What the receipt does not hold is looked for by its SHA-256 at --fetch: the audit bundle,
/// the package, input and output; nothing that comes back is read before its digest was compared.
/// Then the run is repeated from the start, and its states and its execution hash are compared with
/// the claim.
/// The exit code is 0 only if everything was there and agrees.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt
    receipt: PathBuf,
    /// Directory or http:// address that has the files as blobs/sha256/HEX
    #[arg(long, value_name = "DIR|URL")]
    fetch: Option<Source>,
    /// How many of the recorded states to print; by default all
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Engine that repeats the run
    #[arg(long, value_name = "ENGINE", default_value = "auto")]
    engine: Engine,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
}

/// A part of a receipt that came from elsewhere.
struct Fetched {
    name: String,
    bytes: usize,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let (ui, verifier) = (&context.ui, args.trust.verifier()?);
    let held = receipts::read(&args.receipt)?;
    let name = held.name();
    let (files, fetched) = complete(&held, args.fetch.as_ref())?;
    for Fetched { name, bytes } in &fetched {
        ui.say(&format!("fetched {}, {} bytes", plain(name), grouped(*bytes as u64)));
    }
    let sources = args.packages.sources(context)?;
    let proofs = receipts::findings(ui, &files, &sources)?;
    let mut asked = ReceiptOptions { proofs, ..ReceiptOptions::default() };
    let report =
        verifier.receipt_to_repeat(files.bytes(), &asked, &DEMANDED[..DEMANDED.len() - 1])?;
    let mut backend = None;
    if report.is_accepted() {
        let progress = ui.begin(&format!("repeating the run of {name}"));
        let repeated = receipts::repeat(ui, &verifier, &files, args.engine, &sources)?;
        progress.end(&format!("repeated in {} ms", repeated.elapsed.as_millis()));
        backend = Some(repeated.backend);
        asked.reexecution = Some(match repeated.difference {
            None => {
                let detail = format!("identical on {}", repeated.backend);
                Reexecution { result: CheckResult::Pass, detail }
            }
            Some(detail) => {
                Reexecution { result: CheckResult::Fail(ErrorCode::ReplayDiverged), detail }
            }
        });
    }
    let report = verifier.receipt_to_repeat(files.bytes(), &asked, &DEMANDED)?;
    let receipt = receipts::decode(&files)?;
    let shown = sampled(checkpoints(&name, &receipt, &verifier), args.sample);
    if ui.json() {
        let fetched = fetched.iter().map(|one| json!({ "name": one.name, "bytes": one.bytes }));
        ui.object(&json!({
            "schema": "kapsule/cli-audit/1",
            "receipt_id": receipt.claim().id().to_string(),
            "exec_hash": receipt.claim().exec.hash().to_string(),
            "backend": backend.map(|backend| backend.name()),
            "fetched": fetched.collect::<Vec<_>>(),
            "checkpoints": shown.iter().map(to_json).collect::<Vec<_>>(),
            "accepted": report.is_accepted(),
            "error_code": report.error_code.map(|code| format!("E{:03}", code.number())),
            "checks": checks_json(&report),
        }))?;
    } else {
        let lines: String = shown.iter().map(|(index, state)| line(*index, state)).collect();
        ui.text(&format!("{}{lines}", super::check_lines(ui, &report)))?;
    }
    if !report.is_accepted() {
        return Err(opening::rejected(&name, &report));
    }
    if !ui.json() {
        let hash = receipt.claim().exec.hash();
        ui.text(&format!("the run happened as claimed, execution hash {hash}\n"))?;
    }
    Ok(0)
}

fn checks_json(report: &kapsule_format::verify::Report) -> Vec<Value> {
    let check = |check: &kapsule_format::verify::Check| {
        let code = check.result.code().map(|code| format!("E{:03}", code.number()));
        json!({ "name": check.name.name(), "result": check.result.name(), "code": code })
    };
    report.checks.iter().map(check).collect()
}

/// Fetches what a receipt does not hold, and returns it with that in it.
fn complete(held: &Files, source: Option<&Source>) -> Result<(Files, Vec<Fetched>), Failure> {
    let receipt = receipts::decode(held)?;
    let (Some(source), claim) = (source, receipt.claim()) else {
        return Ok((held.clone(), Vec::new()));
    };
    let mut parts: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in &claim.entries {
        if receipt.container().get(&entry.name).is_none() {
            let found = source.get(&entry.sha256, entry.size.min(PACKAGE_BYTES_MAX))?;
            parts.extend(found.map(|bytes| (entry.name.clone(), bytes)));
        }
    }
    if let (Some(named), None) = (claim.bundle, receipt.bundle()) {
        let found = source.get(&named.sha256, named.size.min(PACKAGE_BYTES_MAX))?;
        parts.extend(found.map(|bytes| (BUNDLE.to_owned(), bytes)));
    }
    let blobs = blobs(&receipt, claim, source)?;
    parts.extend(blobs.into_iter().map(|bytes| (format!("{BLOBS}{}", sha256(&bytes)), bytes)));
    parts.sort();
    parts.dedup_by(|left, right| left.0 == right.0);
    let fetched =
        parts.iter().map(|(name, bytes)| Fetched { name: name.clone(), bytes: bytes.len() });
    let fetched = fetched.collect();
    let bytes = receipts::with_entries(held, parts)?;
    Ok((held.with_bytes(bytes), fetched))
}

/// Looks for input and output: by the digest of the public output, or by what opens a commitment.
fn blobs(receipt: &Receipt<'_>, claim: &Claim, source: &Source) -> Result<Vec<Vec<u8>>, Failure> {
    let (exec, held) = (&claim.exec, receipt.blobs());
    let mut found = Vec::new();
    // The bundle holds those of a salted claim.
    if exec.salt_commitment.is_some() {
        return Ok(found);
    }
    let input = |bytes: &[u8]| input_commitment(None, bytes) == exec.input.digest;
    let output = |bytes: &[u8]| output_commitment(None, bytes) == exec.output.digest;
    if exec.input.size > 0 && held.find(exec.input.size, input).is_none() {
        found.extend(source.find(exec.input.size, input)?);
    }
    if exec.output.size > 0 && held.find(exec.output.size, output).is_none() {
        let public = claim.public_outputs.iter().map(|public| public.sha256);
        for digest in public {
            found.extend(source.get(&digest, exec.output.size)?);
        }
        if !found.iter().any(|bytes| output(bytes)) {
            found.extend(source.find(exec.output.size, output)?);
        }
    }
    Ok(found)
}

/// Returns the recorded states, as far as the bundle is there and can be read.
fn checkpoints(
    name: &str,
    receipt: &Receipt<'_>,
    verifier: &opening::Verifier<'_>,
) -> Vec<Checkpoint> {
    let Ok(plain) = receipts::bundle_bytes(name, receipt, verifier) else { return Vec::new() };
    let bundle = Bundle::decode(&plain).ok();
    bundle.and_then(|bundle| bundle.checkpoints().ok().flatten()).unwrap_or_default()
}

/// Picks so many states with their places, the first and the last among them, at even distances.
fn sampled(all: Vec<Checkpoint>, count: Option<usize>) -> Vec<(usize, Checkpoint)> {
    let (length, wanted) = (all.len(), count.unwrap_or(all.len()));
    let picked = |index: usize| match wanted {
        0 => false,
        1 => index + 1 == length,
        _ if wanted >= length => true,
        _ => (0..wanted).any(|step| step * (length - 1) / (wanted - 1) == index),
    };
    all.into_iter().enumerate().filter(|(index, _)| picked(*index)).collect()
}

fn line(index: usize, checkpoint: &Checkpoint) -> String {
    let Checkpoint { fuel, hostcalls, state, .. } = checkpoint;
    format!(
        "  state {index}: fuel {}, hostcalls {}, {} pages, state hash {}\n",
        grouped(*fuel),
        grouped(*hostcalls),
        state.pages,
        checkpoint.state_hash(),
    )
}

fn to_json((index, checkpoint): &(usize, Checkpoint)) -> Value {
    json!({
        "index": index,
        "fuel": checkpoint.fuel.to_string(),
        "hostcalls": checkpoint.hostcalls.to_string(),
        "pages": checkpoint.state.pages,
        "state_hash": checkpoint.state_hash().to_string(),
    })
}
