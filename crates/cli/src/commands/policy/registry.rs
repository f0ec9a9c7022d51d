//! `kapsule policy registry`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::receipt_policy::{Registered, Registry, Status};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::{files, receipts};

const BUILD_EXAMPLES: &str = "\
Examples:
  kapsule policy registry build nightly.json --id example
  kapsule policy registry build --extends registry.json --withdraw nightly@1 -o next.json
  kapsule policy registry build nightly.json --id example -o - > registry.json";
const PROVE_EXAMPLES: &str = "\
Examples:
  kapsule policy registry prove registry.json nightly.json
  kapsule policy registry prove registry.json nightly.json -o policy-proof.cbor --json";

/// Keeps the list of receipt policies that are in force
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Build(BuildArgs),
    Prove(ProveArgs),
}

/// Writes a registry, or the successor of one, and prints its root
///
/// A trust file pins a registry by root and size (`kapsule key trust .. --registry FILE`); from
/// then on a receipt under one of its policies can be verified with a proof alone.
#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_EXAMPLES)]
pub(crate) struct BuildArgs {
    /// Receipt policies that are in force, as `kapsule policy receipt` writes them
    policies: Vec<PathBuf>,
    /// Name of a new registry
    #[arg(long, value_name = "ID", required_unless_present = "extends")]
    id: Option<String>,
    /// Registry to write the successor of: the policies are added, the others stay
    #[arg(long, value_name = "FILE", conflicts_with = "id")]
    extends: Option<PathBuf>,
    /// Policy that is no longer in force, as ID@VERSION; may be repeated
    #[arg(long = "withdraw", value_name = "POLICY", requires = "extends")]
    withdrawn: Vec<String>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "registry.json")]
    output: PathBuf,
}

/// Proves that a registry includes a policy that is in force
///
/// The issuer attaches the proof with `run --policy-proof`; it is good as long as trust files pin
/// this very registry.
#[derive(Debug, clap::Args)]
#[command(after_help = PROVE_EXAMPLES)]
pub(crate) struct ProveArgs {
    /// Registry
    registry: PathBuf,
    /// Receipt policy
    policy: PathBuf,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "policy-proof.cbor")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Build(args) => build(context, args),
        Command::Prove(args) => prove(context, args),
    }
}

fn build(context: &Context, args: &BuildArgs) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let mut registry = match (&args.extends, &args.id) {
        (Some(path), _) => {
            let before = receipts::read_registry(path)?;
            Registry { serial: before.serial.saturating_add(1), ..before }
        }
        (None, id) => {
            let id = id.clone().unwrap_or_default();
            Registry { id, serial: 1, policies: Vec::new() }
        }
    };
    for name in &args.withdrawn {
        withdraw(&mut registry, name)?;
    }
    for path in &args.policies {
        let entry = Registered::active(&receipts::read_policy(path)?);
        let same = |held: &Registered| (&held.id, &held.version) == (&entry.id, &entry.version);
        if let Some(held) = registry.policies.iter().find(|held| same(held)) {
            if *held == entry {
                continue;
            }
            let message = format!("the registry has a {} {} already", entry.id, entry.version);
            let hint = "give the changed policy another version";
            return Err(Failure::new(ErrorCode::PolicyDocumentMismatch, message, hint));
        }
        registry.policies.push(entry);
    }
    registry
        .policies
        .sort_by(|left, right| (&left.id, &left.version).cmp(&(&right.id, &right.version)));
    let bytes = registry.encode();
    // The reader has the rules for names and sizes.
    Registry::decode(&bytes).map_err(|error| {
        let hint = "name it with small letters, digits and `_.-`";
        Failure::decode("no registry can say this", &error, hint)
    })?;
    files::write(&context.ui, &args.output, &bytes)?;
    let (file, root) = (args.output.display().to_string(), registry.root().to_string());
    let (serial, size) = (registry.serial, registry.policies.len());
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-registry/1",
            "file": file,
            "id": registry.id,
            "serial": serial.to_string(),
            "size": size,
            "root": root,
        }))?;
    } else {
        context.ui.say(&format!("wrote {file}, serial {serial}, {size} policies, root {root}"));
    }
    Ok(0)
}

fn withdraw(registry: &mut Registry, name: &str) -> Result<(), Failure> {
    let pair = name.split_once('@');
    let wanted =
        |entry: &&mut Registered| Some((entry.id.as_str(), entry.version.as_str())) == pair;
    match registry.policies.iter_mut().find(wanted) {
        Some(entry) => {
            entry.status = Status::Withdrawn;
            Ok(())
        }
        None => {
            let message = format!("the registry has no policy {name:?}");
            Err(Failure::usage(message, "name it as ID@VERSION, as the registry has it"))
        }
    }
}

fn prove(context: &Context, args: &ProveArgs) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let registry = receipts::read_registry(&args.registry)?;
    let policy = receipts::read_policy(&args.policy)?;
    let Some(proof) = registry.prove(&policy.sha256()) else {
        let (id, version) = (&policy.id, &policy.version);
        let message = format!("{id} {version} is not in force in the registry {}", registry.id);
        let hint = "add it with `kapsule policy registry build FILE --extends registry.json`";
        return Err(Failure::new(ErrorCode::PolicyNotInRegistry, message, hint));
    };
    files::write(&context.ui, &args.output, &proof.encode())?;
    let file = args.output.display().to_string();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-policy-proof/1",
            "file": file,
            "index": proof.index.to_string(),
            "size": proof.size.to_string(),
            "root": registry.root().to_string(),
        }))?;
    } else {
        let (index, size) = (proof.index, proof.size);
        context.ui.say(&format!("wrote {file}: policy {index} of {size}"));
    }
    Ok(0)
}
