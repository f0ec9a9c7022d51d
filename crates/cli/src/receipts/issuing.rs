//! Issuing the receipt of a run: who signs, under which policy, and what goes in.

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, guard};
use kapsule_engine::{Nested, Run};
use kapsule_format::encrypt::{self, Recipient};
use kapsule_format::key::SecretKey;
use kapsule_format::package::Package;
use kapsule_format::receipt::{
    Claim, Encryptor, Evidence, Extras, HostManifest, Issue, NestedEvidence, STARK,
    ToolchainManifest, call_input,
};
use kapsule_format::receipt_policy::PolicyProof;

use super::attach::check_uses;
use super::enforcing::{self, read_policy};
use super::{Nonce, decode_nonce};
use crate::cli::Context;
use crate::closure::Library;
use crate::error::Failure;
use crate::identities;
use crate::keystore::{self, KeyName, KeyStore, StoredIdentity};
use crate::opening::{self, TrustArgs};

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
    /// Receipt policy that the issuer submits to
    #[arg(long, value_name = "FILE", requires = "receipt")]
    receipt_policy: Option<PathBuf>,
    /// Track of the receipt policy, whose rules are added
    #[arg(long, value_name = "ID", requires = "receipt_policy", default_value = "")]
    #[arg(hide_default_value = true)]
    track: String,
    /// Proof that a registry includes the receipt policy, as `kapsule policy registry prove` writes
    /// it
    #[arg(long, value_name = "FILE", requires = "receipt_policy")]
    policy_proof: Option<PathBuf>,
    /// Host manifest of this machine, as `kapsule manifest collect` writes it
    #[arg(long, value_name = "FILE", requires = "receipt")]
    host: Option<PathBuf>,
    /// Toolchain manifest
    #[arg(long, value_name = "FILE", requires = "receipt")]
    toolchain: Option<PathBuf>,
    /// Identity that vouches for the manifests; without it `kapsule manifest sign` can do so later
    #[arg(long, value_name = "NAME", requires = "receipt")]
    manifest_key: Option<KeyName>,
    /// Promise a proof of the run, which `kapsule receipt prove` attaches: without one the receipt
    /// is then no more than proof-only
    #[arg(long, requires = "receipt")]
    promise_proof: bool,
    /// Leave the package out of the receipt: who verifies has it, or gets it elsewhere
    #[arg(long, requires = "receipt")]
    no_package: bool,
    /// Hide input, output and hostcalls from those who have no audit bundle: the claim commits to
    /// them under random salts, which the bundle holds
    #[arg(long, requires = "receipt", conflicts_with = "promise_proof")]
    salt: bool,
    /// Encrypt the audit bundle to `age1...`, to the lines of a `.agepub` file, or to a key of the
    /// home, and salt the claim; may be repeated
    #[arg(long = "encrypt-to", value_name = "RECIPIENT", requires = "receipt")]
    #[arg(conflicts_with = "promise_proof")]
    recipients: Vec<String>,
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
    /// What the receipt has besides the run.
    pub(crate) besides: Besides,
}

/// What a receipt has besides the run.
#[derive(Default)]
pub(crate) struct Besides {
    extras: Extras,
    /// Who vouches for the manifests.
    voucher: Option<StoredIdentity>,
    /// Who may read the audit bundle; without any, everybody.
    recipients: Vec<Recipient>,
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
            check_uses(key)?;
        }
        let moment = Moment::now(self.nonce.map(|nonce| nonce.0).or(seed))?;
        let voucher = self.voucher(&keys, trust)?;
        let recipients = identities::recipients(&self.recipients)?;
        let besides = Besides { extras: self.extras()?, voucher, recipients };
        Ok(Some(Issuer { signer, moment, besides }))
    }

    /// Reads what the receipt has besides the run.
    fn extras(&self) -> Result<Extras, Failure> {
        let mut extras = Extras {
            without_package: self.no_package,
            proof_systems: if self.promise_proof { vec![STARK] } else { Vec::new() },
            ..Extras::default()
        };
        if self.salt || !self.recipients.is_empty() {
            extras.salt_seed = Some(random()?);
        }
        if let Some(path) = &self.receipt_policy {
            let policy = read_policy(path)?;
            if guard!("cli.receipt.track", policy.track(&self.track).is_none()) {
                let message = format!("{} has no track {:?}", path.display(), self.track);
                let tracks: Vec<&str> = policy.tracks.iter().map(|one| one.id.as_str()).collect();
                let hint = format!("its tracks: {}", tracks.join(", "));
                return Err(Failure::new(ErrorCode::TrackUnknown, message, hint));
            }
            extras.policy = Some((policy, self.track.clone()));
        }
        if let Some(path) = &self.policy_proof {
            let hint = "write one with `kapsule policy registry prove`";
            let proof = enforcing::read(path, "policy proof", hint, PolicyProof::decode)?;
            extras.policy_proof = Some(proof.1);
        }
        let hint = "write one with `kapsule manifest collect`";
        if let Some(path) = &self.host {
            let host = enforcing::read(path, "host manifest", hint, HostManifest::decode)?;
            extras.host = Some(host.1);
        }
        if let Some(path) = &self.toolchain {
            let decode = ToolchainManifest::decode;
            extras.toolchain = Some(enforcing::read(path, "toolchain manifest", hint, decode)?.1);
        }
        Ok(extras)
    }

    /// Opens the keys of who vouches for the manifests.
    fn voucher(
        &self,
        keys: &KeyStore,
        trust: &TrustArgs,
    ) -> Result<Option<StoredIdentity>, Failure> {
        let Some(name) = &self.manifest_key else { return Ok(None) };
        if self.host.is_none() && self.toolchain.is_none() {
            let hint = "name them with --host and --toolchain";
            return Err(Failure::usage("--manifest-key needs manifests to vouch for", hint));
        }
        let voucher = keys.load(name, &trust.identities.passphrase)?;
        for key in &voucher.keys {
            keystore::refuse_test_key(key.secret.public(), trust.insecure_dev)?;
            check_uses(key)?;
        }
        Ok(Some(voucher))
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

/// Returns random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::internal("no random numbers", "try again on a machine that gives them")
            .cause(error)
    })?;
    Ok(bytes)
}

/// What a receipt is about.
pub(crate) struct Subject<'a> {
    /// The package that ran.
    pub(crate) package: &'a Package,
    /// All that it needs; `None` for a run that calls nothing.
    pub(crate) library: Option<&'a Library<'a>>,
    /// Input.
    pub(crate) input: &'a [u8],
    /// What the engine reports.
    pub(crate) run: &'a Run,
}

impl Issuer {
    /// Makes and signs the receipt of a run.
    pub(crate) fn issue(&self, subject: &Subject<'_>) -> Result<(Claim, Vec<u8>), Failure> {
        issue(&self.signer, &self.moment, &self.besides, subject)
    }
}

/// Makes and signs the receipt of a run.
pub(crate) fn issue(
    signer: &StoredIdentity,
    moment: &Moment,
    besides: &Besides,
    subject: &Subject<'_>,
) -> Result<(Claim, Vec<u8>), Failure> {
    let Subject { package, library, input, run } = *subject;
    let evidence = evidence(input, run, library)?;
    let issue = Issue {
        issuer: signer.identity.clone(),
        run_id: moment.run_id,
        start_ms: moment.start_ms,
        stop_ms: opening::now_ms().max(moment.start_ms),
        package,
        closure: library.map(Library::packages).unwrap_or_default(),
        extras: besides.extras.clone(),
    };
    let refused = |error| {
        let hint = "read less with each hostcall, or run without --receipt";
        Failure::decode("the run does not fit a receipt", &error, hint)
    };
    let encrypt = |bundle: &[u8]| encrypt::encrypt(&besides.recipients, bundle);
    let encryptor = (!besides.recipients.is_empty()).then_some(&encrypt as Encryptor<'_>);
    let issued = kapsule_format::receipt::issue(&issue, &evidence, encryptor);
    let mut issued = issued.map_err(refused)?;
    let claim = issued.claim().clone();
    if let Some(voucher) = &besides.voucher {
        issued.vouch(voucher.keys.iter().map(|key| &key.secret));
    }
    let secrets: Vec<&SecretKey> = signer.keys.iter().map(|key| &key.secret).collect();
    Ok((claim, issued.sign(secrets).map_err(refused)?))
}

/// Returns what a run and the runs inside it left behind, as a receipt needs it.
pub(super) fn evidence<'a>(
    input: &'a [u8],
    run: &'a Run,
    library: Option<&'a Library<'_>>,
) -> Result<Evidence<'a>, Failure> {
    let none = || Failure::internal("the run left no evidence", "report this as a bug");
    let (Some(transcript), Some(states)) = (&run.transcript, &run.states) else {
        return Err(none());
    };
    let inside = |nested: &'a Nested| {
        let call = usize::try_from(nested.call).ok().and_then(|call| transcript.entries.get(call));
        let input = call.and_then(|call| call_input(&call)).ok_or_else(none)?;
        let package = library.and_then(|library| library.package(&nested.package));
        let package = package.ok_or_else(none)?;
        Ok(NestedEvidence { package, evidence: evidence(input, &nested.run, library)? })
    };
    let nested = run.nested.iter().map(inside).collect::<Result<_, Failure>>()?;
    let (first, last) = (&states.first, &states.last);
    Ok(Evidence { transcript, first, last, input, output: &run.output, nested })
}
