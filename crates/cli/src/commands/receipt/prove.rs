//! `kapsule receipt prove`

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::Digest;
use kapsule_format::receipt::{PROOFS, ProofItem, Receipt, STARK};
use kapsule_format::verify::ReceiptOptions;
use kapsule_prover::prove::Job;
use serde_json::json;

use crate::cli::Context;
use crate::closure::PackageArgs;
use crate::error::{Done, Failure};
use crate::opening::{self, Asked, Files, TrustArgs, Verifier};
use crate::proving::{self, Params, Proven};
use crate::receipts::Recording;
use crate::text::grouped;
use crate::{files, interrupt, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule receipt prove hello.cap
  kapsule receipt prove hello.cap --params kp100-small -o proven.cap --json";

/// Proves the run of a receipt and attaches the proof
///
/// The recorded hostcalls of the audit bundle are proven, bound to the statement of the claim, so
/// that whoever verifies the receipt need not repeat the run.
/// A run that did not happen as claimed has no proof.
/// The id and the signatures of the receipt stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt with its audit bundle
    receipt: PathBuf,
    /// Parameters of the proof: the faster or the smaller one, both with 100 bits that are proven
    #[arg(long, value_name = "NAME", default_value = "kp100-fast")]
    #[arg(value_parser = proving::decode_params)]
    params: Params,
    /// File to write; by default the receipt is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let output = args.output.as_ref().unwrap_or(&args.receipt);
    files::check_result(ui, output)?;
    let verifier = args.trust.verifier()?;
    let held = receipts::read(&args.receipt)?;
    let name = held.name();
    let report = verifier.receipt_to_repeat(held.bytes(), &ReceiptOptions::default(), &[])?;
    // A proof that is attached already may be the one that is promised and does not verify.
    if !report.is_accepted() {
        return Err(opening::rejected(&name, &report));
    }
    let receipt = receipts::decode(&held)?;
    let number = receipt.free_number(PROOFS).ok_or_else(|| receipts::is_full(&held))?;
    let package = receipts::package(&name, &receipt, &args.packages.sources(context)?)?;
    interrupt::watch()?;
    let (item, proven) = prove(context, args.params, &verifier, &receipt, &package)?;
    let entry = format!("{PROOFS}{number:02}.cbor");
    let bytes = receipts::with_entries(&held, vec![(entry.clone(), item.encode())])?;
    files::write(ui, output, &bytes)?;
    let file = output.display().to_string();
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-receipt-prove/1",
            "file": file,
            "entry": entry,
            "receipt_id": receipt.claim().id().to_string(),
            "statement_hash": receipt.claim().statement().hash().to_string(),
            "params": args.params.0.name,
            "proven_bits": args.params.0.proven_bits,
            "proof_bytes": item.proof.len().to_string(),
            "elapsed_ms": {
                "prove": proven.prove.as_millis().to_string(),
                "verify": proven.verify.as_millis().to_string(),
            },
        }))?;
    } else {
        let size = grouped(item.proof.len() as u64);
        ui.say(&format!("wrote {file} with a proof of {size} bytes as {entry}"));
    }
    Ok(0)
}

/// Proves the recorded run.
fn prove(
    context: &Context,
    params: Params,
    verifier: &Verifier<'_>,
    receipt: &Receipt<'_>,
    package: &Files,
) -> Result<(ProofItem, Proven), Failure> {
    let (ui, claim) = (&context.ui, receipt.claim());
    let (name, exec) = (package.name(), &claim.exec);
    if guard!("cli.receipt.prove_salted", exec.salt_commitment.is_some()) {
        let message = format!("the claim of {name} is salted, and its run cannot be proven");
        let hint = "issue the receipt without --salt and --encrypt-to";
        let cause = "a proof would commit to the hostcalls without a salt";
        return Err(Failure::new(ErrorCode::VersionUnsupported, message, hint).cause(cause));
    }
    let plain = receipts::bundle_bytes(&name, receipt, verifier)?;
    let bundle = receipts::bundle(&name, &plain)?;
    let transcript = Recording::of(&name, receipt, &bundle)?.transcript;
    let asked = Asked { hash: Some(exec.capsule_hash), ..Asked::default() };
    let opened = verifier.open(package, asked)?;
    let lowered = proving::lowered(&name, &opened.module, exec.memory_bytes)?;
    let events = proving::recorded(&transcript.entries, exec.outcome)?;
    let key = proving::timed_key(ui, &name, &lowered, params)?;
    let words = proving::answers(&events);
    let statement = claim.statement().hash();
    let job = Job {
        module_hash: proving::module_hash(&opened.package),
        policy_digest: *exec.effective_policy.as_bytes(),
        binding: *statement.as_bytes(),
        entry: &exec.entry,
        fuel_limit: exec.fuel,
        words: &words,
        salt_present: false,
    };
    let known = kapsule_proof::Known {
        fuel_limit: Some(exec.fuel),
        fuel_used: Some(exec.fuel_used),
        outcome: Some(exec.outcome),
        ..Default::default()
    };
    let policy = transcript.header.policy.encode();
    let proven = proving::prove(ui, &name, &key, &job, (policy, events), &known)?;
    let item = ProofItem {
        system: STARK,
        version: u64::from(proven.run.statement().isa),
        key: Digest::new(key.key.digest),
        inputs: *statement.digest(),
        proof: proven.run.proof.encode(),
    };
    Ok((item, proven))
}
