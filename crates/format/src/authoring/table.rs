//! The table of authoring keys: what each accepts and where it goes in the canonical form.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, Grant, guard};

use super::tree::{Node, Value};
use super::{AuthoringError, Place, Source, fees, unit};

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// In the manifest file.
    Manifest,
    /// In the manifest file, also under `[meta]`.
    Meta,
    /// In either file, also under `[policy]`.
    Policy,
}

/// A value in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Text(String),
    Uint(u64),
    Bool(bool),
    /// In ascending order.
    Texts(Vec<String>),
    Money(crate::manifest::Money),
    /// Payee or role with parts per million, in ascending order.
    Shares(Vec<(String, u64)>),
}

type Reader = fn(&Node) -> Result<Fact, AuthoringError>;

/// One row for each authoring key: key, group, canonical place, accepted values.
const TABLE: &[(&str, Group, &str, Reader)] = &[
    ("author", Group::Meta, "author", text),
    ("build_commit", Group::Meta, "build_commit", text),
    ("description", Group::Meta, "description", text),
    ("license", Group::Meta, "license", text),
    ("name", Group::Meta, "name", text),
    ("version", Group::Meta, "version", text),
    ("entry", Group::Manifest, "entry", text),
    ("entries", Group::Manifest, "exec.entries", texts),
    ("exec.binary", Group::Manifest, "exec.binary", text),
    ("exec.entries", Group::Manifest, "exec.entries", texts),
    ("exec.hash", Group::Manifest, "exec.hash", text),
    ("exec.profile", Group::Manifest, "exec.profile", text),
    ("exec.proof_schema", Group::Manifest, "exec.proof_schema", text),
    ("exec.proof_type", Group::Manifest, "proof_type", text),
    ("proof_type", Group::Manifest, "proof_type", text),
    ("resources.cpu", Group::Manifest, "resources.cpu_milli", cpu),
    ("resources.mem", Group::Manifest, "resources.memory_bytes", size),
    ("resources.memory", Group::Manifest, "resources.memory_bytes", size),
    ("resources.net", Group::Manifest, "resources.net", text),
    ("fees.base", Group::Manifest, "fees.base", fees::money),
    ("fees.bounty", Group::Manifest, "fees.bounty", fees::money),
    ("fees.execution", Group::Manifest, "fees.execution", fees::money),
    ("fees.royalties", Group::Manifest, "fees.royalties", fees::royalties),
    ("fees.share_seeders", Group::Manifest, "fees.share_seeders", boolean),
    ("fees.share_verifiers", Group::Manifest, "fees.share_verifiers", boolean),
    ("fees.splits", Group::Manifest, "fees.splits", fees::splits),
    ("limits.cpu", Group::Policy, "limits.fuel", time),
    ("limits.fuel", Group::Policy, "limits.fuel", integer),
    ("limits.calls", Group::Policy, "limits.calls", integer),
    ("limits.log", Group::Policy, "limits.log_bytes", size),
    ("limits.memory", Group::Policy, "limits.memory_bytes", size),
    ("limits.output", Group::Policy, "limits.output_bytes", size),
    ("limits.storage", Group::Policy, "limits.storage_bytes", size),
    ("hostcalls", Group::Policy, "hostcalls", texts),
    ("grants", Group::Policy, "grants", grants),
    ("kinds", Group::Policy, "kinds", texts),
    ("network.allow_mesh", Group::Policy, "network.allow_mesh", boolean),
    ("network.allow_clearnet", Group::Policy, "network.allow_clearnet", boolean),
    ("filesystem.read_only", Group::Policy, "filesystem.read_only", texts),
    ("filesystem.write_allowed", Group::Policy, "filesystem.write_allowed", texts),
];

/// Canonical places with their values, each from where it was written first.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<&'static str, (Fact, Place)>);

impl Facts {
    /// Collects the leaves of one file.
    pub(super) fn collect(&mut self, root: Node) -> Result<(), AuthoringError> {
        self.walk("", root)
    }

    fn walk(&mut self, path: &str, node: Node) -> Result<(), AuthoringError> {
        if let Some((place, read)) = row(path, node.place.source) {
            let fact = read(&node)?;
            return self.insert(place, fact, node.place);
        }
        let Value::Table(members) = node.value else {
            return Err(unknown(&node.place));
        };
        let leads = path.is_empty() || leads_to_row(path, node.place.source);
        if guard!("format.authoring.unknown_table", !leads) {
            return Err(unknown(&node.place));
        }
        for (name, member) in members {
            // A quoted key with a dot would be mistaken for a path.
            if guard!("format.authoring.dotted_key", name.contains('.')) {
                return Err(unknown(&member.place));
            }
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            self.walk(&path, member)?;
        }
        Ok(())
    }

    /// Keeps a fact; one that is given twice with different values is E043.
    pub(super) fn insert(
        &mut self,
        canonical: &'static str,
        fact: Fact,
        place: Place,
    ) -> Result<(), AuthoringError> {
        if let Some((earlier, first)) = self.0.get(canonical) {
            if guard!("format.authoring.conflict", *earlier != fact) {
                return Err(place.refuse(
                    ErrorCode::AuthoringAmbiguous,
                    format!("differs from what {} gives", first.key),
                ));
            }
            return Ok(());
        }
        self.0.insert(canonical, (fact, place));
        Ok(())
    }

    /// Returns where the value of a canonical place was written.
    pub(super) fn place(&self, canonical: &str) -> Option<&Place> {
        self.0.get(canonical).map(|(_, place)| place)
    }

    /// Returns where the place named longest at the start of an error text was written.
    pub(super) fn place_named_in(&self, detail: &str) -> Option<&Place> {
        let detail = ["manifest.", "policy."]
            .iter()
            .find_map(|prefix| detail.strip_prefix(prefix))
            .unwrap_or(detail);
        let named = self.0.iter().filter(|(canonical, _)| detail.starts_with(**canonical));
        named.max_by_key(|(canonical, _)| canonical.len()).map(|(_, (_, place))| place)
    }

    /// Tells whether any place starts with `prefix`.
    pub(super) fn has_any(&self, prefix: &str) -> bool {
        self.0.keys().any(|canonical| canonical.starts_with(prefix))
    }

    pub(super) fn text(&self, canonical: &str) -> Option<&str> {
        match self.fact(canonical) {
            Some(Fact::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn uint(&self, canonical: &str) -> Option<u64> {
        match self.fact(canonical) {
            Some(Fact::Uint(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn bool(&self, canonical: &str) -> bool {
        self.fact(canonical) == Some(&Fact::Bool(true))
    }

    pub(super) fn texts(&self, canonical: &str) -> Option<Vec<String>> {
        match self.fact(canonical) {
            Some(Fact::Texts(texts)) => Some(texts.clone()),
            _ => None,
        }
    }

    pub(super) fn money(&self, canonical: &str) -> Option<crate::manifest::Money> {
        match self.fact(canonical) {
            Some(Fact::Money(money)) => Some(money.clone()),
            _ => None,
        }
    }

    pub(super) fn shares(&self, canonical: &str) -> Option<&[(String, u64)]> {
        match self.fact(canonical) {
            Some(Fact::Shares(shares)) => Some(shares),
            _ => None,
        }
    }

    fn fact(&self, canonical: &str) -> Option<&Fact> {
        self.0.get(canonical).map(|(fact, _)| fact)
    }
}

/// Returns the forms of a row's key that a file may use.
fn spellings(key: &str, group: Group, source: Source) -> Vec<String> {
    match (group, source) {
        (Group::Policy, _) => [key.to_string(), format!("policy.{key}")].into(),
        (Group::Meta, Source::Manifest) => [key.to_string(), format!("meta.{key}")].into(),
        (Group::Manifest, Source::Manifest) => [key.to_string()].into(),
        (Group::Meta | Group::Manifest, Source::Policy) => Vec::new(),
    }
}

fn row(path: &str, source: Source) -> Option<(&'static str, Reader)> {
    let named = |(key, group): (&str, Group)| {
        spellings(key, group, source).iter().any(|spelling| spelling == path)
    };
    TABLE.iter().find(|(key, group, ..)| named((key, *group))).map(|row| (row.2, row.3))
}

/// Tells whether a table at `path` can hold a known key.
fn leads_to_row(path: &str, source: Source) -> bool {
    let inside =
        |spelling: &String| spelling.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    TABLE.iter().any(|(key, group, ..)| spellings(key, *group, source).iter().any(inside))
}

fn unknown(place: &Place) -> AuthoringError {
    place.refuse(ErrorCode::UnknownCriticalField, "no such key")
}

fn wrong(node: &Node, allowed: &str) -> AuthoringError {
    node.place.unit(format!("found {}, allowed {allowed}", node.value.kind()))
}

fn text(node: &Node) -> Result<Fact, AuthoringError> {
    match &node.value {
        Value::Text(text) => Ok(Fact::Text(text.clone())),
        _ => Err(wrong(node, "text")),
    }
}

fn boolean(node: &Node) -> Result<Fact, AuthoringError> {
    match node.value {
        Value::Bool(flag) => Ok(Fact::Bool(flag)),
        _ => Err(wrong(node, "true or false")),
    }
}

fn integer(node: &Node) -> Result<Fact, AuthoringError> {
    match node.value {
        Value::Integer(number) => Ok(Fact::Uint(number)),
        _ => Err(wrong(node, "an integer")),
    }
}

/// Reads text with a unit.
fn with_unit(
    node: &Node,
    allowed: &str,
    read: impl Fn(&str) -> Option<u64>,
) -> Result<Fact, AuthoringError> {
    match &node.value {
        Value::Text(text) => read(text)
            .map(Fact::Uint)
            .ok_or_else(|| node.place.unit(format!("found {text:?}, allowed {allowed}"))),
        _ => Err(wrong(node, allowed)),
    }
}

fn size(node: &Node) -> Result<Fact, AuthoringError> {
    match node.value {
        Value::Integer(bytes) => Ok(Fact::Uint(bytes)),
        _ => with_unit(node, "a size such as 65536, \"64KiB\" or \"1MB\"", unit::size),
    }
}

fn time(node: &Node) -> Result<Fact, AuthoringError> {
    with_unit(node, "a time such as \"500ms\", \"2s\" or \"1min\"", unit::time_as_fuel)
}

fn cpu(node: &Node) -> Result<Fact, AuthoringError> {
    with_unit(node, "processors such as \"500m\", \"2\" or \"0.5\"", unit::cpu_milli)
}

/// Reads a list of texts in any order, without repetition in the result.
fn texts(node: &Node) -> Result<Fact, AuthoringError> {
    let Value::List(items) = &node.value else {
        return Err(wrong(node, "a list of texts"));
    };
    let item = |item: &Node| match &item.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(wrong(item, "text")),
    };
    let mut list: Vec<String> = items.iter().map(item).collect::<Result<_, _>>()?;
    list.sort_unstable();
    list.dedup();
    Ok(Fact::Texts(list))
}

/// Reads a list of grant names and expands each to the imports that it links.
fn grants(node: &Node) -> Result<Fact, AuthoringError> {
    let Fact::Texts(names) = texts(node)? else {
        return Err(wrong(node, "a list of texts"));
    };
    let mut imports = Vec::new();
    for name in names {
        let grant = Grant::from_name(&name).ok_or_else(|| {
            let known: Vec<&str> = Grant::ALL.iter().map(|grant| grant.name()).collect();
            let detail = format!("found {name:?}, allowed {}", known.join(", "));
            node.place.refuse(ErrorCode::SchemaViolation, detail)
        })?;
        imports.extend(grant.hostcalls().map(|call| call.name.to_string()));
    }
    imports.sort_unstable();
    imports.dedup();
    Ok(Fact::Texts(imports))
}
