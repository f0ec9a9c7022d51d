//! Proofs in receipts: which of the attached ones verify.

use kapsule_abi::{ErrorCode, Outcome, guard};
use kapsule_format::package::Package;
use kapsule_format::receipt::{Bundle, Claim, ProofItem, Receipt, STARK};
use kapsule_format::transcript::root;
use kapsule_format::verify::{ProofFinding, proof_items};
use kapsule_format::{DecodeError, Digest};
use kapsule_lower::words::Event;
use kapsule_proof::{
    Expected, Key, Known, ParamSet, ProofFile, ProvenOutcome, ProvenRun, RunStatement, verify,
};

use crate::closure::Sources;
use crate::error::Failure;
use crate::opening::Files;
use crate::proving;
use crate::ui::Ui;

/// Verifies the proofs of our own system that are attached to a receipt.
///
/// Nothing is run: the module is lowered again, and the key of the program is derived from that,
/// which takes about a second.
/// A receipt that cannot be read has no findings, and its report says why.
pub(crate) fn findings(
    ui: &Ui,
    files: &Files,
    sources: &Sources,
) -> Result<Vec<ProofFinding>, Failure> {
    let Ok(receipt) = Receipt::decode(files.bytes()) else { return Ok(Vec::new()) };
    let statement = receipt.claim().statement().hash();
    let of_system = |(name, item): (String, Result<ProofItem, DecodeError>)| {
        let item = item.ok().filter(|item| item.system == STARK)?;
        item.check_inputs(&statement).ok().map(|()| (name, item))
    };
    let items: Vec<(String, ProofItem)> =
        proof_items(&receipt).into_iter().filter_map(of_system).collect();
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let package = match receipt.package() {
        Some(bytes) => Some(bytes.to_vec()),
        None => {
            let found = sources.get(&receipt.claim().exec.capsule_hash)?;
            found.map(|found| found.bytes().to_vec())
        }
    };
    let progress = ui.begin("verifying the proof");
    let judge = |(name, item): &(String, ProofItem)| {
        let result = judge(&receipt, package.as_deref(), item);
        ProofFinding { name: name.clone(), result }
    };
    let found: Vec<ProofFinding> = items.iter().map(judge).collect();
    progress.end("verified what is attached");
    Ok(found)
}

/// Judges one proof against the claim.
fn judge(
    receipt: &Receipt<'_>,
    package: Option<&[u8]>,
    item: &ProofItem,
) -> Result<String, DecodeError> {
    let (claim, refuse) = (receipt.claim(), |code, detail: &str| DecodeError::new(code, detail));
    let package = package.ok_or_else(|| {
        refuse(ErrorCode::EntryAbsent, "the package whose run is proved is not here")
    })?;
    let package = Package::decode(package)?.into_inner();
    let exec = &package.manifest().exec;
    if exec.encrypted.is_some() {
        let detail = "the module is encrypted, and proofs about it are not looked at";
        return Err(refuse(ErrorCode::NotLookedAt, detail));
    }
    // What a proof says of its module, the prover wrote: the module of the package has to be it.
    if guard!("cli.proof.module", exec.hash != claim.exec.module) {
        let detail = "the claim names another module than that of its package";
        return Err(refuse(ErrorCode::ProofProgramMismatch, detail));
    }
    let file = ProofFile::decode(&item.proof)
        .map_err(|error| DecodeError::new(error.code(), error.to_string()))?;
    let key = key(package.payload(), claim, &file.statement)?;
    if guard!("cli.proof.key", Digest::new(key.digest) != item.key) {
        let detail = "the proof names another verifying key than that of the module";
        return Err(refuse(ErrorCode::VerifyingKeyUntrusted, detail));
    }
    let events = events(receipt)?;
    check(claim, &key, file, (events, *exec.hash.as_bytes()))
}

/// Derives the key of the module for the granted memory.
fn key(module: &[u8], claim: &Claim, statement: &RunStatement) -> Result<Key, DecodeError> {
    let refuse = |code, detail: String| DecodeError::new(code, detail);
    let sets = ParamSet::ALL.into_iter().filter(|set| set.proven_bits > 0);
    let params =
        sets.into_iter().find(|set| set.number == statement.param_set).ok_or_else(|| {
            let code = ErrorCode::DevProofRefused;
            refuse(code, format!("parameter set {} proves nothing", statement.param_set))
        })?;
    let wrong = |failure: Failure| refuse(ErrorCode::ProofProgramMismatch, failure.to_string());
    let lowered =
        proving::lowered("package.mod", module, claim.exec.memory_bytes).map_err(wrong)?;
    proving::key("package.mod", &lowered, params).map_err(wrong)
}

/// Returns the words of the recorded hostcalls, where the bundle is here and is the claimed one.
fn events(receipt: &Receipt<'_>) -> Result<Option<Vec<Event>>, DecodeError> {
    let exec = &receipt.claim().exec;
    let Some(Ok(bundle)) = receipt.bundle().map(Bundle::decode) else { return Ok(None) };
    let Some(entries) = bundle.transcript()? else { return Ok(None) };
    if guard!("cli.proof.transcript", root(&entries, None) != exec.transcript.root) {
        // The check `transcript` says so; the proof by itself is judged without the records.
        return Ok(None);
    }
    Ok(proving::events(&entries, exec.outcome))
}

/// Verifies a proof against everything that the claim says of the run.
fn check(
    claim: &Claim,
    key: &Key,
    file: ProofFile,
    (events, module_hash): (Option<Vec<Event>>, [u8; 32]),
) -> Result<String, DecodeError> {
    let exec = &claim.exec;
    let expected = Expected {
        module_hash,
        policy_digest: *exec.effective_policy.as_bytes(),
        binding: *claim.statement().hash().as_bytes(),
        entry: &exec.entry,
        transcript: None,
        allow_test_params: false,
    };
    let wrong =
        |error: kapsule_proof::VerifyError| DecodeError::new(error.code(), error.to_string());
    let bits = key.params.proven_bits;
    if let Some(events) = events {
        let known = Known {
            fuel_limit: Some(exec.fuel),
            fuel_used: Some(exec.fuel_used),
            outcome: Some(exec.outcome),
            ..Known::default()
        };
        let run = ProvenRun { policy: Vec::new(), events, proof: file };
        run.check(key, &expected, &known).map_err(wrong)?;
        return Ok(format!("stark, {bits} bits, over the recorded hostcalls"));
    }
    verify(key, &file, &expected).map_err(wrong)?;
    let statement = &file.statement;
    let fuel = (statement.fuel_limit, statement.fuel_used);
    if guard!("cli.proof.fuel", fuel != (exec.fuel, exec.fuel_used)) {
        let detail = "the proof is of a run with other fuel than the claim says";
        return Err(DecodeError::new(ErrorCode::ProofFuelMismatch, detail));
    }
    if guard!("cli.proof.outcome", !agrees(statement.outcome, exec.outcome)) {
        let detail = "the proof is of a run that ended otherwise than the claim says";
        return Err(DecodeError::new(ErrorCode::ProofOutcomeMismatch, detail));
    }
    Ok(format!(
        "stark, {bits} bits, of the run; without the audit bundle only the signature of the issuer \
         ties it to input and output"
    ))
}

/// Tells whether a proven end is the claimed one, as far as a statement tells.
fn agrees(proven: ProvenOutcome, claimed: Outcome) -> bool {
    let detail = claimed.detail();
    match (proven, claimed) {
        (ProvenOutcome::Completed, Outcome::Completed(_)) => true,
        (ProvenOutcome::Trap(code), Outcome::Trapped(_)) => u32::from(code) == detail,
        (ProvenOutcome::OutOfFuel, Outcome::LimitReached(_)) => detail == 0,
        (ProvenOutcome::Denied(code), Outcome::LimitReached(_)) => {
            u32::from(code) == detail && detail > 0
        }
        // Limits 1 to 4 have these numbers too, and no denial has.
        (ProvenOutcome::Denied(code), Outcome::Denied(_)) => u32::from(code) == detail,
        _ => false,
    }
}
