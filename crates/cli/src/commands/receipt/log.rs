//! `kapsule receipt log`

use std::path::PathBuf;

use kapsule_format::log::VerifierKey;
use kapsule_format::receipt::LOG_PROOFS;
use kapsule_format::verify::ReceiptOptions;
use kapsule_store::StoreError;
use serde_json::json;

use super::keep;
use crate::cli::Context;
use crate::error::Done;
use crate::keystore::KeyName;
use crate::opening::{self, TrustArgs};
use crate::{files, receipts, storing};

const EXAMPLES: &str = "\
Examples:
  kapsule receipt log hello.cap --key log
  kapsule receipt log hello.cap --key log -o logged.cap --json";

/// Tells the audit log of the store of a receipt, and attaches the proof of that
///
/// The log gets an entry `receipt.verified` about the receipt, which is verified before, and a
/// checkpoint of it is signed.
/// Whoever lists the key of the log in a trust file (`kapsule key trust --log VKEY`) sees by the
/// proof that the log tells of the receipt; the id of the receipt stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt
    receipt: PathBuf,
    /// Key of the log, made by `kapsule log key`
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    /// File to write; by default the receipt is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let output = args.output.as_ref().unwrap_or(&args.receipt);
    files::check_result(ui, output)?;
    let held = receipts::read(&args.receipt)?;
    let report = args.trust.verifier()?.receipt(held.bytes(), &ReceiptOptions::default(), false)?;
    if !report.is_accepted() {
        return Err(opening::rejected(&held.name(), &report));
    }
    let receipt = receipts::decode(&held)?;
    let number = receipt.free_number(LOG_PROOFS).ok_or_else(|| receipts::is_full(&held))?;
    let secret = storing::log_key(context, &args.key, &args.trust.identities.passphrase)?;
    let mut store = storing::open_or_create(context, None)?;
    let claim = receipt.claim();
    let entry = keep::told(claim, &report);
    let index = store.write::<u64, StoreError>(|write| write.append(entry))?;
    let note = store.checkpoint(&secret)?;
    let proof = store.prove(index, note)?;
    let origin = proof.note.checkpoint.origin.clone();
    let vkey = VerifierKey::of_log(origin, secret.public()).map(|vkey| vkey.to_string());
    let vkey = vkey.unwrap_or_default();
    let name = format!("{LOG_PROOFS}{number:02}.tlog-proof");
    let bytes = receipts::with_entries(&held, vec![(name.clone(), proof.encode().into_bytes())])?;
    files::write(ui, output, &bytes)?;
    let file = output.display().to_string();
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-receipt-log/1",
            "file": file,
            "entry": name,
            "receipt_id": claim.id().to_string(),
            "index": index.to_string(),
            "vkey": vkey,
        }))?;
    } else {
        ui.say(&format!("wrote {file} with the proof of entry {index} as {name}"));
        ui.say(&format!("verifier key {vkey}"));
    }
    Ok(0)
}
