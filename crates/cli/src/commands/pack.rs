//! `kapsule pack`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kapsule_format::authoring::{Inputs, Syntax, Text};
use kapsule_format::key::PublicKey;
use kapsule_format::limits::{AUTHORING_BYTES_MAX, PAYLOAD_BYTES_MAX};
use kapsule_format::package::{Package, PackageId, Scope};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{KeyName, StoredIdentity};
use crate::opening::{self, Files};
use crate::packing::{self, Authoring};
use crate::passphrase::PassphraseArgs;
use crate::wasi::WasiArgs;
use crate::{files, identities};

const EXAMPLES: &str = "\
Examples:
  kapsule pack hello.toml --key alice
  kapsule pack hello.toml --payload hello.wasm -o hello-dev.mod
  kapsule pack hello.toml --key alice --encrypt-to bob.agepub -o hello-for-bob.mod
  kapsule pack hello.yaml --policy strict.yaml --author-key alice -o hello.mod
  kapsule pack caller.toml --dep callee.mod

A manifest in TOML:
  name = \"hello\"
  version = \"0.1.0\"
  author = \"Alice\"
  entry = \"hello.wasm#run\"
  grants = [\"time\"]
  [limits]
  cpu = \"500ms\"
  memory = \"4MiB\"";

/// Packs a module, its manifest and its policy into a package
///
/// The manifest is TOML, YAML or JSON, as its name ends in `.toml`, `.yaml`, `.yml` or `.json`.
/// Policy keys stand in it or in a file of their own.
/// Equal facts give equal bytes in each syntax.
/// With `--key` the identity of that name becomes the author of the package and signs it with each
/// of its keys; without a key the package is unsigned, and nobody vouches for it.
/// A module that no host could run is refused here already.
/// With `--encrypt-to` only the holders of those keys can run it, and everyone can verify it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Manifest file, `-` for TOML from stdin
    manifest: PathBuf,
    /// Module file; by default the one that the manifest names, relative to it
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
    /// Policy file, in addition to the policy keys of the manifest
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Package to write; by default the name of the package with `.mod`
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Name of the author, who signs with every key
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    /// Name of the author without signing; sign later with `kapsule sign`
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    author_key: Option<KeyName>,
    /// `capsule_hash` of the package that this one replaces
    #[arg(long, value_name = "HASH", value_parser = opening::decode_id)]
    previous: Option<PackageId>,
    /// `capsule_hash` of a package that this one needs; may be repeated
    #[arg(long = "depends", value_name = "HASH", value_parser = opening::decode_id)]
    dependencies: Vec<PackageId>,
    /// Encrypt the module to `age1...`, to the lines of a `.agepub` file, or to a key of the home;
    /// may be repeated
    #[arg(long = "encrypt-to", value_name = "RECIPIENT")]
    recipients: Vec<String>,
    /// Package file that this one needs; may be repeated
    #[arg(long = "dep", value_name = "FILE")]
    needed: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    wasi: WasiArgs,
}

impl Args {
    /// Returns the arguments to pack a module that was built.
    pub(super) fn of(
        manifest: PathBuf,
        payload: PathBuf,
        output: Option<PathBuf>,
        key: Option<KeyName>,
        passphrase: PassphraseArgs,
    ) -> Self {
        Self {
            manifest,
            payload: Some(payload),
            policy: None,
            output,
            key,
            author_key: None,
            previous: None,
            dependencies: Vec::new(),
            recipients: Vec::new(),
            needed: Vec::new(),
            passphrase,
            wasi: WasiArgs::default(),
        }
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    if let Some(output) = &args.output {
        files::check_writable(output)?;
    }
    files::check_one_stdin(&[Some(args.manifest.as_path()), args.passphrase.file()])?;
    let (author, author_keys) = author(context, args)?;
    let mut package = pack(args, &author_keys)?;
    if let Some(author) = &author {
        packing::sign(&mut package, Scope::Author, author, false)?;
    }
    let default = || PathBuf::from(format!("{}.mod", package.manifest().name));
    let output = args.output.clone().unwrap_or_else(default);
    if files::is_dash(&output) && context.ui.json() {
        let hint = "name a file with -o";
        return Err(Failure::usage("--json and `-o -` both need stdout", hint));
    }
    let bytes = package.encode();
    files::write(&context.ui, &output, &bytes)?;
    report(context, &package, &output, bytes.len())
}

/// Returns who signs, if anyone does now, and the keys that the manifest names.
fn author(
    context: &Context,
    args: &Args,
) -> Result<(Option<StoredIdentity>, Vec<PublicKey>), Failure> {
    if let Some(name) = &args.key {
        let author = context.keys()?.load(name, &args.passphrase)?;
        let keys = author.identity.keys().to_vec();
        return Ok((Some(author), keys));
    }
    match &args.author_key {
        Some(name) => Ok((None, context.keys()?.look(name)?.identity.keys().to_vec())),
        None => Ok((None, Vec::new())),
    }
}

fn pack(args: &Args, author_keys: &[PublicKey]) -> Result<Package, Failure> {
    let (manifest_name, manifest) = read_text(&args.manifest, "manifest")?;
    let policy = args.policy.as_deref().map(|path| read_text(path, "policy")).transpose()?;
    let text = |path: &Path, text| Ok::<_, Failure>(Text { syntax: syntax_of(path)?, text });
    let policy = match (&args.policy, &policy) {
        (Some(path), Some((name, policy))) => Some((name.as_str(), text(path, policy)?)),
        _ => None,
    };
    let manifest = text(&args.manifest, &manifest)?;
    let authoring = Authoring { manifest_name: &manifest_name, manifest, policy };
    let draft = authoring.draft()?;
    let beside = |label: &str| args.manifest.with_file_name("").join(label);
    let payload = args.payload.clone().unwrap_or_else(|| beside(draft.binary()));
    let payload = files::read(&payload, "payload", PAYLOAD_BYTES_MAX)?;
    let schema = draft.proof_schema().map(beside);
    let schema = schema.map(|path| files::read(&path, "proof schema", PAYLOAD_BYTES_MAX));
    let schema = schema.transpose()?;
    let mut inputs = Inputs {
        payload: &payload,
        proof_schema: schema.as_deref(),
        author_keys,
        previous: args.previous,
    };
    let adapted;
    if args.wasi.is_program() {
        adapted = args.wasi.adapt(draft.binary(), &payload, &authoring.policy(&draft, &inputs)?)?;
        inputs.payload = &adapted;
    }
    let recipients = identities::recipients(&args.recipients)?;
    authoring.pack(&draft, &inputs, &dependencies(args)?, &recipients)
}

/// Returns what the package needs, each once.
fn dependencies(args: &Args) -> Result<Vec<PackageId>, Failure> {
    let mut ids: BTreeSet<PackageId> = args.dependencies.iter().copied().collect();
    for path in &args.needed {
        ids.insert(opening::decode(&Files::read(path)?)?.capsule_hash());
    }
    Ok(ids.into_iter().collect())
}

/// Returns the syntax that the name of a file announces; stdin is TOML.
fn syntax_of(path: &Path) -> Result<Syntax, Failure> {
    if files::is_dash(path) {
        return Ok(Syntax::Toml);
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.and_then(Syntax::from_extension).ok_or_else(|| {
        let hint = "name the file .toml, .yaml, .yml or .json after what is in it";
        Failure::usage(format!("{} announces no syntax", files::name(path)), hint)
    })
}

fn read_text(path: &Path, what: &str) -> Result<(String, String), Failure> {
    let bytes = files::read(path, what, AUTHORING_BYTES_MAX as u64)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let hint = "name a file in TOML, YAML or JSON";
        Failure::usage(format!("{} is not text", files::name(path)), hint).cause(error)
    })?;
    Ok((files::name(path), text))
}

/// Returns how many recipients a package has, 0 for one that everyone can run.
fn encrypted_to(package: &Package) -> usize {
    package.manifest().exec.encrypted.as_ref().map_or(0, |encrypted| encrypted.stanzas.len())
}

fn report(context: &Context, package: &Package, output: &Path, bytes: usize) -> Done {
    let manifest = package.manifest();
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-pack/1",
            "file": output.display().to_string(),
            "bytes": bytes.to_string(),
            "name": manifest.name,
            "version": manifest.version.as_str(),
            "capsule_hash": package.capsule_hash().to_string(),
            "core_hash": package.core_hash().to_string(),
            "signatures": package.signatures().len(),
            "recipients": encrypted_to(package),
        }))?;
    } else {
        let signed = if package.signatures().is_empty() { "not signed" } else { "signed" };
        let readers = match encrypted_to(package) {
            0 => String::new(),
            count => format!(", encrypted to {count} recipients"),
        };
        context.ui.say(&format!(
            "packed {} {} into {}, {bytes} bytes, {signed}{readers}\ncapsule_hash {}",
            manifest.name,
            manifest.version,
            output.display(),
            package.capsule_hash(),
        ));
    }
    Ok(0)
}
