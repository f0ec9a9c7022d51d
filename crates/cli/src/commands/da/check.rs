//! `kapsule da check`

use std::collections::BTreeSet;
use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::Digest;
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey};
use kapsule_format::limits::RESPONSE_BYTES_MAX;
use kapsule_format::receipt::da::{ATTESTATIONS, Attestation, Challenge};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName, StoredIdentity};
use crate::opening::{self, Files, TrustArgs};
use crate::{files, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule da check hello.cap challenge.jsonl response.cbor --key alice
  kapsule da check hello.cap challenge.jsonl response.cbor --key alice -o attested.cap --json";

/// Checks the answer to a challenge, and attests in the receipt what came of it
///
/// Every chunk has to lead to the root that the claim names, and none counts that nobody asked for.
/// With --key the challenger signs what it saw into the receipt: `kapsule verify` believes that
/// where the trust file gives it the role `challenger`.
/// If chunks are missing the exit code is 13, and an attestation says so.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt that was challenged
    receipt: PathBuf,
    /// Challenge
    challenge: PathBuf,
    /// Answer, and further ones to the same challenge: what one of them shows is there
    #[arg(required = true, value_name = "RESPONSE", num_args = 1..=11)]
    responses: Vec<PathBuf>,
    /// Identity that made the challenge, to attest what came of it; without it nothing is written,
    /// and the trust file has to list the challenger
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// When the answer came, in ms since 1970; by default now
    #[arg(long, value_name = "MS")]
    answered_at: Option<u64>,
    /// File for the receipt with the attestation; by default the receipt is replaced
    #[arg(long, short, value_name = "FILE", requires = "key")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let output = args.output.as_ref().unwrap_or(&args.receipt);
    if args.key.is_some() {
        files::check_result(ui, output)?;
    }
    let held = receipts::read(&args.receipt)?;
    let receipt = receipts::decode(&held)?;
    let signed = super::read_challenge(&args.challenge)?;
    let challenge = signed.challenge();
    challenge
        .check_claim(receipt.claim())
        .map_err(|error| super::other_bundle(&args.challenge, &error))?;
    let signer = signer(context, args)?;
    let challenger = match &signer {
        Some(signer) => signer.identity.clone(),
        None => listed(args, challenge)?,
    };
    signed.verify(&challenger).map_err(|error| {
        let message = format!("{} is not signed by its challenger", files::name(&args.challenge));
        Failure::decode(message, &error, "name the identity that made the challenge with --key")
    })?;
    let answered_at = args.answered_at.unwrap_or_else(opening::now_ms);
    if guard!("cli.da.late", answered_at > challenge.answer_by) {
        let message = "the answer came after the time to answer";
        let hint = "say when it came with --answered-at, or make a new challenge";
        return Err(Failure::new(ErrorCode::AnswerLate, message, hint));
    }
    let (missing, response) = check(args, challenge)?;
    let attestation = Attestation {
        receipt_id: challenge.receipt_id,
        chunk_root: challenge.chunk_root,
        challenge_id: challenge.id(),
        k: challenge.k,
        answered_at,
        missing,
        response,
        issuer: challenge.issuer,
    };
    if let Some(signer) = &signer {
        let bytes = attest(&held, &attestation, signer)?;
        files::write(ui, output, &bytes)?;
    }
    let file = signer.map(|_| output.display().to_string());
    report(context, challenge, &attestation, file)
}

/// Loads the identity that attests.
fn signer(context: &Context, args: &Args) -> Result<Option<StoredIdentity>, Failure> {
    let Some(name) = &args.key else { return Ok(None) };
    let signer = context.keys()?.load(name, &args.trust.identities.passphrase)?;
    for key in &signer.keys {
        keystore::refuse_test_key(key.secret.public(), args.trust.insecure_dev)?;
        receipts::check_uses(key)?;
    }
    Ok(Some(signer))
}

/// Finds the challenger in the trust file.
fn listed(args: &Args, challenge: &Challenge) -> Result<Identity, Failure> {
    let verifier = args.trust.verifier()?;
    let roots = verifier.roots().filter(|roots| roots.chain.is_ok());
    let found = roots.and_then(|roots| roots.trust.key(&challenge.issuer));
    found.map(|entry| entry.identity.clone()).ok_or_else(|| {
        let message = format!("nobody here knows the challenger {}", challenge.issuer);
        let hint = "name a trust file that lists it with --trust, or its identity with --key";
        Failure::new(ErrorCode::SignerUntrusted, message, hint)
    })
}

/// Checks every answer; returns what none of them shows, and the digest of the last one.
fn check(args: &Args, challenge: &Challenge) -> Result<(Vec<u64>, Digest), Failure> {
    let mut missing: BTreeSet<u64> = challenge.indices().into_iter().collect();
    let mut last = sha256(b"");
    for path in &args.responses {
        let bytes = files::read(path, "response", RESPONSE_BYTES_MAX)?;
        let left = challenge.check(&bytes).map_err(|error| {
            let message = format!("{} does not answer the challenge", files::name(path));
            Failure::decode(message, &error, "ask another provider")
        })?;
        missing.retain(|index| left.contains(index));
        last = sha256(&bytes);
    }
    Ok((missing.into_iter().collect(), last))
}

/// Writes the receipt again with an attestation in it.
fn attest(
    held: &Files,
    attestation: &Attestation,
    signer: &StoredIdentity,
) -> Result<Vec<u8>, Failure> {
    let receipt = receipts::decode(held)?;
    let number = receipt.free_number(ATTESTATIONS).ok_or_else(|| receipts::is_full(held))?;
    let secrets: Vec<&SecretKey> = signer.keys.iter().map(|key| &key.secret).collect();
    receipts::with_entries(held, attestation.sign(number, secrets))
}

fn report(
    context: &Context,
    challenge: &Challenge,
    attestation: &Attestation,
    file: Option<String>,
) -> Done {
    let ui = &context.ui;
    let (asked, count) = (challenge.indices().len(), challenge.chunk_count);
    let shown = asked.saturating_sub(attestation.missing.len());
    let missing: Vec<String> = attestation.missing.iter().map(ToString::to_string).collect();
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-da-check/1",
            "receipt_id": challenge.receipt_id.to_string(),
            "challenge_id": attestation.challenge_id.to_string(),
            "challenger": challenge.issuer.to_string(),
            "chunks": count.to_string(),
            "asked": asked.to_string(),
            "shown": shown.to_string(),
            "missing": missing,
            "file": file,
        }))?;
    } else {
        ui.text(&format!(
            "{shown} of {asked} chunks asked for were shown, of {count} in all\n\
             a chunk that is withheld escapes with the probability 1 - {shown}/{count}\n"
        ))?;
        if let Some(file) = &file {
            ui.say(&format!("wrote {file} with the attestation of {}", challenge.issuer));
        }
    }
    if missing.is_empty() {
        return Ok(0);
    }
    let message = "the audit bundle is not available in full";
    let hint = "ask again, or another provider, and give all answers to `kapsule da check`";
    Err(Failure::new(ErrorCode::ChunkUnavailable, message, hint)
        .cause(format!("missing chunks: {}", missing.join(", "))))
}
