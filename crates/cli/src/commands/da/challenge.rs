//! `kapsule da challenge`

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::key::SecretKey;
use kapsule_format::receipt::da::{Challenge, Sampling, SignedChallenge};
use kapsule_format::tree::CHUNK_BYTES;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName};
use crate::passphrase::PassphraseArgs;
use crate::{files, opening, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule da challenge small.cap --key alice
  kapsule da challenge small.cap --key alice --delta-ppm 0 -o asked.jsonl --json";

/// Asks for chunks of the audit bundle of a receipt, at random
///
/// Which chunks are asked for follows from random bytes in the challenge, so a provider cannot know
/// them before; how many, from what the challenger wants to be sure of.
/// The receipt need not hold its bundle.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt that names the bundle
    receipt: PathBuf,
    /// Identity that asks
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// Share of the chunks, in millionths, whose absence is to be noticed; 0 asks for every chunk
    #[arg(long, value_name = "PPM", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..1_000_000))]
    delta_ppm: u64,
    /// An absence may escape with a probability of 2 to the minus this
    #[arg(long, value_name = "BITS", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=256))]
    epsilon_bits: u64,
    /// Receipt policy whose rule `da` says both
    #[arg(long, value_name = "FILE", conflicts_with_all = ["delta_ppm", "epsilon_bits"])]
    receipt_policy: Option<PathBuf>,
    /// How long an answer may take, in ms
    #[arg(long, value_name = "MS", default_value_t = 60_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=2_678_400_000))]
    answer_within_ms: u64,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File for the challenge
    #[arg(long, short, value_name = "FILE", default_value = "challenge.jsonl")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    files::check_result(ui, &args.output)?;
    let held = receipts::read(&args.receipt)?;
    let receipt = receipts::decode(&held)?;
    let claim = receipt.claim();
    let bundle = claim.bundle.ok_or_else(|| {
        let message = format!("{} names no audit bundle", held.name());
        Failure::new(ErrorCode::BundleAbsent, message, "there is nothing to ask for")
    })?;
    let count = bundle.size.div_ceil(CHUNK_BYTES as u64);
    let k = samples(args, count)?;
    let signer = context.keys()?.load(&args.key, &args.passphrase)?;
    for key in &signer.keys {
        keystore::refuse_test_key(key.secret.public(), false)?;
        receipts::check_uses(key)?;
    }
    let issued_at = opening::now_ms();
    let challenge = Challenge {
        receipt_id: claim.id(),
        chunk_root: bundle.chunk_root,
        chunk_count: count,
        seed: receipts::random()?,
        k,
        issued_at,
        answer_by: issued_at.saturating_add(args.answer_within_ms),
        issuer: signer.identity.id(),
    };
    let secrets: Vec<&SecretKey> = signer.keys.iter().map(|key| &key.secret).collect();
    files::write(ui, &args.output, &SignedChallenge::sign(&challenge, secrets))?;
    let file = args.output.display().to_string();
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-da-challenge/1",
            "file": file,
            "challenge_id": challenge.id().to_string(),
            "receipt_id": challenge.receipt_id.to_string(),
            "issuer": challenge.issuer.to_string(),
            "chunks": count.to_string(),
            "asked": k.to_string(),
            "answer_by": challenge.answer_by.to_string(),
        }))?;
    } else {
        ui.say(&format!("wrote {file}: it asks for {k} of {count} chunks"));
    }
    Ok(0)
}

/// Returns how many chunks are asked for.
fn samples(args: &Args, count: u64) -> Result<u64, Failure> {
    let own = Sampling { delta_ppm: args.delta_ppm, epsilon_bits: args.epsilon_bits };
    let (sampling, most) = match &args.receipt_policy {
        None => (own, u64::MAX),
        Some(path) => {
            let policy = receipts::read_policy(path)?;
            let rule = policy.rules.da.ok_or_else(|| {
                let message = format!("{} has no rule da", files::name(path));
                Failure::usage(message, "say it with --delta-ppm and --epsilon-bits")
            })?;
            (rule.sampling(), rule.k_max)
        }
    };
    let refuse = |cause: String| {
        let message = "the challenge would ask for too many chunks";
        let hint = "let more be missed with a greater --delta-ppm or a smaller --epsilon-bits, or \
                    get the whole bundle with `kapsule audit --fetch`";
        Failure::new(ErrorCode::LimitExceeded, message, hint).cause(cause)
    };
    let k = sampling.samples(count).ok_or_else(|| {
        refuse(format!("more than {} chunks", kapsule_format::limits::SAMPLES_MAX))
    })?;
    if guard!("cli.da.k_max", k > most) {
        return Err(refuse(format!("{k} chunks, and the policy allows {most}")));
    }
    Ok(k)
}
