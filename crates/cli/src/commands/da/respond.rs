//! `kapsule da respond`

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::limits::PACKAGE_BYTES_MAX;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::fetch::Source;
use crate::{files, opening, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule da respond challenge.jsonl hello.cap
  kapsule da respond challenge.jsonl small.cap --fetch archive -o shown.cbor";

/// Shows the chunks that a challenge asks for
///
/// Whoever holds the bundle can answer, whoever asks: nothing is shown that the challenge does not
/// name, and no key is needed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Challenge
    challenge: PathBuf,
    /// Receipt that is challenged
    receipt: PathBuf,
    /// Directory or http:// address that has the bundle as blobs/sha256/HEX, if the receipt does
    /// not hold it
    #[arg(long, value_name = "DIR|URL")]
    fetch: Option<Source>,
    /// File for the answer
    #[arg(long, short, value_name = "FILE", default_value = "response.cbor")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    files::check_result(ui, &args.output)?;
    let signed = super::read_challenge(&args.challenge)?;
    let challenge = signed.challenge();
    let held = receipts::read(&args.receipt)?;
    let receipt = receipts::decode(&held)?;
    challenge
        .check_claim(receipt.claim())
        .map_err(|error| super::other_bundle(&args.challenge, &error))?;
    if guard!("cli.da.answer_by", opening::now_ms() > challenge.answer_by) {
        let message = "the time to answer this challenge has passed";
        let hint = "ask for a new challenge";
        return Err(Failure::new(ErrorCode::AnswerLate, message, hint));
    }
    let absent = || {
        let message = format!("the audit bundle of {} is not here", held.name());
        let hint = "name where it is with --fetch DIR or --fetch http://HOST";
        Failure::new(ErrorCode::BundleAbsent, message, hint)
    };
    let bundle = match (receipt.bundle(), receipt.claim().bundle, &args.fetch) {
        (Some(bytes), _, _) => bytes.to_vec(),
        (None, Some(named), Some(source)) => {
            let found = source.get(&named.sha256, named.size.min(PACKAGE_BYTES_MAX))?;
            found.ok_or_else(absent)?
        }
        _ => return Err(absent()),
    };
    let response = challenge.respond(&bundle).map_err(|error| {
        let message = format!("{} does not hold the bundle that its claim names", held.name());
        Failure::decode(message, &error, "get the bundle again with --fetch")
    })?;
    files::write(ui, &args.output, &response)?;
    let (file, shown) = (args.output.display().to_string(), challenge.indices().len());
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-da-respond/1",
            "file": file,
            "challenge_id": challenge.id().to_string(),
            "shown": shown.to_string(),
            "bytes": response.len().to_string(),
        }))?;
    } else {
        ui.say(&format!("wrote {file}: it shows {shown} of {} chunks", challenge.chunk_count));
    }
    Ok(0)
}
