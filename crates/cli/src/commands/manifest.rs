//! `kapsule manifest`

use std::path::{Path, PathBuf};

use kapsule_format::Digest;
use kapsule_format::hash::sha256;
use kapsule_format::key::SecretKey;
use kapsule_format::limits::MODULE_BYTES_MAX;
use kapsule_format::receipt::{Lockfile, Receipt, ToolchainManifest, UsedTool, vouch};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::{self, KeyName};
use crate::passphrase::PassphraseArgs;
use crate::{files, machine, receipts};

const COLLECT_EXAMPLES: &str = "\
Examples:
  kapsule manifest collect
  kapsule manifest collect --tool rustc=name.txt@1.95.0 --lockfile hello.toml --deterministic-build
  kapsule run hello.mod --key alice --receipt x.cap --host host.json --toolchain toolchain.json
  kapsule manifest collect --host - -q";
const SIGN_EXAMPLES: &str = "\
Examples:
  kapsule manifest sign described.cap --key alice
  kapsule manifest sign described.cap --key alice -o vouched.cap --json";

/// Describes the machine and the tools of a run, and vouches for such descriptions
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Collect(CollectArgs),
    Sign(SignArgs),
}

/// Writes a host manifest of this machine and a toolchain manifest of this command
///
/// What the system says of itself is written down as it says it: processor, memory, kernel,
/// graphics processors, Landlock. It is self-reported, and worth as much as the word of who signs
/// it.
/// The toolchain manifest lists this command and what --tool and --lockfile name, by SHA-256.
/// `run --host FILE --toolchain FILE` puts both into a receipt.
#[derive(Debug, clap::Args)]
#[command(after_help = COLLECT_EXAMPLES)]
pub(crate) struct CollectArgs {
    /// File for the host manifest, `-` for stdout
    #[arg(long, value_name = "FILE", default_value = "host.json")]
    host: PathBuf,
    /// File for the toolchain manifest
    #[arg(long, value_name = "FILE", default_value = "toolchain.json")]
    toolchain: PathBuf,
    /// Tool that was used, as NAME=FILE@VERSION; may be repeated
    #[arg(long = "tool", value_name = "TOOL", value_parser = decode_tool)]
    tools: Vec<ToolArg>,
    /// Lock file that was built from; may be repeated
    #[arg(long = "lockfile", value_name = "FILE")]
    lockfiles: Vec<PathBuf>,
    /// Container image that the run is made in, as sha256:HEX
    #[arg(long, value_name = "DIGEST", value_parser = decode_image)]
    container_image: Option<Digest>,
    /// Revision of the sources, 7 to 64 hex digits
    #[arg(long, value_name = "HEX")]
    revision: Option<String>,
    /// Say that the tools come from a deterministic build
    #[arg(long)]
    deterministic_build: bool,
}

/// Vouches for the host and toolchain manifests of a receipt
///
/// The signature is about this run alone, and does not change the id of the receipt; it counts for
/// whoever trusts the identity with the role `manifest`.
#[derive(Debug, clap::Args)]
#[command(after_help = SIGN_EXAMPLES)]
pub(crate) struct SignArgs {
    /// Receipt that binds manifests
    receipt: PathBuf,
    /// Identity that vouches for them
    #[arg(long, value_name = "NAME")]
    key: KeyName,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File to write; by default the receipt is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A tool of the command line.
#[derive(Clone, Debug)]
struct ToolArg {
    name: String,
    file: PathBuf,
    version: String,
}

fn decode_tool(text: &str) -> Result<ToolArg, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| {
        let (file, version) = rest.rsplit_once('@')?;
        Some(ToolArg { name: name.into(), file: file.into(), version: version.into() })
    });
    parts.ok_or_else(|| "a tool is NAME=FILE@VERSION".to_owned())
}

fn decode_image(text: &str) -> Result<Digest, String> {
    let digest = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    digest.ok_or_else(|| "an image is sha256: and 64 hex digits".to_owned())
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Collect(args) => collect(context, args),
        Command::Sign(args) => sign(context, args),
    }
}

fn collect(context: &Context, args: &CollectArgs) -> Done {
    let ui = &context.ui;
    for path in [&args.host, &args.toolchain] {
        files::check_result(ui, path)?;
    }
    let refused = |error| {
        let hint = "name tools and lock files with 1 to 256 plain characters, each once, and a \
                    revision with 7 to 64 hex digits";
        Failure::decode("no manifest can say this", &error, hint)
    };
    let host = machine::host();
    let toolchain = toolchain(args)?;
    let (host, toolchain) = (host.encode(), toolchain.encode());
    // The readers have the rules for names.
    kapsule_format::receipt::HostManifest::decode(&host).map_err(refused)?;
    ToolchainManifest::decode(&toolchain).map_err(refused)?;
    files::write(ui, &args.host, &host)?;
    files::write(ui, &args.toolchain, &toolchain)?;
    let digests = [sha256(&host).to_string(), sha256(&toolchain).to_string()];
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-manifest/1",
            "host": args.host.display().to_string(),
            "host_sha256": digests[0],
            "toolchain": args.toolchain.display().to_string(),
            "toolchain_sha256": digests[1],
        }))?;
    } else {
        let (host, toolchain) = (args.host.display(), args.toolchain.display());
        ui.say(&format!("wrote {host} and {toolchain}, self-reported"));
    }
    Ok(0)
}

fn toolchain(args: &CollectArgs) -> Result<ToolchainManifest, Failure> {
    let digest = |path: &Path, what: &str| -> Result<Digest, Failure> {
        Ok(sha256(&files::read(path, what, 16 * MODULE_BYTES_MAX)?))
    };
    let own = std::env::current_exe().map_err(|error| {
        Failure::internal("this command cannot find its own file", "name it by its path")
            .cause(error)
    })?;
    let own = ToolArg {
        name: env!("CARGO_BIN_NAME").to_owned(),
        file: own,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let tool = |ToolArg { name, file, version }: &ToolArg| {
        let (name, sha256, version) = (name.clone(), digest(file, "tool")?, version.clone());
        Ok(UsedTool { name, sha256, version, extensions: Default::default() })
    };
    let tools = args.tools.iter().chain([&own]).map(tool);
    let mut tools = tools.collect::<Result<Vec<UsedTool>, Failure>>()?;
    tools.sort_by(|left, right| left.name.cmp(&right.name));
    let lockfile = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sha256 = digest(path, "lock file")?;
        Ok(Lockfile { name, sha256, extensions: Default::default() })
    };
    let lockfiles = args.lockfiles.iter().map(lockfile);
    let mut lockfiles = lockfiles.collect::<Result<Vec<Lockfile>, Failure>>()?;
    lockfiles.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(ToolchainManifest {
        container_image: args.container_image,
        deterministic_build: args.deterministic_build,
        lockfiles,
        revision: args.revision.clone(),
        tools,
        extensions: Default::default(),
    })
}

fn sign(context: &Context, args: &SignArgs) -> Done {
    let ui = &context.ui;
    let output = args.output.as_ref().unwrap_or(&args.receipt);
    files::check_result(ui, output)?;
    let held = receipts::read(&args.receipt)?;
    let receipt: Receipt<'_> = receipts::decode(&held)?;
    if !receipt.claim().has_manifests() {
        let hint = "make one with `kapsule run .. --receipt FILE --host FILE --toolchain FILE`";
        return Err(Failure::usage(format!("{} binds no manifests", held.name()), hint));
    }
    let signer = context.keys()?.load(&args.key, &args.passphrase)?;
    for key in &signer.keys {
        keystore::refuse_test_key(key.secret.public(), false)?;
        receipts::check_uses(key)?;
    }
    let secrets: Vec<&SecretKey> = signer.keys.iter().map(|key| &key.secret).collect();
    let bytes = receipts::with_entries(&held, vouch(receipt.claim(), secrets))?;
    files::write(ui, output, &bytes)?;
    let (file, identity) = (output.display().to_string(), signer.identity.id().to_string());
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-manifest-sign/1",
            "file": file,
            "identity": identity,
            "receipt_id": receipt.claim().id().to_string(),
        }))?;
    } else {
        ui.say(&format!("wrote {file}: {identity} vouches for its manifests"));
    }
    Ok(0)
}
