//! `kapsule inspect`

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, Hostcall};
use kapsule_format::closure;
use kapsule_format::manifest::Manifest;
use kapsule_format::package::{Package, PackageId};
use kapsule_meter::{METERING, MeteredModule};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::closure::{Closure, PackageArgs, Seen};
use crate::error::{Done, Failure};
use crate::execute::{self, Loaded};
use crate::identities::IdentityArgs;
use crate::opening::{self, Files};
use crate::text::{facts, grouped, plain};
use crate::ui::Tone;
use crate::{capsules, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule inspect hello.mod
  kapsule inspect hello.mod --header
  kapsule inspect hello.cap
  kapsule inspect hello.kapsule
  kapsule inspect caller.mod --dep callee.mod
  kapsule inspect hello.mod --json";

/// Shows what is in a package, a receipt or a capsule
///
/// The package is decoded with every check of its form, but signatures are not verified:
/// `kapsule verify` does that.
/// Of a capsule everybody sees the metadata, and who holds a key of its channel sees the text.
/// `--header` shows the fixed 61 bytes of any file, also of a damaged one.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Package, receipt or capsule to look at, `-` for stdin
    package: PathBuf,
    /// Show only the header as it stands in the file, right or wrong
    #[arg(long)]
    header: bool,
    #[command(flatten)]
    packages: PackageArgs,
    #[command(flatten)]
    identities: IdentityArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let files = Files::read_as(&args.package, "file")?;
    if args.header {
        return header(context, &files);
    }
    if receipts::is_receipt(files.bytes()) {
        receipts::inspect(&context.ui, &receipts::decode(&files)?)?;
        return Ok(0);
    }
    if capsules::is_capsule(files.bytes()) {
        capsules::inspect(context, &args.identities, &files)?;
        return Ok(0);
    }
    let package = opening::decode(&files)?;
    let name = files.name();
    let module = Module::look(&name, &package);
    let closure = args.packages.sources(context)?.look(&package);
    if context.ui.json() {
        let mut object = to_json(&package, &module)?;
        object["closure"] = closure_json(&package, &closure);
        context.ui.object(&object)?;
    } else {
        context.ui.text(&to_text(context, &package, &module, &closure))?;
        context.ui.say("no signature was verified; `kapsule verify` does that");
    }
    Ok(0)
}

/// One field of the header: name, offset, bytes.
const HEADER: [(&str, usize, usize); 8] = [
    ("magic", 0, 4),
    ("version", 4, 1),
    ("manifest_len", 5, 4),
    ("payload_len", 9, 8),
    ("proof_len", 17, 4),
    ("depmap_len", 21, 4),
    ("policy_len", 25, 4),
    ("capsule_hash", 29, 32),
];

fn header(context: &Context, files: &Files) -> Done {
    let (file, mut rows) = (files.bytes(), Vec::new());
    for (name, offset, length) in HEADER {
        let Some(bytes) = file.get(offset..offset + length) else {
            let hint = "get the file again; the header has 61 bytes";
            let message = format!("{} has no whole header", files.name());
            return Err(Failure::new(ErrorCode::Truncated, message, hint)
                .cause(format!("the file has {} bytes", file.len())));
        };
        let text = match length {
            4 if offset == 0 => kapsule_format::hash::encode_hex(bytes),
            32 => kapsule_format::hash::encode_hex(bytes),
            _ => bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)).to_string(),
        };
        rows.push((name, text));
    }
    rows.push(("file_bytes", file.len().to_string()));
    if context.ui.json() {
        let mut object = json!({ "schema": "kapsule/cli-header/1" });
        for (name, text) in rows {
            object[name] = text.into();
        }
        context.ui.object(&object)?;
    } else {
        context.ui.text(&facts(&rows))?;
    }
    Ok(0)
}

/// What metering says of the module.
enum Module<'a> {
    /// It can run.
    Good(Box<Loaded<'a>>),
    /// Why it cannot run.
    Bad(Failure),
}

impl<'a> Module<'a> {
    fn look(name: &'a str, package: &'a Package) -> Self {
        match execute::peek(name, package) {
            Ok(loaded) => Self::Good(Box::new(loaded)),
            Err(failure) => Self::Bad(failure),
        }
    }

    /// Returns the metered module with its imports, or why it cannot run.
    fn good(&self) -> Result<(&MeteredModule, &[&'static Hostcall]), Failure> {
        match self {
            Self::Good(loaded) => Ok((loaded.module()?, &loaded.imports)),
            Self::Bad(failure) => Err(failure.clone()),
        }
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let (module, imports) = match self.good() {
            Ok(good) => good,
            Err(failure) => {
                return vec![(
                    "cannot run",
                    plain(&format!("{}: {}", failure.kind, failure.causes.join("; "))),
                )];
            }
        };
        let entries: Vec<&str> = module.entries().keys().map(String::as_str).collect();
        let import = |call: &&Hostcall| match call.is_always_granted() {
            true => call.name.to_owned(),
            false => format!("{} ({})", call.name, call.grant_names()),
        };
        let imports: Vec<String> = imports.iter().map(import).collect();
        let memory = module.memory().map_or_else(String::new, |memory| {
            format!("{} to {} pages of 64 KiB", memory.pages_min, memory.pages_max)
        });
        vec![
            ("entries", entries.join(" ")),
            ("imports", imports.join(", ")),
            ("memory", memory),
            ("functions", grouped(module.plan().functions.len() as u64)),
            ("start function", if module.has_start() { "yes" } else { "no" }.to_owned()),
            ("metering", METERING.to_owned()),
            ("metered size", format!("{} bytes", grouped(module.bytes().len() as u64))),
        ]
    }

    fn to_json(&self) -> Value {
        match self.good() {
            Err(failure) => {
                json!({ "problem": failure.kind.to_string(), "causes": failure.causes })
            }
            Ok((module, imports)) => {
                let import = |call: &&kapsule_abi::Hostcall| {
                    let grant = crate::grants::to_json(call);
                    json!({ "number": call.number, "name": call.name, "grant": grant })
                };
                let memory = module.memory();
                json!({
                    "entries": module.entries().keys().collect::<Vec<_>>(),
                    "imports": imports.iter().map(import).collect::<Vec<_>>(),
                    "pages_min": memory.map(|memory| memory.pages_min),
                    "pages_max": memory.map(|memory| memory.pages_max),
                    "functions": module.plan().functions.len(),
                    "start": module.has_start(),
                    "metering": METERING,
                    "metered_bytes": module.bytes().len().to_string(),
                })
            }
        }
    }
}

/// Returns the closure in lines, needed packages first, or what is wrong with it.
fn closure_text(package: &Package, closure: &Closure<Seen>) -> String {
    let closure = match closure {
        Ok(closure) => closure,
        Err(error) => return format!("{}\n", plain(&error.to_string())),
    };
    let order = closure::ordered(&closure.members, package.dependencies());
    if order.is_empty() {
        return "no other package\n".to_owned();
    }
    let line = |id: &PackageId| {
        let title = closure.members.get(id).map_or_else(String::new, |Seen(package)| {
            let manifest = package.manifest();
            plain(&format!("{} {}", manifest.name, manifest.version))
        });
        format!("{id} {title}\n")
    };
    let lines: String = order.iter().map(line).collect();
    let bytes = grouped(closure.bytes);
    format!("{lines}{} in all, {} in a row, {bytes} bytes\n", order.len(), closure.depth)
}

fn closure_json(package: &Package, closure: &Closure<Seen>) -> Value {
    let closure = match closure {
        Ok(closure) => closure,
        Err(error) => {
            let code = error.code().map(|code| code.to_string());
            return json!({ "code": code, "problem": error.to_string() });
        }
    };
    let member = |id: &PackageId| {
        let Seen(package) = closure.members.get(id)?;
        let needs = package.dependencies().iter().map(ToString::to_string);
        Some(json!({
            "capsule_hash": id.to_string(),
            "name": package.manifest().name,
            "version": package.manifest().version.as_str(),
            "dependencies": needs.collect::<Vec<_>>(),
        }))
    };
    let order = closure::ordered(&closure.members, package.dependencies());
    json!({
        "packages": order.iter().filter_map(member).collect::<Vec<_>>(),
        "depth": closure.depth,
        "bytes": closure.bytes.to_string(),
    })
}

fn to_text(
    context: &Context,
    package: &Package,
    module: &Module<'_>,
    closure: &Closure<Seen>,
) -> String {
    let title = |words: &str| context.ui.paint(Tone::Strong, words);
    let layout = package.layout();
    let header = facts(&[
        ("capsule_hash", package.capsule_hash().to_string()),
        ("core_hash", package.core_hash().to_string()),
        ("policy_hash", package.policy_hash().to_string()),
        ("manifest", format!("{} bytes", grouped(layout.manifest_len.into()))),
        ("payload", format!("{} bytes", grouped(layout.payload_len))),
        ("proof", format!("{} bytes", grouped(layout.proof_len.into()))),
        ("dependencies", package.dependencies().len().to_string()),
        ("policy", format!("{} bytes", grouped(layout.policy_len.into()))),
    ]);
    let depends: String = package.dependencies().iter().map(|id| format!("needs {id}\n")).collect();
    let sign = |entry: &kapsule_format::package::Signature| {
        let suite = entry.suite.name();
        format!("{:<10} {suite} key id {}\n", entry.scope.name(), entry.keyid)
    };
    let signatures: String = match package.signatures() {
        [] => "none\n".to_owned(),
        entries => entries.iter().map(sign).collect(),
    };
    let policy = String::from_utf8_lossy(&package.policy().encode()).into_owned();
    format!(
        "{}\n{header}{depends}\n{}\n{}\n{}\n{policy}\n\n{}\n{signatures}\n{}\n{}\n{}\n{}",
        title("Package"),
        title("Manifest"),
        manifest(package.manifest()),
        title("Policy"),
        title("Signatures (not verified here)"),
        title("Module"),
        facts(&module.facts()),
        title("Needs (signatures not verified here)"),
        closure_text(package, closure),
    )
}

fn manifest(manifest: &Manifest) -> String {
    let exec = &manifest.exec;
    let mut rows = vec![
        ("name", manifest.name.clone()),
        ("version", manifest.version.to_string()),
        ("author", plain(&manifest.author)),
    ];
    rows.extend(manifest.author_keys.iter().map(|key| ("author key", key.to_string())));
    let optional = [("description", &manifest.description), ("license", &manifest.license)];
    let present = optional.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)));
    rows.extend(present.map(|(name, text)| (name, plain(text))));
    rows.extend(manifest.build_commit.iter().map(|commit| ("build commit", commit.clone())));
    rows.extend(manifest.previous.iter().map(|id| ("replaces", id.to_string())));
    rows.extend([
        ("kind", exec.kind.to_string()),
        ("abi", exec.abi.to_string()),
        ("profile", exec.profile.to_string()),
        ("entry", exec.entry.clone()),
        ("further entries", exec.entries.as_deref().unwrap_or_default().join(" ")),
        ("binary", exec.binary.clone()),
        ("payload sha256", exec.hash.to_string()),
        ("proof type", manifest.proof_type.to_string()),
    ]);
    rows.retain(|(_, value)| !value.is_empty());
    facts(&rows)
}

fn to_json(package: &Package, module: &Module<'_>) -> Result<Value, Failure> {
    let parse = |bytes: &[u8]| -> Result<Value, Failure> {
        serde_json::from_slice(bytes).map_err(|error| {
            Failure::internal("a section is not JSON", "report this as a bug").cause(error)
        })
    };
    let sign = |entry: &kapsule_format::package::Signature| {
        json!({
            "scope": entry.scope.name(),
            "suite": entry.suite.name(),
            "keyid": entry.keyid.to_string(),
            "signature": kapsule_format::hash::encode_hex(&entry.signature),
        })
    };
    let depends = package.dependencies().iter().map(ToString::to_string);
    let layout = package.layout();
    Ok(json!({
        "schema": "kapsule/cli-inspect/1",
        "capsule_hash": package.capsule_hash().to_string(),
        "core_hash": package.core_hash().to_string(),
        "policy_hash": package.policy_hash().to_string(),
        "body_sha256": package.body_sha256().to_string(),
        "sections": {
            "manifest": layout.manifest_len,
            "payload": layout.payload_len.to_string(),
            "proof": layout.proof_len,
            "depmap": layout.depmap_len,
            "policy": layout.policy_len,
        },
        "manifest": parse(&package.manifest().encode())?,
        "policy": parse(&package.policy().encode())?,
        "dependencies": depends.collect::<Vec<_>>(),
        "signatures": package.signatures().iter().map(sign).collect::<Vec<_>>(),
        "module": module.to_json(),
    }))
}
