//! Receipts: issuing one for a run, verifying one, and repeating its run.

mod attach;
mod enforcing;
pub(crate) mod exchange;
pub(crate) mod folder;
mod issuing;
mod proofs;
mod repeat;
mod show;

use kapsule_abi::ErrorCode;
use kapsule_format::container::{self, Kind};
use kapsule_format::hash;
use kapsule_format::receipt::Receipt;
use kapsule_format::receipt::da::Sampling;
use kapsule_format::verify::{CheckResult, ReceiptOptions, Reexecution};

pub(crate) use attach::{check_uses, is_full, is_large, with_entries};
pub(crate) use enforcing::{PolicyArgs, read_acl, read_policy, read_registry};
use issuing::evidence;
pub(crate) use issuing::{Besides, IssueArgs, Issuer, Moment, Subject, issue, random};
pub(crate) use proofs::findings;
pub(crate) use repeat::{Recording, Repeated, bundle, bundle_bytes, package, repeat};
pub(crate) use show::{diff, inspect};

use crate::cli::Context;
use crate::closure::{PackageArgs, Sources};
use crate::error::{Done, Failure, Kind as FailureKind};
use crate::execute::Engine;
use crate::opening::{self, Files, Verifier};
use crate::ui::Ui;
use crate::{files, words};

/// Tells whether a file is meant to be a receipt.
pub(crate) fn is_receipt(bytes: &[u8]) -> bool {
    container::is_kind(bytes, Kind::Receipt)
}

/// Nonce of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonce(pub(crate) [u8; 32]);

/// Reads a nonce of the command line.
pub(crate) fn decode_nonce(text: &str) -> Result<Nonce, String> {
    hash::decode_hex(text).map(Nonce).map_err(|error| error.to_string())
}

/// What `verify` asks of a receipt alone.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Receipts")]
pub(crate) struct ReceiptArgs {
    /// Nonce that the receipt must have, 64 hex digits: the one that you gave to the run
    #[arg(long, value_name = "HEX", value_parser = decode_nonce)]
    nonce: Option<Nonce>,
    /// Repeat the run of the receipt too, for the check `reexec`, and require that it passes
    #[arg(long)]
    reexec: bool,
    /// How sure to be that an audit bundle can be had which is not here, as PPM/BITS: a challenger
    /// would have noticed the absence of this share of it but for a probability of 2 to the minus
    /// BITS
    #[arg(long, value_name = "PPM/BITS", value_parser = decode_sampling)]
    availability: Option<Sampling>,
    #[command(flatten)]
    policies: PolicyArgs,
}

/// Reads how sure to be that a bundle can be had.
fn decode_sampling(text: &str) -> Result<Sampling, String> {
    let parts = text.split_once('/').and_then(|(ppm, bits)| {
        let (delta_ppm, epsilon_bits) = (ppm.parse().ok()?, bits.parse().ok()?);
        let allowed = delta_ppm < 1_000_000 && (1..=256).contains(&epsilon_bits);
        allowed.then_some(Sampling { delta_ppm, epsilon_bits })
    });
    parts.ok_or_else(|| "it is PPM/BITS, such as 100000/20".to_owned())
}

impl ReceiptArgs {
    /// Refuses arguments that mean nothing for a package.
    pub(crate) fn check_package(&self) -> Result<(), Failure> {
        let asked = self.nonce.is_some() || self.reexec || self.availability.is_some();
        if asked || !self.policies.is_empty() {
            let hint = "name a receipt; `kapsule run PACKAGE --receipt FILE` makes one";
            let message = "--nonce, --reexec, --availability, --receipt-policy, --registry and \
                           --acl are about receipts";
            return Err(Failure::usage(message, hint));
        }
        Ok(())
    }

    /// Verifies a receipt and prints the report.
    ///
    /// A package that the receipt leaves out is looked for in `packages`.
    pub(crate) fn verify(
        &self,
        context: &Context,
        verifier: &Verifier<'_>,
        packages: &PackageArgs,
        files: &Files,
    ) -> Done {
        let ui = &context.ui;
        let nonce = self.nonce.map(|nonce| nonce.0);
        let sampling = self.availability;
        let mut asked = ReceiptOptions { nonce, sampling, ..ReceiptOptions::default() };
        self.policies.apply(context, verifier, &mut asked)?;
        asked.proofs = findings(ui, files, &packages.sources(context)?)?;
        let mut report = verifier.receipt(files.bytes(), &asked, self.reexec)?;
        let contradicted =
            report.checks.iter().any(|check| matches!(check.result, CheckResult::Fail(_)));
        if self.reexec && !contradicted {
            asked.reexecution =
                Some(reexecution(ui, verifier, files, &packages.sources(context)?)?);
            report = verifier.receipt(files.bytes(), &asked, true)?;
        }
        if ui.json() {
            let mut bytes = report.encode();
            bytes.push(b'\n');
            ui.data(&bytes)?;
            return Ok(report.exit_code());
        }
        ui.text(&show::report(ui, &files.name(), verifier, &report))?;
        match report.is_accepted() {
            true => Ok(0),
            false => Err(opening::rejected(&files.name(), &report)),
        }
    }
}

/// Repeats the run of a receipt for a report.
fn reexecution(
    ui: &Ui,
    verifier: &Verifier<'_>,
    files: &Files,
    sources: &Sources,
) -> Result<Reexecution, Failure> {
    Ok(match repeat(ui, verifier, files, Engine::Auto, sources) {
        Ok(Repeated { difference: Some(difference), .. }) => {
            Reexecution { result: CheckResult::Fail(ErrorCode::ReplayDiverged), detail: difference }
        }
        Ok(Repeated { backend, .. }) => {
            Reexecution { result: CheckResult::Pass, detail: format!("identical on {backend}") }
        }
        Err(failure) => match failure.kind {
            FailureKind::Code(code) => {
                Reexecution { result: CheckResult::NotDone(code), detail: failure.to_string() }
            }
            _ => return Err(failure),
        },
    })
}

/// Decodes a receipt, and says what is wrong with it otherwise.
pub(crate) fn decode(files: &Files) -> Result<Receipt<'_>, Failure> {
    Receipt::decode(files.bytes()).map_err(|error| {
        let message = format!("{} is not a valid receipt", files.name());
        let hint = "get it again; `kapsule run PACKAGE --receipt FILE` makes one";
        Failure::decode(message, &error, hint)
    })
}

/// Reads a file that has to be a receipt.
pub(crate) fn read(path: &std::path::Path) -> Result<Files, Failure> {
    let files = Files::read_as(path, "receipt")?;
    match is_receipt(files.bytes()) {
        true => Ok(files),
        false => {
            let message = format!("{} is not a receipt", files::name(path));
            let hint = "name a `.cap` file; `kapsule run PACKAGE --receipt FILE` makes one";
            Err(Failure::new(ErrorCode::UnknownFormat, message, hint)
                .cause("it does not begin with the entry claim.cbor"))
        }
    }
}

/// Says in words what a report leaves open.
fn not_proved(report: &kapsule_format::verify::Report) -> String {
    let passed = |name: &str| {
        let pass = CheckResult::Pass;
        report.checks.iter().any(|check| check.name.name() == name && check.result == pass)
    };
    let left = report.checks.iter().filter(|check| {
        check.result != CheckResult::Pass && !words::is_shown_by_others(check.name.name(), passed)
    });
    let left = left.map(|check| words::of(words::Kind::Receipt, check.name.name()).to_owned());
    let never = words::NEVER_OF_RECEIPTS.iter().map(|line| (*line).to_owned());
    left.chain(never).map(|line| format!("  {line}\n")).collect()
}
