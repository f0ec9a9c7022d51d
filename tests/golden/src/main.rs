//! Runs what golden receipts claim and issues them again: they have the same bytes, however this
//! program and the engine in it were built.
//!
//! ```text
//! cargo run --manifest-path tests/golden/Cargo.toml -- spec/vectors/receipt/accept
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use kapsule_engine::{
    Backend, Callee, Compiled, Compose, Job, JobOptions, MemoryHost, Nested, Run, compile, run,
};
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::package::Package;
use kapsule_format::receipt::{
    Bundle, Claim, Evidence, Extras, Issue, NestedEvidence, RECEIPT_POLICY, Receipt, call_input,
    issue,
};
use kapsule_format::receipt_policy::ReceiptPolicy;
use kapsule_format::transcript::input_commitment;
use kapsule_format::verify;
use kapsule_meter::{Options, Profile, meter};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The golden receipts that are whole; the others are made of these.
const NAMES: [&str; 6] =
    ["completed", "composed", "composed-salted", "out-of-fuel", "trapped", "under-policy"];

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "spec/vectors/receipt/accept".into());
    let profile = if cfg!(debug_assertions) { "with" } else { "without" };
    for name in NAMES {
        let path = Path::new(&folder).join(format!("{name}.bin"));
        let made = same(&path);
        match made {
            Ok(bytes) => println!("{name}: the same {bytes} bytes, {profile} debug assertions"),
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Issues the receipt of a file again and compares; returns how long it is.
fn same(path: &Path) -> Result<usize> {
    let golden = std::fs::read(path)?;
    if again(&golden)? == golden { Ok(golden.len()) } else { Err("it has other bytes".into()) }
}

/// Runs what a receipt claims and issues it again with the key of the samples.
fn again(golden: &[u8]) -> Result<Vec<u8>> {
    let receipt = Receipt::decode(golden)?;
    let claim = receipt.claim();
    let bundle = Bundle::decode(receipt.bundle().ok_or("no bundle")?)?;
    let outer = Package::decode(receipt.package().ok_or("no package")?)?.into_inner();
    let mut callees = Vec::new();
    for (_, bytes) in bundle.packages() {
        callees.push(Package::decode(bytes)?.into_inner());
    }
    let salt_seed = bundle.salt_seed()?;
    let opens =
        |bytes: &[u8]| input_commitment(salt_seed.as_ref(), bytes) == claim.exec.input.digest;
    let (own, inside) = (receipt.blobs(), bundle.blobs());
    let size = claim.exec.input.size;
    let input = own.find(size, opens).or_else(|| inside.find(size, opens)).unwrap_or_default();
    let ran = execute(claim, &bundle, &outer, &callees, input)?;
    let key = key_of(claim)?;
    let policy = receipt.bound(RECEIPT_POLICY).map(ReceiptPolicy::decode).transpose()?;
    let extras = Extras {
        policy: policy.map(|policy| (policy, String::new())),
        salt_seed,
        ..Extras::default()
    };
    let of_run = Issue {
        issuer: claim.issuer.clone(),
        run_id: claim.job.run_id,
        start_ms: claim.context.start_ms,
        stop_ms: claim.context.stop_ms,
        package: &outer,
        closure: callees.iter().collect(),
        extras,
    };
    let issued = issue(&of_run, &evidence(input, &ran, &callees)?, None)?;
    Ok(issued.sign([&key])?)
}

fn execute(
    claim: &Claim,
    bundle: &Bundle<'_>,
    outer: &Package,
    callees: &[Package],
    input: &[u8],
) -> Result<Run> {
    let mut library = BTreeMap::new();
    for package in callees {
        let options = verify::Options::default();
        let loaded = verify::load(&package.encode(), None, None, &options);
        let verified = loaded.map_err(|_| "a callee does not verify")?.0;
        let callee = Callee::new(&verified, compiled(package)?).map_err(|error| error.detail)?;
        library.insert(package.capsule_hash(), Arc::new(callee));
    }
    let policy = bundle.policy()?.ok_or("no effective policy")?;
    let job = Job {
        capsule_hash: outer.capsule_hash(),
        core_hash: outer.core_hash(),
        profile: Profile::Integer1,
        entry: &claim.exec.entry,
        input,
        policy: &policy,
        fuel: claim.exec.fuel,
        memory_bytes: claim.exec.memory_bytes,
        seed: claim.job.nonce,
        deadline: None,
        compose: Some(Compose { dependencies: outer.dependencies(), callees: &library }),
        options: JobOptions { states: true, ..JobOptions::default() },
    };
    Ok(run(&compiled(outer)?, &job, &mut MemoryHost::default())?)
}

fn compiled(package: &Package) -> Result<Compiled> {
    let metered = meter(package.payload(), &Options::new(Profile::Integer1))?;
    Ok(compile(&metered, Backend::Wasmi)?)
}

fn evidence<'a>(input: &'a [u8], run: &'a Run, packages: &'a [Package]) -> Result<Evidence<'a>> {
    let transcript = run.transcript.as_ref().ok_or("no transcript")?;
    let states = run.states.as_ref().ok_or("no states")?;
    let inside = |nested: &'a Nested| {
        let entry = transcript.entries.get(usize::try_from(nested.call)?).ok_or("no entry")?;
        let input = call_input(&entry).ok_or("no input")?;
        let is_it = |package: &&Package| -> bool { package.capsule_hash() == nested.package };
        let package: &Package = packages.iter().find(is_it).ok_or("no callee")?;
        Ok(NestedEvidence { package, evidence: evidence(input, &nested.run, packages)? })
    };
    Ok(Evidence {
        transcript,
        first: &states.first,
        last: &states.last,
        input,
        output: &run.output,
        nested: run.nested.iter().map(inside).collect::<Result<_>>()?,
    })
}

/// Returns the key that signed a sample: published test keys, which prove nothing.
fn key_of(claim: &Claim) -> Result<SecretKey> {
    let mut ascending = [0; 32];
    (1..).zip(&mut ascending).for_each(|(value, byte)| *byte = value);
    for seed in [[7; 32], ascending] {
        let key = SecretKey::from_seed(Suite::Ed25519, &seed)?;
        let identity = Identity::try_from(key.public().clone())?;
        if identity == claim.issuer {
            return Ok(key);
        }
    }
    Err("an issuer whose key nobody published".into())
}
