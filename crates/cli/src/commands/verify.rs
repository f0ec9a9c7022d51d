//! `kapsule verify`

use std::path::PathBuf;

use kapsule_format::verify::{Check, CheckName, CheckResult, Level, Report};

use crate::cli::Context;
use crate::closure::{self, PackageArgs};
use crate::error::Done;
use crate::opening::{self, Asked, Files, TrustArgs, Verifier};
use crate::receipts::{self, ReceiptArgs};
use crate::text::{Align, facts, plain, table};
use crate::ui::{Tone, Ui};
use crate::{capsules, files};

const EXAMPLES: &str = "\
Examples:
  kapsule verify hello.mod
  kapsule verify hello.mod --trust trust.json --require policy-enforced
  kapsule verify caller.mod --dep callee.mod --require audit-ready --trust trust.json
  kapsule verify hello.cap
  kapsule verify hello.cap --reexec --json
  kapsule verify hello.cap --receipt-policy nightly.json --registry registry.json --acl acl.json
  kapsule verify hello.kapsule
  kapsule verify hello.mod --json

Levels: proof-only (the bytes are what they say they are), policy-enforced (and your trust file
accepts the signer), audit-ready (and everything the package refers to was looked at).";

/// Verifies a package, a receipt or a capsule and prints every named check
///
/// Each check passes, fails, or is not done; what was not done is never shown as success, and the
/// report ends with what was not proved.
/// Without `--require` the level is proof-only.
/// The exit code is 0 only if the verdict reaches the level; with `--json` the report is exactly
/// the bytes of `kapsule/report/1` and a line feed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Package, receipt or capsule to verify, `-` for stdin
    package: PathBuf,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    receipt: ReceiptArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    files::check_one_stdin(&[Some(&args.package), args.trust.identities.passphrase.file()])?;
    let verifier = args.trust.verifier()?;
    let files = Files::read_as(&args.package, "file")?;
    if receipts::is_receipt(files.bytes()) {
        return args.receipt.verify(context, &verifier, &args.packages, &files);
    }
    args.receipt.check_package()?;
    if capsules::is_capsule(files.bytes()) {
        return capsules::verify(context, &verifier, &args.trust.identities, &files);
    }
    let progress = (files.bytes().len() > (1 << 24)).then(|| ui.begin("verifying"));
    let sources = args.packages.sources(context)?;
    let package = opening::decode(&files).ok();
    let closure = package.as_ref().map(|package| sources.closure(package, &verifier));
    let asked = Asked { closure: closure.as_ref().map(closure::finding), ..Asked::default() };
    let report = verifier.verify(&files, package.as_ref(), asked)?;
    verifier.remember(ui);
    if let Some(progress) = progress {
        progress.end("verified");
    }
    if ui.json() {
        let mut bytes = report.encode();
        bytes.push(b'\n');
        ui.data(&bytes)?;
        return Ok(report.exit_code());
    }
    ui.text(&to_text(ui, &files.name(), &verifier, &report))?;
    match report.is_accepted() {
        true => Ok(0),
        false => Err(opening::rejected(&files.name(), &report)),
    }
}

fn to_text(ui: &Ui, name: &str, verifier: &Verifier<'_>, report: &Report) -> String {
    let open = format!("not proved:\n{}", not_proved(report));
    report_text(ui, ("package", name), verifier, report, &derived(report), &open)
}

/// Returns a report in words: what was asked, the checks, what is known, the verdict and what is
/// left open.
pub(crate) fn report_text(
    ui: &Ui,
    (what, name): (&'static str, &str),
    verifier: &Verifier<'_>,
    report: &Report,
    derived: &str,
    open: &str,
) -> String {
    let trust = match verifier.roots() {
        Some(roots) => roots.describe(),
        None => "none; name one with --trust".to_owned(),
    };
    let verdict = match report.is_accepted() {
        true => ui.paint(Tone::Good, "ACCEPT"),
        false => ui.paint(Tone::Bad, "REJECT"),
    };
    format!(
        "{}{}\n{derived}{}\nverdict: {verdict}, level {}\n\n{open}",
        facts(&[
            ("required", format!("{}{}", report.required, verifier.level_origin())),
            (what, plain(name)),
            ("trust", plain(&trust)),
        ]),
        checks(ui, report),
        if report.facts.insecure_dev { "insecure development keys were allowed\n" } else { "" },
        report.level,
    )
}

/// Returns the checks of a report in lines.
pub(crate) fn checks(ui: &Ui, report: &Report) -> String {
    // An undone proof caps the verdict, so it comes first.
    let undone_proof = |check: &&Check| {
        check.name == CheckName::Proof && matches!(check.result, CheckResult::NotDone(_))
    };
    let first = report.checks.iter().filter(undone_proof);
    let others = report.checks.iter().filter(|check| !undone_proof(check));
    let row = |check: &Check| {
        let (tone, word) = match check.result {
            CheckResult::Pass => (Tone::Good, "pass"),
            CheckResult::Fail(_) => (Tone::Bad, "FAIL"),
            CheckResult::NotDone(_) => (Tone::Careful, "not done"),
        };
        let code = check.result.code().map(|code| format!("{code}: ")).unwrap_or_default();
        // The padding counts characters, so the word is padded before it is coloured.
        let word = ui.paint(tone, &format!("{word:<8}"));
        format!("  {:<16}{word}  {code}{}", check.name.name(), plain(&check.detail))
    };
    let lines: Vec<String> =
        first.chain(others).map(|check| row(check).trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

fn derived(report: &Report) -> String {
    let known = &report.facts;
    let list = |ids: Vec<String>| if ids.is_empty() { "none".to_owned() } else { ids.join(" ") };
    let mut rows = Vec::new();
    let mut put = |name: &str, value: Option<String>| {
        rows.extend(value.map(|value| vec![name.to_owned(), plain(&value)]));
    };
    put("name", known.name.clone());
    put("version", known.version.clone());
    put("capsule_hash", known.capsule_hash.as_ref().map(ToString::to_string));
    put("core_hash", known.core_hash.as_ref().map(ToString::to_string));
    put("author", known.author.as_ref().map(ToString::to_string));
    put("signers", Some(list(known.signers.iter().map(ToString::to_string).collect())));
    for fact in &known.signatures {
        let text = format!("{} {} {}: {}", fact.scope, fact.suite, fact.keyid, fact.state);
        put("signature", Some(text));
    }
    let unknown = known.unknown_signers.iter().map(ToString::to_string).collect();
    put("unknown keys", Some(list(unknown)));
    table(&[Align::Left, Align::Left], &rows)
}

/// Says in words what no check that passed has shown.
fn not_proved(report: &Report) -> String {
    let passed = |name| report.result(name) == Some(CheckResult::Pass);
    let mut lines = Vec::new();
    if !passed(CheckName::Form) || !passed(CheckName::Hashes) {
        lines.push("that the file is whole and unchanged");
    }
    if !passed(CheckName::Signature) {
        lines.push("that its author signed it");
    }
    if !passed(CheckName::SignerTrusted) {
        lines.push("that the signer is someone you trust");
    }
    if report.result(CheckName::Proof).is_some() && !passed(CheckName::Proof) {
        lines.push("what the promised proof would show");
    }
    if report.result(CheckName::Opened).is_some() && !passed(CheckName::Opened) {
        lines.push("that what is encrypted in it is the module that its author committed to");
    }
    if !passed(CheckName::Dependencies) {
        lines.push("that the packages it needs are here and accepted");
    }
    // What was trusted here before is compared; what others know is not.
    lines.push("that its author made no newer version");
    if report.level < Level::ProofOnly {
        lines.push("anything that a run of it would need");
    }
    lines.push("that the module does what its description says, or any good");
    lines.push("when it was made or signed");
    lines.iter().map(|line| format!("  {line}\n")).collect()
}
