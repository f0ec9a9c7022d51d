//! `kapsule receipt keep`

use std::path::PathBuf;

use kapsule_format::log::{Entry, EntryKind};
use kapsule_format::receipt::Claim;
use kapsule_format::verify::{ReceiptOptions, Report};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::opening::{self, TrustArgs};
use crate::receipts::PolicyArgs;
use crate::{receipts, storing};

const EXAMPLES: &str = "\
Examples:
  kapsule receipt keep hello.cap
  kapsule receipt keep hello.cap --json
  kapsule receipt list";

/// Verifies receipts and keeps them in the store
///
/// Each is verified as by `kapsule verify`, and the audit log is told of it.
/// A requester, or an issuer where a claim names none, has one receipt for each nonce: a second
/// one is refused with E122, since a job is paid once.
/// The same receipt can be kept again, with what was attached to it since.
/// `kapsule receipt list` and `kapsule receipt stats` without a directory read what is kept.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipts
    #[arg(required = true)]
    receipts: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    policies: PolicyArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    let verifier = args.trust.verifier()?;
    let mut asked = ReceiptOptions::default();
    args.policies.apply(context, &verifier, &mut asked)?;
    let mut store = storing::open_or_create(context, None)?;
    for path in &args.receipts {
        let held = receipts::read(path)?;
        let name = held.name();
        let report = verifier.receipt(held.bytes(), &asked, false)?;
        if !report.is_accepted() {
            return Err(opening::rejected(&name, &report));
        }
        let receipt = receipts::decode(&held)?;
        let entry = told(receipt.claim(), &report);
        let kept = store.write::<_, kapsule_store::StoreError>(|write| {
            let index = write.append(entry)?;
            Ok((write.put_receipt(held.bytes(), index)?, index))
        });
        let (id, index) = kept.map_err(|error| replayed(&name, error))?;
        if ui.json() {
            ui.object(&json!({
                "schema": "kapsule/cli-receipt-keep/1",
                "file": name,
                "receipt_id": id.to_string(),
                "level": report.level.name(),
                "index": index.to_string(),
            }))?;
        } else {
            ui.say(&format!("kept {name}, receipt {id}, told by entry {index} of the log"));
        }
    }
    Ok(0)
}

/// Says what the log is told of a receipt that was verified.
pub(super) fn told(claim: &Claim, report: &Report) -> Entry {
    let mut entry = Entry::new(EntryKind::ReceiptVerified, opening::now_ms());
    entry.subjects = vec![
        ("exec".to_owned(), *claim.exec.hash().digest()),
        ("issuer".to_owned(), *claim.issuer.id().digest()),
        ("receipt".to_owned(), *claim.id().digest()),
    ];
    entry.data = vec![("level".to_owned(), report.level.name().to_owned())];
    entry
}

fn replayed(name: &str, error: kapsule_store::StoreError) -> Failure {
    if error.code() != kapsule_abi::ErrorCode::ReceiptReplayed {
        return error.into();
    }
    let message = format!("{name} is the second receipt of one job");
    let hint = "ask for a run with a nonce of your own, `kapsule run --nonce`; `kapsule receipt \
                list` shows the first";
    Failure::new(error.code(), message, hint).cause(error)
}
