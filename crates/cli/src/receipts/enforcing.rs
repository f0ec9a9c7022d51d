//! The verifier's own files about receipts: policies, their registry, and the access list.

use std::path::{Path, PathBuf};

use kapsule_format::DecodeError;
use kapsule_format::limits::JSON_FILE_BYTES_MAX;
use kapsule_format::receipt_policy::{Acl, ReceiptPolicy, Registry};
use kapsule_format::verify::ReceiptOptions;

use crate::cli::Context;
use crate::error::Failure;
use crate::files;
use crate::opening::Verifier;

/// By which receipt policies a receipt is verified.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Receipts")]
pub(crate) struct PolicyArgs {
    /// Receipt policy to enforce; may be repeated, and the one that the claim names is taken
    #[arg(long = "receipt-policy", value_name = "FILE")]
    policies: Vec<PathBuf>,
    /// Registry of receipt policies that the trust file pins; without it `registry.json` of the
    /// configuration directory is used if it exists, and else the proof in the receipt
    #[arg(long, value_name = "FILE")]
    registry: Option<PathBuf>,
    /// Access list; without it `acl.json` of the configuration directory is used if it exists
    #[arg(long, value_name = "FILE")]
    acl: Option<PathBuf>,
}

impl PolicyArgs {
    /// Tells whether anything was named.
    pub(crate) fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.registry.is_none() && self.acl.is_none()
    }

    /// Reads the files into what a verifier asks.
    pub(crate) fn apply(
        &self,
        context: &Context,
        verifier: &Verifier<'_>,
        asked: &mut ReceiptOptions,
    ) -> Result<(), Failure> {
        let home = context.home().ok();
        let existing = |path: Option<PathBuf>| path.filter(|path| path.exists());
        let configured = |name: &str| existing(home.as_ref().map(|home| home.config_of(name)));
        let read = |path: &PathBuf| read_policy(path);
        asked.policies = self.policies.iter().map(read).collect::<Result<_, Failure>>()?;
        let registry = self.registry.clone().or_else(|| configured("registry.json"));
        asked.registry = registry.as_deref().map(read_registry).transpose()?;
        let acceptance = verifier.acceptance();
        if let Some(acceptance) = acceptance {
            acceptance.apply_to_receipt(asked);
        }
        let acl = self.acl.clone().or_else(|| configured("acl.json"));
        asked.acl = match acl.as_deref().map(read_acl).transpose()? {
            None => None,
            Some((bytes, acl)) => {
                let pinned = acceptance.map_or(Ok(()), |found| found.check_acl(&bytes));
                Some(pinned.map(|()| acl))
            }
        };
        Ok(())
    }
}

/// Reads a receipt policy.
pub(crate) fn read_policy(path: &Path) -> Result<ReceiptPolicy, Failure> {
    let hint = "write one with `kapsule policy receipt RULES`";
    let (_, policy) = read(path, "receipt policy", hint, ReceiptPolicy::decode)?;
    Ok(policy)
}

/// Reads a registry of receipt policies.
pub(crate) fn read_registry(path: &Path) -> Result<Registry, Failure> {
    let hint = "write one with `kapsule policy registry build POLICY --id ID`";
    let (_, registry) = read(path, "registry", hint, Registry::decode)?;
    Ok(registry)
}

/// Reads an access list; returns its bytes too.
pub(crate) fn read_acl(path: &Path) -> Result<(Vec<u8>, Acl), Failure> {
    read(path, "access list", "write one with `kapsule policy acl NAME`", Acl::decode)
}

/// Reads and decodes one of the verifier's files.
pub(crate) fn read<T>(
    path: &Path,
    what: &str,
    hint: &str,
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<(Vec<u8>, T), Failure> {
    let bytes = files::read(path, what, JSON_FILE_BYTES_MAX as u64)?;
    let decoded = decode(&bytes).map_err(|error| {
        Failure::decode(format!("{} is not a valid {what}", files::name(path)), &error, hint)
    })?;
    Ok((bytes, decoded))
}
