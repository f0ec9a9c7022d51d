//! The one function that narrows a package's policy by a host's grant.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use kapsule_abi::{ErrorCode, guard};

use super::{Filesystem, Limits, Network, Policy, path};
use crate::DecodeError;
use crate::limits::PATHS_MAX;

/// Which of the two policies narrowed a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The policy section of the package.
    Package,
    /// The host's own grant.
    Host,
}

/// One line of explanation: a value of one side that the other side made smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing {
    /// Place in the policy, such as `limits.fuel`.
    pub field: &'static str,
    /// The side that is stricter here.
    pub by: Side,
    /// What the other side has and what is left of it.
    pub detail: String,
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            Side::Package => "package",
            Side::Host => "host grant",
        };
        write!(f, "{}: {} (narrowed by the {by})", self.field, self.detail)
    }
}

/// Returns what both `package` and `grant` allow, and what was taken away on the way.
///
/// The result is at most either side, and swapping the sides changes the explanation only.
///
/// # Errors
/// E127 if both sides name capsule kinds and none is common; E004 if the common paths of one list
/// are more than a policy can hold.
///
/// # Spec
/// `spec/policy.md`, section "Effective policy"; vectors in `spec/vectors/policy/`.
pub fn effective(
    package: &Policy,
    grant: &Policy,
) -> Result<(Policy, Vec<Narrowing>), DecodeError> {
    let mut notes = Vec::new();
    let policy = Policy {
        filesystem: Filesystem {
            read_only: common_paths(
                "filesystem.read_only",
                &package.filesystem.read_only,
                &grant.filesystem.read_only,
                &mut notes,
            )?,
            write_allowed: common_paths(
                "filesystem.write_allowed",
                &package.filesystem.write_allowed,
                &grant.filesystem.write_allowed,
                &mut notes,
            )?,
        },
        hostcalls: common_names(&package.hostcalls, &grant.hostcalls),
        kinds: common_kinds(&package.kinds, &grant.kinds)?,
        limits: smaller_limits(&package.limits, &grant.limits, &mut notes),
        network: common_network(package.network, grant.network, &mut notes),
    };
    explain_list("hostcalls", &package.hostcalls, &grant.hostcalls, &policy.hostcalls, &mut notes);
    explain_kinds(package, grant, &policy, &mut notes);
    notes.sort_by_key(|note| (note.field, note.by));
    Ok((policy, notes))
}

const LIMIT_FIELDS: [&str; 6] = [
    "limits.calls",
    "limits.fuel",
    "limits.log_bytes",
    "limits.memory_bytes",
    "limits.output_bytes",
    "limits.storage_bytes",
];

fn smaller_limits(package: &Limits, grant: &Limits, notes: &mut Vec<Narrowing>) -> Limits {
    let mut values = [0; 6];
    let pairs = package.fields().into_iter().zip(grant.fields()).zip(LIMIT_FIELDS);
    for (slot, (((_, asked), (_, given)), field)) in values.iter_mut().zip(pairs) {
        *slot = asked.min(given);
        let by = match asked.cmp(&given) {
            core::cmp::Ordering::Less => Side::Package,
            core::cmp::Ordering::Equal => continue,
            core::cmp::Ordering::Greater => Side::Host,
        };
        notes.push(Narrowing { field, by, detail: format!("{} of {}", *slot, asked.max(given)) });
    }
    Limits::from_values(values)
}

fn common_network(package: Network, grant: Network, notes: &mut Vec<Narrowing>) -> Network {
    let mut both = |field, asked: bool, given: bool| {
        if asked != given {
            let by = if asked { Side::Host } else { Side::Package };
            notes.push(Narrowing { field, by, detail: "false of true".to_string() });
        }
        asked && given
    };
    Network {
        allow_clearnet: both(
            "network.allow_clearnet",
            package.allow_clearnet,
            grant.allow_clearnet,
        ),
        allow_mesh: both("network.allow_mesh", package.allow_mesh, grant.allow_mesh),
    }
}

fn common_names(package: &[String], grant: &[String]) -> Vec<String> {
    package.iter().filter(|name| grant.contains(name)).cloned().collect()
}

fn common_kinds(package: &[String], grant: &[String]) -> Result<Vec<String>, DecodeError> {
    if package.is_empty() {
        return Ok(grant.to_vec());
    }
    if grant.is_empty() {
        return Ok(package.to_vec());
    }
    let common = common_names(package, grant);
    // An empty list would mean "any kind", so nothing in common is a refusal and not a result.
    if guard!("format.policy.kinds_disjoint", common.is_empty()) {
        return Err(DecodeError::new(
            ErrorCode::ResourcesExceedPolicy,
            format!(
                "no capsule kind is common to the package ({}) and the host grant ({})",
                package.join(", "),
                grant.join(", ")
            ),
        ));
    }
    Ok(common)
}

fn common_paths(
    field: &'static str,
    package: &[String],
    grant: &[String],
    notes: &mut Vec<Narrowing>,
) -> Result<Vec<String>, DecodeError> {
    let mut common = BTreeSet::new();
    for asked in package {
        for given in grant {
            if path::covers(asked, given) {
                common.insert(given.clone());
            } else if path::covers(given, asked) {
                common.insert(asked.clone());
            }
        }
    }
    // Two lists of 64 can share up to 126 paths, which no policy can hold.
    if guard!("format.policy.common_paths", common.len() > PATHS_MAX) {
        let found = common.len();
        return Err(DecodeError::new(
            ErrorCode::LimitExceeded,
            format!("{field} of both sides share {found} paths, allowed are {PATHS_MAX}"),
        ));
    }
    let common: Vec<String> = common.into_iter().collect();
    explain_list(field, package, grant, &common, notes);
    Ok(common)
}

/// Adds a line for each side that has an item which is not in the result.
fn explain_list(
    field: &'static str,
    package: &[String],
    grant: &[String],
    common: &[String],
    notes: &mut Vec<Narrowing>,
) {
    for (list, by) in [(package, Side::Host), (grant, Side::Package)] {
        let lost: Vec<&str> =
            list.iter().filter(|item| !common.contains(item)).map(String::as_str).collect();
        if !lost.is_empty() {
            let detail = format!("without {}", lost.join(", "));
            notes.push(Narrowing { field, by, detail });
        }
    }
}

fn explain_kinds(package: &Policy, grant: &Policy, effective: &Policy, notes: &mut Vec<Narrowing>) {
    match (package.kinds.is_empty(), grant.kinds.is_empty()) {
        (true, true) => {}
        (false, false) => {
            explain_list("kinds", &package.kinds, &grant.kinds, &effective.kinds, notes);
        }
        (any, _) => {
            let by = if any { Side::Host } else { Side::Package };
            let detail = format!("{} of any", effective.kinds.join(", "));
            notes.push(Narrowing { field: "kinds", by, detail });
        }
    }
}
