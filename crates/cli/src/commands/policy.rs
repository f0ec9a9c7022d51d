//! `kapsule policy`

mod acl;
mod receipt;
mod registry;

use std::path::PathBuf;

use kapsule_format::package::Package;
use kapsule_format::policy::Policy;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::execute::{self, Loaded};
use crate::grants::{self, Effective, GrantArgs};
use crate::opening::{self, Files};
use crate::text::{Align, grouped, table};
use crate::ui::Tone;

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  kapsule policy explain clock.mod
  kapsule policy explain clock.mod --grant time
  kapsule policy explain hello.mod --policy policy.json --json";
const SHOW_EXAMPLES: &str = "\
Examples:
  kapsule policy show hello.mod
  kapsule policy show hello.mod > policy.json";

/// Shows what a package may do, and keeps the rules for receipts
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Explain(ExplainArgs),
    Show(ShowArgs),
    Receipt(receipt::Args),
    #[command(subcommand)]
    Registry(registry::Command),
    Acl(acl::Args),
}

/// Explains the policy that a run would have here
///
/// The effective policy is what both the package and the host allow: the smaller limits, the common
/// hostcalls, kinds, paths and networks.
/// Signatures are not looked at; `kapsule run` does that first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Package to explain, `-` for stdin
    package: PathBuf,
    #[command(flatten)]
    grants: GrantArgs,
}

/// Prints the policy of a package in its one byte form
///
/// The bytes are what `--policy` reads, so they are a start for a grant of your own.
#[derive(Debug, clap::Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct ShowArgs {
    /// Package, `-` for stdin
    package: PathBuf,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Explain(args) => explain(context, args),
        Command::Show(args) => show(context, args),
        Command::Receipt(args) => receipt::run(context, args),
        Command::Registry(command) => registry::run(context, command),
        Command::Acl(args) => acl::run(context, args),
    }
}

fn show(context: &Context, args: &ShowArgs) -> Done {
    let package = opening::decode(&Files::read(&args.package)?)?;
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-policy/1",
            "policy": to_json(package.policy())?,
            "policy_hash": package.policy_hash().to_string(),
        }))?;
    } else {
        context.ui.data(&package.policy().encode())?;
    }
    Ok(0)
}

fn explain(context: &Context, args: &ExplainArgs) -> Done {
    let files = Files::read(&args.package)?;
    let package = opening::decode(&files)?;
    let effective = args.grants.effective(package.policy())?;
    let name = files.name();
    let loaded = execute::peek(&name, &package)?;
    if context.ui.json() {
        context.ui.object(&explanation_json(&loaded, &effective)?)?;
    } else {
        context.ui.text(&explanation(context, &package, &loaded, &effective))?;
    }
    Ok(0)
}

/// Returns every field of a policy as text.
fn fields(policy: &Policy) -> Vec<(String, String)> {
    let list = |list: &[String], none: &str| match list {
        [] => none.to_owned(),
        list => list.join(" "),
    };
    let limits = policy.limits.fields();
    let mut fields: Vec<(String, String)> =
        limits.map(|(name, value)| (format!("limits.{name}"), grouped(value))).into();
    let mut put = |name: &str, value: String| fields.push((name.to_owned(), value));
    put("hostcalls", list(&policy.hostcalls, "none"));
    put("kinds", list(&policy.kinds, "any"));
    put("filesystem.read_only", list(&policy.filesystem.read_only, "none"));
    put("filesystem.write_allowed", list(&policy.filesystem.write_allowed, "none"));
    put("network.allow_mesh", policy.network.allow_mesh.to_string());
    put("network.allow_clearnet", policy.network.allow_clearnet.to_string());
    fields
}

fn explanation(
    context: &Context,
    package: &Package,
    loaded: &Loaded<'_>,
    effective: &Effective,
) -> String {
    let title = |words: &str| context.ui.paint(Tone::Strong, words);
    let row = ["field", "package asks", "host grants", "in force"].map(str::to_owned);
    let mut rows = vec![row.to_vec()];
    let sides = [package.policy(), &effective.host, &effective.policy].map(fields);
    let [asked, granted, left] = sides;
    for (((name, asked), (_, granted)), (_, left)) in asked.into_iter().zip(granted).zip(left) {
        rows.push(vec![name, asked, granted, left]);
    }
    let narrowed = match effective.narrowings.as_slice() {
        [] => "  nothing\n".to_owned(),
        lines => lines.iter().map(|line| format!("  {line}\n")).collect(),
    };
    let missing = grants::missing(&loaded.imports, &effective.policy);
    let mut imports = Vec::new();
    for call in loaded.imports.iter().copied() {
        let state = if missing.contains(&call) { "REFUSED" } else { "linked" };
        let grant = call.grant_names().to_string();
        imports.push(vec![format!("  {}", call.name), grant, state.to_owned()]);
    }
    let verdict = match missing.as_slice() {
        [] => "every import of the module is linked".to_owned(),
        missing => format!(
            "a run would be refused with {}: {}",
            kapsule_abi::ErrorCode::ImportRefused,
            grants::hint(package.policy(), missing)
        ),
    };
    format!(
        "{}\n{}\n{}\n{narrowed}\n{}\n{}\n{verdict}\n",
        title("Policy"),
        table(&[Align::Left; 4], &rows),
        title("Narrowed"),
        title("Imports"),
        table(&[Align::Left; 3], &imports),
    )
}

fn explanation_json(loaded: &Loaded<'_>, effective: &Effective) -> Result<Value, Failure> {
    let missing = grants::missing(&loaded.imports, &effective.policy);
    let import = |call: &&kapsule_abi::Hostcall| {
        json!({
            "name": call.name,
            "grant": grants::to_json(call),
            "linked": !missing.contains(call),
        })
    };
    let narrowing = |line: &kapsule_format::policy::Narrowing| {
        let text = line.to_string();
        json!({ "field": line.field, "text": text })
    };
    Ok(json!({
        "schema": "kapsule/cli-policy-explain/1",
        "package": to_json(loaded.package.policy())?,
        "host": to_json(&effective.host)?,
        "effective": to_json(&effective.policy)?,
        "effective_hash": effective.policy.hash().to_string(),
        "narrowed": effective.narrowings.iter().map(narrowing).collect::<Vec<_>>(),
        "imports": loaded.imports.iter().map(import).collect::<Vec<_>>(),
        "runs": missing.is_empty(),
    }))
}

/// Returns a policy as the object that its canonical bytes are.
fn to_json(policy: &Policy) -> Result<Value, Failure> {
    serde_json::from_slice(&policy.encode()).map_err(|error| {
        Failure::internal("a policy is not JSON", "report this as a bug").cause(error)
    })
}
