//! What the receipt refers to: bound entries, input and output, the audit bundle and its records.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::super::checks::{failed, not_done, passed};
use super::super::report::{Check, CheckName, CheckResult};
use super::super::signer::Roots;
use super::Session;
use crate::hash::salt_commitment;
use crate::package::Package;
use crate::policy::{self, Policy};
use crate::receipt::da::Sampling;
use crate::receipt::{
    BUNDLE, Blobs, Bundle, BundleRef, Checkpoint, CheckpointKind, ExecBody, NESTED, Nested, Plain,
    Sized, check_call_count, check_calls, root as checkpoint_root,
};
use crate::transcript::{
    Entries, ZERO_HEAD, input_commitment, next_head, output_commitment, root as transcript_root,
};
use crate::{DecodeError, Digest};

impl<'a> Session<'a> {
    /// Makes the checks of level audit-ready.
    pub(super) fn audit(
        &mut self,
        package: Option<&Package>,
        roots: Option<&Roots<'_>>,
        wanted: &[Sampling],
    ) {
        self.effective = package.map(|package| package.policy().clone());
        self.check_entries();
        let events = self.receipt.claim().events.count;
        self.put(match guard!("format.receipt.events", events > 0) {
            false => passed(CheckName::Events, "the claim lists none"),
            true => {
                let detail = "this version reads no event streams";
                not_done(CheckName::Events, ErrorCode::NotLookedAt, detail)
            }
        });
        let bytes = self.bundle_bytes(roots, wanted);
        let Some(bundle) = bytes.as_deref().and_then(|bytes| self.open_bundle(bytes)) else {
            self.check_blobs(None, Salts::unknown(&self.receipt.claim().exec));
            for name in [CheckName::Transcript, CheckName::Checkpoints] {
                let detail = "the audit bundle is not here or not readable";
                self.put(not_done(name, ErrorCode::BlobAbsent, detail));
            }
            debug_assert!(self.checks.contains_key(&CheckName::Availability), "it is said why");
            return;
        };
        let policy = self.check_policies(&bundle, package);
        if policy.is_ok() {
            self.effective = bundle.policy().ok().flatten().or(self.effective.take());
        }
        let salts = Salts::of(&self.receipt.claim().exec, &bundle);
        let (salts, agrees) = match salts {
            Ok(salts) => (salts, policy),
            Err(error) => (Salts::Unknown, policy.and(Err(error))),
        };
        self.conclude(CheckName::Bundle, agrees, "");
        self.check_blobs(Some(&bundle.blobs()), salts);
        let heads = self.check_transcript(&bundle, salts);
        self.check_checkpoints(&bundle, heads.as_deref());
    }

    fn check_entries(&mut self) {
        let absent = self.receipt.absent();
        self.put(match guard!("format.receipt.absent", !absent.is_empty()) {
            false => passed(CheckName::Entries, ""),
            true => {
                let detail = format!("not here: {}", absent.join(", "));
                not_done(CheckName::Entries, ErrorCode::EntryAbsent, detail)
            }
        });
    }

    /// Looks for input and output among the attached files, and among those of the bundle.
    fn check_blobs(&mut self, inside: Option<&Blobs<'_>>, salts: Salts) {
        let blobs = self.receipt.blobs();
        for name in &blobs.other {
            self.ignore(name, ErrorCode::EntryDigestMismatch);
        }
        let exec = &self.receipt.claim().exec;
        self.put(match salts {
            Salts::Unknown => not_done(CheckName::Blobs, self.why_no_salts(), NO_SALTS),
            Salts::Known(seed) => blobs_check(&blobs, inside, exec, seed.as_ref()),
        });
    }

    /// Returns why the salts of the claim are unknown.
    fn why_no_salts(&self) -> ErrorCode {
        match self.checks.get(&CheckName::Bundle).map(|check| check.result) {
            Some(CheckResult::NotDone(code)) => code,
            _ => ErrorCode::BlobAbsent,
        }
    }

    /// Takes the bundle, if it is the one that the claim names, and decrypts it if need be.
    fn bundle_bytes(
        &mut self,
        roots: Option<&Roots<'_>>,
        wanted: &[Sampling],
    ) -> Option<Plain<'a>> {
        let Some(named) = self.receipt.claim().bundle else {
            let detail = "the claim names no audit bundle";
            for name in [CheckName::Bundle, CheckName::Availability] {
                self.put(not_done(name, ErrorCode::BundleAbsent, detail));
            }
            return None;
        };
        let bytes = match self.held_bundle(&named) {
            Ok(bytes) => bytes,
            Err(absent) => {
                self.put(not_done(CheckName::Bundle, absent.code, absent.detail.as_str()));
                let availability = self.sampled(&named, &absent, roots, wanted);
                self.put(availability);
                return None;
            }
        };
        self.put(passed(CheckName::Availability, "the whole bundle is here"));
        match named.open(bytes, self.options.decrypt) {
            Ok(plain) => Some(plain),
            Err(error) => {
                let name = CheckName::Bundle;
                self.put(match error.code {
                    ErrorCode::KeyNotHeld => not_done(name, error.code, error.detail),
                    _ => failed(name, &error.within(BUNDLE)),
                });
                None
            }
        }
    }

    fn open_bundle<'b>(&mut self, bytes: &'b [u8]) -> Option<Bundle<'b>> {
        match Bundle::decode(bytes) {
            Ok(bundle) => Some(bundle),
            Err(error) => {
                self.put(failed(CheckName::Bundle, &error.within(BUNDLE)));
                None
            }
        }
    }

    /// Returns the bytes of the bundle that the claim names, or why they are not here.
    fn held_bundle(&mut self, named: &BundleRef) -> Result<&'a [u8], DecodeError> {
        let refuse = |code, detail: &str| Err(DecodeError::new(code, detail));
        if guard!("format.receipt.coding", named.coding != 0) {
            let detail = "the bundle has an erasure code, which this version does not read";
            return refuse(ErrorCode::CodingUnsupported, detail);
        }
        let Some(bytes) = self.receipt.bundle() else {
            return refuse(ErrorCode::BundleAbsent, "audit.bundle is not here");
        };
        let BundleRef { sha256, size, chunk_root, .. } = BundleRef::of(bytes);
        let same = (sha256, size, chunk_root) == (named.sha256, named.size, named.chunk_root);
        if guard!("format.receipt.bundle", !same) {
            self.ignore(BUNDLE, ErrorCode::BundleMismatch);
            return refuse(ErrorCode::BundleMismatch, "audit.bundle is not the one named");
        }
        Ok(bytes)
    }

    /// Checks that the bundle is of this run, and that its policy is the one that was in force.
    fn check_policies(
        &self,
        bundle: &Bundle<'_>,
        package: Option<&Package>,
    ) -> Result<(), DecodeError> {
        let claim = self.receipt.claim();
        let conflict = |detail: &str| Err(DecodeError::new(ErrorCode::FactsConflict, detail));
        if guard!("format.receipt.bundle_run", bundle.run_id != claim.job.run_id) {
            return conflict("the bundle names another run");
        }
        let Some(policy) = bundle.policy()? else { return Ok(()) };
        let (exec, limits) = (&claim.exec, policy.limits);
        if guard!("format.receipt.effective_policy", policy.hash() != exec.effective_policy) {
            return conflict("the effective policy is another one than exec-body names");
        }
        let granted = exec.fuel <= limits.fuel && exec.memory_bytes <= limits.memory_bytes;
        if guard!("format.receipt.granted", !granted) {
            return conflict("more fuel or memory was granted than the effective policy gives");
        }
        let wider = package.is_some_and(|package| is_wider(&policy, package.policy()));
        if guard!("format.receipt.wider_policy", wider) {
            return conflict("the effective policy allows more than that of the package");
        }
        Ok(())
    }

    /// Compares the entries with count and root; returns the running heads.
    fn check_transcript(&mut self, bundle: &Bundle<'_>, salts: Salts) -> Option<Vec<Digest>> {
        let (name, exec) = (CheckName::Transcript, &self.receipt.claim().exec);
        let Salts::Known(seed) = salts else {
            self.put(not_done(name, self.why_no_salts(), NO_SALTS));
            return None;
        };
        let entries = match bundle.transcript() {
            Ok(Some(entries)) => entries,
            Ok(None) => {
                self.put(not_done(name, ErrorCode::BlobAbsent, "the bundle has no transcript"));
                return None;
            }
            Err(error) => {
                self.put(failed(name, &error));
                return None;
            }
        };
        let found = (entries.len() as u64, transcript_root(&entries, seed.as_ref()));
        let claimed = (exec.transcript.count, exec.transcript.root);
        if guard!("format.receipt.transcript_root", found != claimed) {
            let detail =
                format!("{} entries lead to {}, claimed are {claimed:?}", found.0, found.1);
            self.put(failed(name, &DecodeError::new(ErrorCode::CountedRootMismatch, detail)));
            return None;
        }
        let inside = check_nested(bundle, exec, &entries, seed.as_ref());
        self.put(match inside {
            Ok(Some(0)) => passed(name, format!("{} entries", found.0)),
            Ok(Some(runs)) => {
                passed(name, format!("{} entries, {runs} runs inside the run", found.0))
            }
            Ok(None) => {
                let detail = format!("the bundle has no {NESTED}, and the claim lists runs");
                not_done(name, ErrorCode::BlobAbsent, detail)
            }
            Err(error) => failed(name, &error),
        });
        Some(heads(&entries, seed.as_ref()))
    }

    fn check_checkpoints(&mut self, bundle: &Bundle<'_>, heads: Option<&[Digest]>) {
        let name = CheckName::Checkpoints;
        let claim = self.receipt.claim();
        let checked = match bundle.checkpoints() {
            Ok(Some(checkpoints)) => {
                let count = checkpoints.len();
                let steps = (claim.trace_spec.fuel_step, claim.trace_spec.hostcall_step);
                compare_checkpoints(&claim.exec, &checkpoints, heads)
                    .and_then(|()| check_steps(&checkpoints, steps))
                    .map(|()| format!("{count} checkpoints"))
            }
            Ok(None) => {
                self.put(not_done(name, ErrorCode::BlobAbsent, "the bundle has no checkpoints"));
                return;
            }
            Err(error) => Err(error),
        };
        self.put(match checked {
            Ok(detail) => passed(name, detail),
            Err(error) => failed(name, &error),
        });
    }
}

/// Why values cannot be compared with their commitments.
const NO_SALTS: &str = "commitments are salted, and the salt seed is in the audit bundle alone";

/// What the commitments of a claim are salted with.
#[derive(Clone, Copy)]
enum Salts {
    /// The seed, or nothing.
    Known(Option<[u8; 32]>),
    /// A seed that is not here.
    Unknown,
}

impl Salts {
    /// Without a bundle a seed is not known.
    const fn unknown(exec: &ExecBody) -> Self {
        match exec.salt_commitment {
            Some(_) => Self::Unknown,
            None => Self::Known(None),
        }
    }

    /// Compares the seed of the bundle with the claim.
    fn of(exec: &ExecBody, bundle: &Bundle<'_>) -> Result<Self, DecodeError> {
        let seed = bundle.salt_seed()?;
        let unasked = seed.is_some() && exec.salt_commitment.is_none();
        if guard!("format.receipt.unasked_salt", unasked) {
            let detail = "the bundle has a salt seed, and the claim names none";
            return Err(DecodeError::new(ErrorCode::FactsConflict, detail));
        }
        let (Some(claimed), Some(seed)) = (exec.salt_commitment, seed) else {
            return Ok(Self::unknown(exec));
        };
        if guard!("format.receipt.salt_seed", salt_commitment(&seed) != claimed) {
            let detail = "the salt seed of the bundle is not the one that the claim names";
            return Err(DecodeError::new(ErrorCode::CommitmentMismatch, detail));
        }
        Ok(Self::Known(Some(seed)))
    }
}

/// Checks the runs inside the run and returns how many there are, or `None` where they are not
/// here.
fn check_nested(
    bundle: &Bundle<'_>,
    exec: &ExecBody,
    entries: &Entries,
    seed: Option<&[u8; 32]>,
) -> Result<Option<u64>, DecodeError> {
    check_call_count(exec, entries)?;
    let Some(nested) = bundle.nested(exec)? else {
        return Ok(exec.nested.is_empty().then_some(0));
    };
    check_calls(exec, entries, &nested, seed)?;
    Ok(Some(nested.iter().map(Nested::count).sum()))
}

/// Says whether input and output are among the files and open their commitments.
fn blobs_check(
    blobs: &Blobs<'_>,
    inside: Option<&Blobs<'_>>,
    exec: &ExecBody,
    seed: Option<&[u8; 32]>,
) -> Check {
    let held = |sized: &Sized, commit: fn(Option<&[u8; 32]>, &[u8]) -> Digest| {
        let opens = |bytes: &[u8]| commit(seed, bytes) == sized.digest;
        // Nobody need attach a file of no bytes.
        (sized.size == 0 && opens(&[]))
            || blobs.find(sized.size, opens).is_some()
            || inside.is_some_and(|blobs| blobs.find(sized.size, opens).is_some())
    };
    let missing: Vec<&str> = [
        ("input", held(&exec.input, input_commitment)),
        ("output", held(&exec.output, output_commitment)),
    ]
    .into_iter()
    .filter_map(|(name, held)| (!held).then_some(name))
    .collect();
    if guard!("format.receipt.blobs", !missing.is_empty()) {
        let code = match blobs.other.is_empty() {
            true => ErrorCode::BlobAbsent,
            false => ErrorCode::EntryDigestMismatch,
        };
        let detail: String = format!("not here: {}", missing.join(", "));
        return not_done(CheckName::Blobs, code, detail);
    }
    passed(CheckName::Blobs, "input and output")
}

/// Tells whether a policy allows what that of the package does not.
fn is_wider(policy: &Policy, package: &Policy) -> bool {
    match policy::effective(package, policy) {
        Ok((common, _)) => common != *policy,
        Err(_) => true,
    }
}

/// Returns the running head before the first entry and after each.
fn heads(entries: &Entries, seed: Option<&[u8; 32]>) -> Vec<Digest> {
    let mut heads = Vec::with_capacity(entries.len() + 1);
    let mut head = ZERO_HEAD;
    heads.push(head);
    for (entry, seq) in entries.iter().zip(0..) {
        head = next_head(&head, &entry.leaf(seq, seed));
        heads.push(head);
    }
    heads
}

/// Compares the checkpoints with what the claim and the transcript say.
fn compare_checkpoints(
    exec: &ExecBody,
    checkpoints: &[Checkpoint],
    heads: Option<&[Digest]>,
) -> Result<(), DecodeError> {
    let found = (checkpoints.len() as u64, checkpoint_root(checkpoints));
    let claimed = (exec.checkpoints.count, exec.checkpoints.root);
    if guard!("format.receipt.checkpoint_root", found != claimed) {
        let detail = format!("{} checkpoints do not lead to the claimed root", found.0);
        return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
    }
    let conflict = |detail: &str| Err(DecodeError::new(ErrorCode::FactsConflict, detail));
    let [first, .., last] = checkpoints else {
        return conflict("there are fewer than two checkpoints");
    };
    let start = (CheckpointKind::Start, 0, 0, exec.first_state, exec.storage_before);
    let end = (
        CheckpointKind::End,
        exec.fuel_used,
        exec.transcript.count,
        exec.last_state,
        exec.storage_after,
    );
    if guard!("format.receipt.first_checkpoint", facts(first) != start) {
        return conflict("the first checkpoint is not the start that the claim states");
    }
    if guard!("format.receipt.last_checkpoint", facts(last) != end) {
        return conflict("the last checkpoint is not the end that the claim states");
    }
    let inner = &checkpoints[1..checkpoints.len() - 1];
    let hostcalls =
        |one: &Checkpoint| matches!(one.kind, CheckpointKind::Hostcall | CheckpointKind::Fuel);
    let grows = |pair: &[Checkpoint]| {
        pair[0].fuel <= pair[1].fuel && pair[0].hostcalls <= pair[1].hostcalls
    };
    let ordered = inner.iter().all(hostcalls) && checkpoints.windows(2).all(grows);
    if guard!("format.receipt.checkpoint_order", !ordered) {
        return conflict("checkpoints are not a start, hostcalls in order, and an end");
    }
    let head = |one: &Checkpoint| {
        let index = usize::try_from(one.hostcalls).unwrap_or(usize::MAX);
        heads.is_none_or(|heads| heads.get(index) == Some(&one.head))
    };
    if guard!("format.receipt.checkpoint_head", !checkpoints.iter().all(head)) {
        return conflict("a checkpoint has another running head than the transcript");
    }
    Ok(())
}

/// Checks that without a rule there is no checkpoint between start and end.
fn check_steps(checkpoints: &[Checkpoint], steps: (u64, u64)) -> Result<(), DecodeError> {
    if guard!("format.receipt.steps", steps == (0, 0) && checkpoints.len() > 2) {
        let detail = "there are checkpoints at hostcalls, and the trace spec has no rule for them";
        return Err(DecodeError::new(ErrorCode::FactsConflict, detail));
    }
    Ok(())
}

type Moment = (CheckpointKind, u64, u64, crate::transcript::StateHash, Digest);

fn facts(checkpoint: &Checkpoint) -> Moment {
    let Checkpoint { kind, fuel, hostcalls, state, .. } = checkpoint;
    (*kind, *fuel, *hostcalls, checkpoint.state_hash(), state.storage_root)
}
