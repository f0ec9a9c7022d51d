//! Fees as authors write them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use super::table::{Fact, Facts};
use super::tree::{Node, Value};
use super::{AuthoringError, unit};
use crate::manifest::{Extensions, Fees, Money, PPM_WHOLE, Role, Royalty, Split};

/// Parts per million that a shared role gets where the author gives no splits.
const SHARED_PPM: u64 = 250_000;

/// Reads money such as `"0.0001 NONOS"`.
pub(super) fn money(node: &Node) -> Result<Fact, AuthoringError> {
    let found = match &node.value {
        Value::Text(text) => unit::money(text).ok_or_else(|| format!("{text:?}")),
        other => Err(other.kind().into()),
    };
    let (amount, asset) = found.map_err(|found| {
        node.place.unit(format!("found {found}, allowed money such as \"0.0001 NONOS\""))
    })?;
    Ok(Fact::Money(Money { amount, asset, extensions: Extensions::new() }))
}

/// Reads a table from role to share, or a list of tables with `role` and `ppm`.
pub(super) fn splits(node: &Node) -> Result<Fact, AuthoringError> {
    shares(node, "role")
}

/// Reads a table from payee to share, or a list of tables with `payee` and `ppm`.
pub(super) fn royalties(node: &Node) -> Result<Fact, AuthoringError> {
    shares(node, "payee")
}

fn shares(node: &Node, key: &str) -> Result<Fact, AuthoringError> {
    let mut shares: Vec<(String, u64)> = match &node.value {
        Value::Table(members) => members
            .iter()
            .map(|(name, value)| Ok((name.clone(), share(value)?)))
            .collect::<Result<_, AuthoringError>>()?,
        Value::List(items) => {
            items.iter().map(|item| listed_share(item, key)).collect::<Result<_, _>>()?
        }
        other => {
            let detail = format!("found {}, allowed a table from {key} to share", other.kind());
            return Err(node.place.unit(detail));
        }
    };
    shares.sort_unstable();
    let repeated = shares.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if guard!("format.authoring.repeated_share", repeated) {
        let detail = format!("the same {key} is given twice");
        return Err(node.place.refuse(ErrorCode::AuthoringAmbiguous, detail));
    }
    Ok(Fact::Shares(shares))
}

/// Reads `{ <key> = "...", ppm = <share> }`.
fn listed_share(item: &Node, key: &str) -> Result<(String, u64), AuthoringError> {
    let wrong = || item.place.unit(format!("allowed is {{ {key} = \"...\", ppm = n }}"));
    let Value::Table(members) = &item.value else {
        return Err(wrong());
    };
    let member = |name: &str| {
        members.iter().find(|(member, _)| member == name).map(|(_, node)| node).ok_or_else(wrong)
    };
    let (name, ppm) = (member(key)?, member("ppm")?);
    if guard!("format.authoring.share_members", members.len() != 2) {
        return Err(wrong());
    }
    match &name.value {
        Value::Text(text) => Ok((text.clone(), share(ppm)?)),
        _ => Err(wrong()),
    }
}

fn share(node: &Node) -> Result<u64, AuthoringError> {
    let ppm = match &node.value {
        Value::Integer(ppm) => Some(*ppm),
        Value::Text(text) => unit::percent_as_ppm(text),
        _ => None,
    };
    ppm.ok_or_else(|| {
        node.place.unit("a share is an integer in parts per million, or text such as \"12.5%\"")
    })
}

/// Builds the fees of a manifest, or none where the author names none.
pub(super) fn build(facts: &Facts) -> Result<Option<Fees>, AuthoringError> {
    if !facts.has_any("fees.") {
        return Ok(None);
    }
    let (share_seeders, share_verifiers) =
        (facts.bool("fees.share_seeders"), facts.bool("fees.share_verifiers"));
    let royalties = facts.shares("fees.royalties").unwrap_or(&[]).iter();
    let fees = Fees {
        base: facts.money("fees.base").ok_or_else(|| super::draft::missing("fees.base"))?,
        bounty: facts.money("fees.bounty"),
        execution: facts.money("fees.execution"),
        royalties: royalties
            .map(|(payee, ppm)| Royalty {
                payee: payee.clone(),
                ppm: *ppm,
                extensions: Extensions::new(),
            })
            .collect(),
        share_seeders,
        share_verifiers,
        splits: match facts.shares("fees.splits") {
            Some(shares) => named_splits(facts, shares)?,
            None => default_splits(share_seeders, share_verifiers),
        },
        extensions: Extensions::new(),
    };
    fees.check_shares().map_err(|error| {
        let place = ["fees.splits", "fees.royalties", "fees.base"];
        let place = place.iter().find_map(|name| facts.place(name));
        place.map_or_else(|| super::draft::missing("fees"), |place| place.canonical(&error))
    })?;
    Ok(Some(fees))
}

fn named_splits(facts: &Facts, shares: &[(String, u64)]) -> Result<Vec<Split>, AuthoringError> {
    let split = |(name, ppm): &(String, u64)| match Role::from_name(name) {
        Some(role) => Ok(Split { ppm: *ppm, role, extensions: Extensions::new() }),
        None => {
            let known: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
            let detail = format!("found role {name:?}, allowed {}", known.join(", "));
            let place = facts.place("fees.splits");
            Err(place.map_or_else(
                || super::draft::missing("fees.splits"),
                |place| place.refuse(ErrorCode::SchemaViolation, detail),
            ))
        }
    };
    shares.iter().map(split).collect()
}

fn default_splits(seeders: bool, verifiers: bool) -> Vec<Split> {
    let split = |role, ppm| Split { ppm, role, extensions: Extensions::new() };
    let shared = [(Role::Seeders, seeders), (Role::Verifiers, verifiers)];
    let shared: Vec<Split> = shared
        .into_iter()
        .filter(|(_, given)| *given)
        .map(|(role, _)| split(role, SHARED_PPM))
        .collect();
    let rest = PPM_WHOLE - SHARED_PPM * shared.len() as u64;
    [split(Role::Developer, rest)].into_iter().chain(shared).collect()
}
