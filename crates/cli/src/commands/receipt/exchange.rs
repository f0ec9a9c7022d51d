//! `kapsule receipt export` and `kapsule receipt import`

use std::path::PathBuf;

use kapsule_format::key::{Identity, KeyId, PublicKey};
use kapsule_format::limits::JSON_FILE_BYTES_MAX;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::opening::TrustArgs;
use crate::receipts::exchange::Form;
use crate::{files, receipts};

const EXPORT_EXAMPLES: &str = "\
Examples:
  kapsule receipt export hello.cap
  kapsule receipt export hello.cap --form sigstore -o hello.sigstore.json
  kapsule receipt export hello.cap --form statement -o statement.json --json";
const IMPORT_EXAMPLES: &str = "\
Examples:
  kapsule receipt import hello.cap hello.dsse.json
  kapsule receipt import hello.cap hello.dsse.json -o imported.cap --json";

/// Writes a signature of a receipt in a form that other tools read
///
/// A DSSE envelope carries the in-toto statement that the claim gives; a Sigstore bundle v0.3 is
/// the same envelope with the key id as hint.
/// Neither holds the claim: who reads them learns who signed which receipt id, nonce, execution
/// hash and output digests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// Receipt, `-` for stdin
    receipt: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORM", value_enum, default_value = "dsse")]
    form: Form,
    /// Id of the key whose signature is meant; by default the only one
    #[arg(long, value_name = "KEYID")]
    keyid: Option<KeyId>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "receipt.dsse.json")]
    output: PathBuf,
}

/// Attaches a signature that was made or kept elsewhere to a receipt
///
/// A DSSE envelope or a Sigstore bundle v0.3 is read; its payload has to be the statement that the
/// claim gives, and its signature has to verify with a key of the issuer or of the trust file.
/// The id of the receipt stays.
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// Receipt
    receipt: PathBuf,
    /// Envelope or bundle, `-` for stdin
    signature: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    /// File to write; by default the receipt is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn export(context: &Context, args: &ExportArgs) -> Done {
    let ui = &context.ui;
    files::check_result(ui, &args.output)?;
    let held = receipts::read(&args.receipt)?;
    let receipt = receipts::decode(&held)?;
    let bytes = receipts::exchange::export(&receipt, args.form, args.keyid).map_err(|error| {
        let hint = "name one with --keyid; `kapsule inspect` lists the signatures";
        Failure::decode(format!("{} cannot be exported", held.name()), &error, hint)
    })?;
    files::write(ui, &args.output, &bytes)?;
    let (file, id) = (args.output.display().to_string(), receipt.claim().id().to_string());
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-receipt-export/1",
            "file": file,
            "receipt_id": id,
        }))?;
    } else {
        ui.say(&format!("wrote {file} about the receipt {id}"));
    }
    Ok(0)
}

pub(super) fn import(context: &Context, args: &ImportArgs) -> Done {
    let ui = &context.ui;
    let output = args.output.as_ref().unwrap_or(&args.receipt);
    files::check_one_stdin(&[Some(&args.receipt), Some(&args.signature)])?;
    files::check_result(ui, output)?;
    let held = receipts::read(&args.receipt)?;
    let receipt = receipts::decode(&held)?;
    let bytes = files::read(&args.signature, "signature", JSON_FILE_BYTES_MAX as u64)?;
    let verifier = args.trust.verifier()?;
    let known = verifier.roots().into_iter().flat_map(|roots| &roots.trust.keys);
    let known = known.map(|entry| &entry.identity).chain([&receipt.claim().issuer]);
    let keys: Vec<PublicKey> = known.flat_map(Identity::keys).cloned().collect();
    let name = files::name(&args.signature);
    let (entry, envelope) =
        receipts::exchange::import(&receipt, &bytes, &keys).map_err(|error| {
            let hint = "name an envelope or a Sigstore bundle over this very receipt, and the \
                        trust file that lists its key with --trust";
            Failure::decode(format!("{name} cannot be attached"), &error, hint)
        })?;
    let bytes = receipts::with_entries(&held, vec![(entry.entry_name(), envelope)])?;
    files::write(ui, output, &bytes)?;
    let (file, keyid) = (output.display().to_string(), entry.keyid.to_string());
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-receipt-import/1",
            "file": file,
            "keyid": keyid,
            "receipt_id": receipt.claim().id().to_string(),
        }))?;
    } else {
        ui.say(&format!("wrote {file} with the signature by {keyid}"));
    }
    Ok(0)
}
