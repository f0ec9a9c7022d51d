//! What this host grants a package, and what is left of the package's policy.

use std::path::PathBuf;

use kapsule_abi::{ErrorCode, Grant, Hostcall};
use kapsule_format::limits::POLICY_BYTES_MAX;
use kapsule_format::policy::{self, Filesystem, Narrowing, Network, Policy};
use kapsule_meter::MeteredModule;

use crate::error::Failure;
use crate::files;

/// What the host grants; shared by every command that runs or explains.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct GrantArgs {
    /// Policy file (`kapsule/policy/1`) that says what this host grants; without it the limits are
    /// those of the package, no hostcall that needs a grant is linked, and the grant `fs` gives the
    /// paths that the package asks for
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Grant in addition to the policy file, such as `trust.graph`; may be repeated
    #[arg(long = "grant", value_name = "NAME", value_parser = decode_grant)]
    pub(crate) grants: Vec<Grant>,
}

/// Reads the name of a grant on the command line.
pub(crate) fn decode_grant(name: &str) -> Result<Grant, String> {
    Grant::from_name(name).ok_or_else(|| {
        let names = Grant::ALL.map(Grant::name).join(", ");
        format!("grants are {names}")
    })
}

impl GrantArgs {
    /// Returns the host's grant to a package with this policy.
    pub(crate) fn host_grant(&self, package: &Policy) -> Result<Policy, Failure> {
        let mut grant = match &self.policy {
            None => Policy {
                limits: package.limits,
                // Where the paths lead is for the caller to say.
                filesystem: match self.grants.contains(&Grant::Fs) {
                    true => package.filesystem.clone(),
                    false => Filesystem::default(),
                },
                hostcalls: Vec::new(),
                kinds: Vec::new(),
                network: Network::default(),
            },
            Some(path) => {
                let bytes = files::read(path, "policy", POLICY_BYTES_MAX as u64)?;
                Policy::decode(&bytes).map_err(|error| {
                    let message = format!("{} is not a policy file", path.display());
                    let hint = "print one in its only form with `kapsule policy show PACKAGE`";
                    Failure::decode(message, &error, hint)
                })?
            }
        };
        grant.network.allow_clearnet |= self.grants.contains(&Grant::NetClearnet);
        grant.network.allow_mesh |= self.grants.contains(&Grant::NetMesh);
        let calls = self.grants.iter().flat_map(|grant| grant.hostcalls());
        grant.hostcalls.extend(calls.map(|call| call.name.to_owned()));
        grant.hostcalls.sort_unstable();
        grant.hostcalls.dedup();
        Ok(grant)
    }

    /// Narrows a package's policy by the host's grant.
    pub(crate) fn effective(&self, package: &Policy) -> Result<Effective, Failure> {
        let host = self.host_grant(package)?;
        let (policy, narrowings) = policy::effective(package, &host).map_err(|error| {
            let hint = "grant a capsule kind that the package processes in the --policy file";
            Failure::decode("the package and the host have no policy in common", &error, hint)
        })?;
        Ok(Effective { host, policy, narrowings })
    }
}

/// What a run of a package may do on this host.
pub(crate) struct Effective {
    /// What the host grants.
    pub(crate) host: Policy,
    /// What both sides allow.
    pub(crate) policy: Policy,
    /// What was taken away on the way.
    pub(crate) narrowings: Vec<Narrowing>,
}

/// Returns what the fields named `grant` of reports hold: the names, or null without any.
pub(crate) fn to_json(call: &Hostcall) -> Option<String> {
    (!call.is_always_granted()).then(|| call.grant_names().to_string())
}

/// Returns the imports of a module, each once, in order of their numbers.
pub(crate) fn distinct(module: &MeteredModule) -> Vec<&'static Hostcall> {
    let mut imports = module.imports().to_vec();
    imports.sort_unstable_by_key(|call| call.number);
    imports.dedup();
    imports
}

/// Returns the imports that this policy does not link.
pub(crate) fn missing(imports: &[&'static Hostcall], policy: &Policy) -> Vec<&'static Hostcall> {
    imports.iter().copied().filter(|call| !policy.links(call)).collect()
}

/// Says what to do about a refused import: the host can grant it, or the package never asked.
pub(crate) fn hint(package: &Policy, missing: &[&Hostcall]) -> String {
    let asked = |call: &&&Hostcall| package.links(call);
    // Of the two networks, the one that the package asks for.
    let name = |call: &&Hostcall| {
        let open = |grant: &&Grant| **grant != Grant::NetClearnet || package.network.allow_clearnet;
        call.grants.iter().find(open).map_or("none", |grant| grant.name())
    };
    let mut never: Vec<&str> = missing.iter().filter(|call| !asked(call)).map(name).collect();
    let mut wanted: Vec<String> =
        missing.iter().filter(asked).map(|call| format!("--grant {}", name(call))).collect();
    never.dedup();
    wanted.dedup();
    if never.is_empty() {
        return format!("if you allow it, run again with `{}`", wanted.join(" "));
    }
    format!("its author has to add `grants = {never:?}` to the manifest and pack it again")
}

/// Returns the failure of a module whose imports this policy does not link.
pub(crate) fn refused(
    name: &str,
    package: &Policy,
    missing: &[&Hostcall],
    detail: impl ToString,
) -> Failure {
    let message = format!("{name} may not run with this policy");
    Failure::new(ErrorCode::ImportRefused, message, hint(package, missing)).cause(detail)
}
