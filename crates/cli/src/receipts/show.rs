//! Receipts and their reports in words and as data.

use kapsule_format::receipt::{Claim, Difference, Receipt, differences};
use kapsule_format::verify::Report;
use serde_json::{Map, Value, json};

use super::not_proved;
use crate::commands::report_text;
use crate::error::Failure;
use crate::opening::Verifier;
use crate::text::{Align, facts, grouped, plain, table};
use crate::ui::{Tone, Ui};

/// Returns the report of a verification in words.
pub(super) fn report(ui: &Ui, name: &str, verifier: &Verifier<'_>, report: &Report) -> String {
    let open = format!("not shown:\n{}", not_proved(report));
    report_text(ui, ("receipt", name), verifier, report, &derived(report), &open)
}

fn derived(report: &Report) -> String {
    let known = &report.facts;
    let list = |ids: Vec<String>| if ids.is_empty() { "none".to_owned() } else { ids.join(" ") };
    let mut rows = Vec::new();
    if let Some(receipt) = &known.receipt {
        rows.extend([
            ("receipt id", receipt.receipt_id.to_string()),
            ("issuer", receipt.issuer.to_string()),
            ("nonce", kapsule_format::hash::encode_hex(&receipt.nonce)),
            ("outcome", receipt.outcome.to_owned()),
            ("exec_hash", receipt.exec_hash.to_string()),
            ("statement", receipt.statement_hash.to_string()),
        ]);
    }
    rows.push(("signers", list(known.signers.iter().map(ToString::to_string).collect())));
    let unknown = known.unknown_signers.iter().map(ToString::to_string).collect();
    rows.push(("unknown keys", list(unknown)));
    let rules = known.receipt.iter().flat_map(|receipt| &receipt.rules);
    let rules = rules.map(|rule| {
        let code = rule.result.code().map(|code| format!(" {code}")).unwrap_or_default();
        let detail = match rule.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        ("rule", plain(&format!("{} {}{code}{detail}", rule.name, rule.result.name())))
    });
    rows.extend(rules);
    let aside = |entry: &kapsule_format::receipt::Ignored| {
        ("set aside", plain(&format!("{}: {}", entry.name, entry.code)))
    };
    rows.extend(known.ignored.iter().map(aside));
    facts(&rows)
}

/// Shows what is in a receipt; no signature is verified.
pub(crate) fn inspect(ui: &Ui, receipt: &Receipt<'_>) -> Result<(), Failure> {
    let claim = receipt.claim();
    let entries = receipt.container().entries();
    if ui.json() {
        let entry = |entry: &kapsule_format::container::Entry<'_>| {
            let bytes = entry.bytes.len().to_string();
            json!({ "name": entry.name, "bytes": bytes })
        };
        return ui.object(&json!({
            "schema": "kapsule/cli-inspect-receipt/1",
            "receipt_id": claim.id().to_string(),
            "exec_hash": claim.exec.hash().to_string(),
            "statement_hash": claim.statement().hash().to_string(),
            "claim": object(claim.facts()),
            "exec": object(claim.exec.facts()),
            "entries": entries.iter().map(entry).collect::<Vec<_>>(),
        }));
    }
    let title = |words: &str| ui.paint(Tone::Strong, words);
    let row = |(name, text): (&'static str, String)| (name, plain(&text));
    let rows = |facts: Vec<(&'static str, String)>| facts.into_iter().map(row).collect::<Vec<_>>();
    let held: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| vec![plain(entry.name), grouped(entry.bytes.len() as u64)])
        .collect();
    ui.text(&format!(
        "{}\n{}{}\n{}\n{}\n{}\n{}",
        title("Receipt"),
        facts(&[
            ("receipt id", claim.id().to_string()),
            ("exec_hash", claim.exec.hash().to_string()),
            ("statement", claim.statement().hash().to_string()),
        ]),
        facts(&rows(claim.facts())),
        title("Run"),
        facts(&rows(claim.exec.facts())),
        title("Entries, with their bytes"),
        table(&[Align::Left, Align::Right], &held),
    ))?;
    ui.say("no signature was verified; `kapsule verify` does that");
    Ok(())
}

fn object(facts: Vec<(&'static str, String)>) -> Map<String, Value> {
    facts.into_iter().map(|(name, text)| (name.replace(' ', "_"), text.into())).collect()
}

/// Says where two receipts differ, and what that means.
pub(crate) fn diff(ui: &Ui, left: &Claim, right: &Claim) -> Result<(), Failure> {
    let found = differences(left, right);
    let verdict = verdict(left, right);
    if ui.json() {
        let one = |difference: &Difference| {
            json!({
                "field": difference.name,
                "part": if difference.is_exec { "run" } else { "claim" },
                "left": difference.left,
                "right": difference.right,
            })
        };
        return ui.object(&json!({
            "schema": "kapsule/cli-receipt-diff/1",
            "left": left.id().to_string(),
            "right": right.id().to_string(),
            "same_exec_hash": left.exec.hash() == right.exec.hash(),
            "verdict": verdict.name(),
            "differences": found.iter().map(one).collect::<Vec<_>>(),
        }));
    }
    let mut text = String::new();
    for Difference { name, is_exec, left, right } in &found {
        let part = if *is_exec { "run" } else { "claim" };
        text.push_str(&format!("{part}: {name}\n  - {}\n  + {}\n", plain(left), plain(right)));
    }
    text.push_str(&format!("{}\n", verdict.words()));
    ui.text(&text)
}

/// What two claims are to each other.
#[derive(Clone, Copy)]
enum Verdict {
    Identical,
    SameRun,
    OtherJob,
    Contradiction,
    IssuerContradicts,
}

fn verdict(left: &Claim, right: &Claim) -> Verdict {
    let same_nonce = left.issuer == right.issuer && left.job.nonce == right.job.nonce;
    match (left.exec.hash() == right.exec.hash(), left.exec.is_same_job(&right.exec)) {
        (true, _) if left == right => Verdict::Identical,
        (true, _) => Verdict::SameRun,
        (false, false) => Verdict::OtherJob,
        (false, true) if same_nonce => Verdict::IssuerContradicts,
        (false, true) => Verdict::Contradiction,
    }
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::SameRun => "same-run",
            Self::OtherJob => "other-job",
            Self::Contradiction => "contradiction",
            Self::IssuerContradicts => "issuer-contradicts",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Identical => "the claims are identical",
            Self::SameRun => "both claim the same run; what differs is not part of it",
            Self::OtherJob => "they are about different jobs, or the host answered differently",
            Self::Contradiction => {
                "the same job with the same answers gave two results, so one of them did not \
                 happen; repeat each with `kapsule replay`"
            }
            Self::IssuerContradicts => {
                "one issuer claims two results of one job under one nonce: if both signatures \
                 verify, the two files are evidence against the issuer"
            }
        }
    }
}
