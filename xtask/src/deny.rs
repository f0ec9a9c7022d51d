//! `deny`: licences, sources and bans of `deny.toml`, checked on the whole dependency graph.
//!
//! The file is the one that `cargo deny` reads; this command needs no database and nothing
//! installed, so it always runs, and it calls `cargo deny` as well where that exists.

use crate::failure::{Failure, Finding};
use crate::metadata::{self, Package, Scope};
use crate::process;
use crate::toml_file;
use crate::tree::Tree;
use crate::ui;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// Crates of one release train, of which a second version would mean two proof systems.
const ONE_VERSION: &[&str] = &["p3-"];

/// The parts of `deny.toml` that are checked here.
struct Rules {
    licences: Vec<String>,
    bans: Vec<(String, String)>,
    registries: Vec<String>,
}

/// Checks the graph of the workspace.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("deny takes no argument, found `{unknown}`")));
    }
    let rules = rules(tree)?;
    let packages = metadata::load(tree, "Cargo.toml", Scope::Graph)?;
    for (name, versions) in repeated(&packages) {
        ui::line(&format!(
            "note: {name} comes in {} versions: {}",
            versions.len(),
            join(&versions)
        ));
    }
    Failure::from_findings(check(&packages, &rules))?;
    ui::line(&format!("{} packages: licences, sources and bans are in order", packages.len()));
    if process::is_present(tree, "cargo", &["deny", "--version"]) {
        let args = ["deny", "--offline", "check", "licenses", "bans", "sources"];
        return process::run(&mut process::cargo(tree, &args));
    }
    ui::line("skipped: cargo deny, which is not installed; its advisories were not checked");
    Ok(())
}

/// Reads `deny.toml`.
fn rules(tree: &Tree) -> Result<Rules, Failure> {
    toml_file::with_file(tree, "deny.toml", |table| {
        let bans = toml_file::at(table, &["bans", "deny"]).and_then(DeValue::as_array);
        let field = |ban: &DeValue<'_>, key: &str| {
            ban.get(key).and_then(|text| text.get_ref().as_str()).unwrap_or_default().to_owned()
        };
        let bans = bans.into_iter().flatten().map(|ban| ban.get_ref());
        Rules {
            licences: toml_file::texts(toml_file::at(table, &["licenses", "allow"])),
            bans: bans.map(|ban| (field(ban, "name"), field(ban, "reason"))).collect(),
            registries: toml_file::texts(toml_file::at(table, &["sources", "allow-registry"])),
        }
    })
}

/// Returns every package that breaks a rule.
fn check(packages: &[Package], rules: &Rules) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |package: &Package, text: String| {
        findings.push(Finding::new(&format!("{} {}", package.name, package.version), 0, text));
    };
    for package in packages {
        match &package.license {
            None => found(package, "the manifest names no licence".to_owned()),
            Some(expression) if !is_allowed(expression, &rules.licences) => {
                found(package, format!("licence `{expression}` is not in deny.toml"));
            }
            Some(_) => {}
        }
        if let Some((_, reason)) = rules.bans.iter().find(|(name, _)| *name == package.name) {
            found(package, format!("banned: {reason}"));
        }
        let source = package.source.as_deref();
        let known = |source: &str| {
            rules.registries.iter().any(|known| source.strip_prefix("registry+") == Some(known))
        };
        if let Some(source) = source.filter(|source| !known(source)) {
            found(package, format!("source `{source}` is not in deny.toml"));
        }
    }
    for (name, versions) in repeated(packages) {
        if ONE_VERSION.iter().any(|prefix| name.starts_with(prefix)) {
            findings.push(Finding::new(name, 0, format!("versions {} at once", join(&versions))));
        }
    }
    findings
}

/// Returns the packages that come in more than one version.
fn repeated(packages: &[Package]) -> Vec<(&str, BTreeSet<&str>)> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    versions.into_iter().filter(|(_, versions)| versions.len() > 1).collect()
}

/// Joins names with commas.
fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

/// Tells whether an SPDX expression can be satisfied with the allowed licences alone.
///
/// An expression that is not understood is not allowed.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    // Manifests older than SPDX expressions write a slash for `OR`.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    let allowed = alternatives(&mut words, allowed).unwrap_or(false);
    allowed && words.is_empty()
}

/// Evaluates `a OR b ...` from the end of the reversed words.
fn alternatives(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    let mut result = conjunction(words, allowed)?;
    while words.last() == Some(&"OR") {
        words.pop();
        result |= conjunction(words, allowed)?;
    }
    Some(result)
}

/// Evaluates `a AND b ...`, which binds tighter than `OR`.
fn conjunction(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    let mut result = licence(words, allowed)?;
    while words.last() == Some(&"AND") {
        words.pop();
        result &= licence(words, allowed)?;
    }
    Some(result)
}

/// Evaluates one licence, with its exception, or an expression in parentheses.
fn licence(words: &mut Vec<&str>, allowed: &[String]) -> Option<bool> {
    let word = words.pop()?;
    if word == "(" {
        let result = alternatives(words, allowed)?;
        return (words.pop()? == ")").then_some(result);
    }
    let name = match words.last() {
        Some(&"WITH") => {
            words.pop();
            format!("{word} WITH {}", words.pop()?)
        }
        _ => word.to_owned(),
    };
    Some(allowed.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            licences: ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(String::from).to_vec(),
            bans: vec![("sled".into(), "unmaintained".into())],
            registries: vec!["https://example.org/index".into()],
        }
    }

    fn package(name: &str, version: &str, license: Option<&str>, source: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            license: license.map(String::from),
            source: source.map(String::from),
            build_script: false,
            dependencies: Vec::new(),
        }
    }

    #[test]
    fn expressions_are_evaluated() {
        let cases = [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0/MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("GPL-3.0 OR MIT AND Zlib", true),
            ("(GPL-3.0 OR MIT) AND Zlib", true),
            ("(GPL-3.0 OR MIT) AND Unicode-3.0", false),
            ("Apache-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT Zlib", false),
            ("", false),
        ];
        for (expression, expect) in cases {
            assert_eq!(is_allowed(expression, &rules().licences), expect, "{expression}");
        }
    }

    #[test]
    fn planted_packages_are_found() {
        let registry = Some("registry+https://example.org/index");
        let cases = [
            (package("a", "1", Some("MIT"), registry), 0),
            (package("ours", "1", Some("MIT"), None), 0),
            (package("a", "1", None, registry), 1),
            (package("a", "1", Some("GPL-3.0"), registry), 1),
            (package("sled", "1", Some("MIT"), registry), 1),
            (package("a", "1", Some("MIT"), Some("git+https://example.org/a")), 1),
        ];
        for (package, expect) in cases {
            let findings = check(std::slice::from_ref(&package), &rules());
            assert_eq!(findings.len(), expect, "{package:?}: {findings:?}");
        }
    }

    #[test]
    fn a_second_version_is_refused_for_the_proof_system_alone() {
        let twice = |name: &str| {
            check(&["1", "2"].map(|version| package(name, version, Some("MIT"), None)), &rules())
        };
        assert_eq!(twice("p3-field").len(), 1);
        assert_eq!(twice("syn").len(), 0);
    }
}
