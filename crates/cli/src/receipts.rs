//! Receipts: issuing one for a run, verifying one, and repeating its run.

mod repeat;
mod show;

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_engine::Run;
use kapsule_format::container::{self, Kind};
use kapsule_format::hash;
use kapsule_format::key::{SecretKey, Uses};
use kapsule_format::package::Package;
use kapsule_format::receipt::{Claim, Evidence, Issue, Receipt};
use kapsule_format::verify::{CheckResult, ReceiptOptions, Reexecution};

pub(crate) use repeat::{Repeated, repeat};
pub(crate) use show::{diff, inspect};

use crate::cli::Context;
use crate::error::{Done, Failure, Kind as FailureKind};
use crate::execute::Engine;
use crate::keystore::{self, KeyName, StoredIdentity};
use crate::opening::{self, Files, TrustArgs, Verifier};
use crate::ui::Ui;
use crate::{files, words};

/// Tells whether a file is meant to be a receipt.
pub(crate) fn is_receipt(bytes: &[u8]) -> bool {
    container::is_kind(bytes, Kind::Receipt)
}

/// Receipt of a run; shared arguments of `run`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct IssueArgs {
    /// File for a receipt of the run, with package, input, output and audit bundle in it
    #[arg(long, value_name = "FILE", conflicts_with = "batch")]
    pub(crate) receipt: Option<PathBuf>,
    /// Identity that signs the receipt; by default the only one of the key directory
    #[arg(long, value_name = "NAME", requires = "receipt")]
    key: Option<KeyName>,
    /// Nonce that asks for this very run, 64 hex digits; it is the seed of `random` too, and by
    /// default `--seed` or random
    #[arg(long, value_name = "HEX", requires = "receipt", value_parser = decode_nonce)]
    #[arg(conflicts_with = "seed")]
    nonce: Option<Nonce>,
}

/// Nonce of a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nonce(pub(crate) [u8; 32]);

/// Reads a nonce of the command line.
pub(crate) fn decode_nonce(text: &str) -> Result<Nonce, String> {
    hash::decode_hex(text).map(Nonce).map_err(|error| error.to_string())
}

/// What a receipt says of a run that has not happened yet.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// Nonce of the job.
    pub(crate) nonce: [u8; 32],
    run_id: [u8; 16],
    start_ms: u64,
}

impl Moment {
    /// Begins a run now, with a random nonce unless there is one.
    pub(crate) fn now(nonce: Option<[u8; 32]>) -> Result<Self, Failure> {
        let nonce = match nonce {
            Some(nonce) => nonce,
            None => random()?,
        };
        Ok(Self { nonce, run_id: random()?, start_ms: opening::now_ms() })
    }
}

/// Who issues the receipt of a run that has not happened yet.
pub(crate) struct Issuer {
    /// Whose keys sign.
    pub(crate) signer: StoredIdentity,
    /// Which run it will be.
    pub(crate) moment: Moment,
}

impl IssueArgs {
    /// Opens the key and chooses what is random, before the run; `None` where no receipt is asked
    /// for.
    pub(crate) fn issuer(
        &self,
        context: &Context,
        trust: &TrustArgs,
        seed: Option<[u8; 32]>,
    ) -> Result<Option<Issuer>, Failure> {
        if self.receipt.is_none() {
            return Ok(None);
        }
        let keys = context.keys()?;
        let name = match &self.key {
            Some(name) => name.clone(),
            None => only(keys.names()?)?,
        };
        let signer = keys.load(&name, &trust.identities.passphrase)?;
        for key in &signer.keys {
            keystore::refuse_test_key(key.secret.public(), trust.insecure_dev)?;
            if guard!("cli.receipt.uses", key.uses != Uses::Sign) {
                let message = "the receipt cannot be signed with this key";
                let hint = "sign receipts with a key made by `kapsule key new NAME`";
                let cause = format!("the key is for {} only", key.uses.names().join(", "));
                return Err(Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause));
            }
        }
        let moment = Moment::now(self.nonce.map(|nonce| nonce.0).or(seed))?;
        Ok(Some(Issuer { signer, moment }))
    }
}

/// Returns the only name of a key directory.
fn only(names: Vec<KeyName>) -> Result<KeyName, Failure> {
    let count = names.len();
    match <[KeyName; 1]>::try_from(names) {
        Ok([name]) => Ok(name),
        Err(_) => {
            let message = format!("--receipt needs a key, and the key directory holds {count}");
            Err(Failure::usage(message, "name one with --key; `kapsule key new NAME` makes one"))
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::internal("no random numbers", "try again on a machine that gives them")
            .cause(error)
    })?;
    Ok(bytes)
}

/// Makes and signs the receipt of a run.
pub(crate) fn issue(
    signer: &StoredIdentity,
    moment: &Moment,
    package: &Package,
    input: &[u8],
    run: &Run,
) -> Result<(Claim, Vec<u8>), Failure> {
    if guard!("cli.receipt.nested", !run.nested.is_empty()) {
        let message = "this version makes no receipt of a run that calls other packages";
        let hint = "run the packages one by one, each with a receipt of its own";
        return Err(Failure::new(ErrorCode::VersionUnsupported, message, hint));
    }
    let evidence = evidence(input, run)?;
    let issue = Issue {
        issuer: signer.identity.clone(),
        run_id: moment.run_id,
        start_ms: moment.start_ms,
        stop_ms: opening::now_ms().max(moment.start_ms),
        package,
    };
    let refused = |error| {
        let hint = "read less with each hostcall, or run without --receipt";
        Failure::decode("the run does not fit a receipt", &error, hint)
    };
    let issued = kapsule_format::receipt::issue(&issue, &evidence).map_err(refused)?;
    let claim = issued.claim().clone();
    let secrets: Vec<&SecretKey> = signer.keys.iter().map(|key| &key.secret).collect();
    Ok((claim, issued.sign(secrets).map_err(refused)?))
}

/// Returns what a run left behind, as a receipt needs it.
fn evidence<'a>(input: &'a [u8], run: &'a Run) -> Result<Evidence<'a>, Failure> {
    let (Some(transcript), Some(states)) = (&run.transcript, &run.states) else {
        return Err(Failure::internal("the run left no evidence", "report this as a bug"));
    };
    let (first, last) = (&states.first, &states.last);
    Ok(Evidence { transcript, first, last, input, output: &run.output })
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
}

impl ReceiptArgs {
    /// Refuses arguments that mean nothing for a package.
    pub(crate) fn check_package(&self) -> Result<(), Failure> {
        if self.nonce.is_some() || self.reexec {
            let hint = "name a receipt; `kapsule run PACKAGE --receipt FILE` makes one";
            return Err(Failure::usage("--nonce and --reexec are about receipts", hint));
        }
        Ok(())
    }

    /// Verifies a receipt and prints the report.
    pub(crate) fn verify(&self, context: &Context, verifier: &Verifier<'_>, files: &Files) -> Done {
        let ui = &context.ui;
        let mut asked =
            ReceiptOptions { nonce: self.nonce.map(|nonce| nonce.0), reexecution: None };
        let mut report = verifier.receipt(files.bytes(), &asked, self.reexec);
        let contradicted =
            report.checks.iter().any(|check| matches!(check.result, CheckResult::Fail(_)));
        if self.reexec && !contradicted {
            asked.reexecution = Some(reexecution(ui, verifier, files)?);
            report = verifier.receipt(files.bytes(), &asked, true);
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
fn reexecution(ui: &Ui, verifier: &Verifier<'_>, files: &Files) -> Result<Reexecution, Failure> {
    Ok(match repeat(ui, verifier, files, Engine::Auto) {
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
    let files = Files::read(path)?;
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
    let left = report.checks.iter().filter(|check| check.result != CheckResult::Pass);
    let left = left.map(|check| words::of(words::Kind::Receipt, check.name.name()).to_owned());
    let never = words::NEVER_OF_RECEIPTS.iter().map(|line| (*line).to_owned());
    left.chain(never).map(|line| format!("  {line}\n")).collect()
}
