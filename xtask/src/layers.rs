//! `layers`: which crate may depend on which, read from the direct dependencies.
//!
//! Three tables hold the rules: forbidden arrows between our crates, gate crates that only some of
//! ours may name, and the outside crates that each pure crate may use.

use crate::failure::{Failure, Finding};
use crate::metadata::{self, Dependency, Kind, Package, Scope};
use crate::tree::Tree;
use crate::ui;

/// Crates whose output is hashed, signed or proved, in order of their layers.
pub(crate) const PURE: &[&str] =
    &["abi", "guest", "format", "meter", "lower", "proof", "wasi", "engine"];

/// To which of our crates `from` may point.
enum Rule {
    /// To these alone.
    Only(&'static [&'static str]),
    /// To all but these.
    Never(&'static [&'static str]),
}

/// Forbidden arrows: a rule for each crate that has one, and why.
const ARROWS: &[(&str, Rule, &str)] = &[
    ("abi", Rule::Only(&[]), "the contract knows neither side"),
    ("guest", Rule::Only(&["abi"]), "a module knows the contract alone"),
    ("format", Rule::Only(&["abi"]), "readers of files run nothing"),
    ("meter", Rule::Only(&["abi"]), "metering knows no file format"),
    ("lower", Rule::Only(&["meter", "abi"]), "what a verifier recomputes reads the module alone"),
    ("wasi", Rule::Only(&["abi"]), "the adapter knows no file format"),
    (
        "engine",
        Rule::Never(&["host", "kernel", "store", "net", "proof"]),
        "one run knows neither processes nor I/O",
    ),
    (
        "host",
        Rule::Only(&["abi", "format", "engine", "meter"]),
        "directories and sockets for one run, and nothing above it",
    ),
    ("kernel", Rule::Never(&["host", "store", "net"]), "the kernel performs no I/O"),
    (
        "proof",
        Rule::Only(&["abi", "meter", "lower"]),
        "a verifier re-runs nothing and reads no package",
    ),
    ("store", Rule::Never(&["net"]), "they meet in node"),
    ("net", Rule::Never(&["store"]), "they meet in node"),
    ("xtask", Rule::Only(&[]), "the gates run while a crate does not compile"),
];

/// Our crates that nothing may depend on, and why.
const TIPS: &[(&str, &str)] = &[
    ("cli", "a library that reads the terminal cannot be embedded"),
    ("ffi", "the outermost layer"),
    ("bench", "measures the others"),
    ("xtask", "repository commands"),
];

/// Our crates that only tests may depend on.
const TEST_ONLY: &[&str] = &["testkit"];

/// Gate crates: a name, or a prefix that ends in `-`, and the crates that may name it.
const GATES: &[(&str, &[&str])] = &[
    ("wasmtime", &["engine"]),
    ("wasmi", &["engine"]),
    ("rusqlite", &["store"]),
    ("redb", &["store"]),
    ("libp2p", &["net"]),
    ("axum", &["node"]),
    ("alloy", &["node"]),
    ("p3-", &["proof", "prover", "bench"]),
    ("tokio", &["net", "node", "cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["cli"]),
    ("rpassword", &["cli"]),
    ("miette", &["cli"]),
];

/// Outside crates that a pure crate may use; a name after `+` is behind a feature.
const PURE_USES: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("guest", &["minicbor"]),
    (
        "format",
        &[
            "+age",
            "+age-core",
            "+bech32",
            "+saphyr-parser",
            "+toml",
            "+x25519-dalek",
            "data-encoding",
            "ed25519-dalek",
            "k256",
            "ml-dsa",
            "p256",
            "sha2",
            "sha3",
            "thiserror",
            "zeroize",
        ],
    ),
    ("meter", &["thiserror", "wasm-encoder", "wasmparser"]),
    ("lower", &["wasmparser"]),
    (
        "proof",
        &[
            "blake3",
            "p3-air",
            "p3-batch-stark",
            "p3-blake3",
            "p3-challenger",
            "p3-commit",
            "p3-dft",
            "p3-field",
            "p3-fri",
            "p3-koala-bear",
            "p3-lookup",
            "p3-matrix",
            "p3-merkle-tree",
            "p3-poseidon2",
            "p3-symmetric",
            "p3-uni-stark",
            "postcard",
            "thiserror",
        ],
    ),
    ("wasi", &["wasm-encoder", "wasmparser"]),
    (
        "engine",
        &[
            "+wasm-encoder",
            "+wasmparser",
            "+wasmtime",
            "blake3",
            "sha2",
            "sha3",
            "thiserror",
            "wasmi",
        ],
    ),
];

/// Manifests of workspaces that hold guest modules.
const GUEST_WORKSPACES: &[&str] = &["modules/Cargo.toml"];

/// Prints the arrows and checks the three tables.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("layers takes no argument, found `{unknown}`")));
    }
    let packages = metadata::load(tree, "Cargo.toml", Scope::Members)?;
    print(&packages);
    let mut findings = check(&packages);
    for manifest in GUEST_WORKSPACES.iter().filter(|manifest| tree.path(manifest).is_file()) {
        findings.extend(check_guests(&metadata::load(tree, manifest, Scope::Members)?));
    }
    Failure::from_findings(findings)
}

/// Returns every broken rule of the workspace.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(from) = package.short() else { continue };
        for dependency in &package.dependencies {
            let broken = broken_arrow(from, dependency)
                .or_else(|| broken_gate(from, &dependency.name))
                .or_else(|| broken_purity(from, dependency));
            findings.extend(broken.map(|text| Finding::new(&package.name, 0, text)));
        }
        if PURE.contains(&from) && package.build_script {
            findings.push(Finding::new(&package.name, 0, "a pure crate has a build script"));
        }
    }
    findings
}

/// Returns the broken rules of guest modules: of our crates they use `guest`, `abi` and each
/// other alone.
fn check_guests(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_member = |name: &str| packages.iter().any(|package| package.name == name);
    for package in packages {
        for dependency in package.dependencies.iter().filter(|one| !is_member(&one.name)) {
            let ours = dependency.name.strip_prefix("kapsule-");
            let foreign = ours.is_some_and(|name| !["guest", "abi"].contains(&name));
            if foreign && dependency.kind == Kind::Normal {
                let text = format!("a module depends on {}, allowed: guest, abi", dependency.name);
                findings.push(Finding::new(&package.name, 0, text));
            }
        }
    }
    findings
}

/// Says what is wrong with an arrow from `from` to one of our crates.
fn broken_arrow(from: &str, dependency: &Dependency) -> Option<String> {
    let to = dependency.name.strip_prefix("kapsule-").or_else(|| {
        TIPS.iter().any(|(tip, _)| *tip == dependency.name).then_some(dependency.name.as_str())
    })?;
    if let Some((_, why)) = TIPS.iter().find(|(tip, _)| *tip == to) {
        return Some(format!("depends on {to}, which nothing may: {why}"));
    }
    // Tests may look at the whole system; the arrows are about what is shipped.
    if dependency.kind == Kind::Dev {
        return None;
    }
    if TEST_ONLY.contains(&to) {
        return Some(format!("depends on {to} outside its tests"));
    }
    let (_, rule, why) = ARROWS.iter().find(|(name, ..)| *name == from)?;
    match rule {
        Rule::Only(allowed) if !allowed.contains(&to) => {
            Some(format!("depends on {to}, allowed: [{}]: {why}", allowed.join(", ")))
        }
        Rule::Never(forbidden) if forbidden.contains(&to) => {
            Some(format!("depends on {to}: {why}"))
        }
        _ => None,
    }
}

/// Says what is wrong with naming the outside crate `name`, in code or in tests.
fn broken_gate(from: &str, name: &str) -> Option<String> {
    let matches = |gate: &str| name == gate || (gate.ends_with('-') && name.starts_with(gate));
    let (_, allowed) = GATES.iter().find(|(gate, _)| matches(gate))?;
    match allowed.contains(&from) {
        true => None,
        false => Some(format!("names {name}, which only {} may", allowed.join(", "))),
    }
}

/// Says what is wrong with an outside crate under a pure crate.
fn broken_purity(from: &str, dependency: &Dependency) -> Option<String> {
    let (_, allowed) = PURE_USES.iter().find(|(name, _)| *name == from)?;
    let name = dependency.name.as_str();
    if dependency.kind == Kind::Dev || name.starts_with("kapsule-") {
        return None;
    }
    if dependency.kind == Kind::Build {
        return Some(format!(
            "uses {name} while building, and a pure crate builds without scripts"
        ));
    }
    if dependency.default_features {
        return Some(format!("uses {name} with default features, which may reach std"));
    }
    let behind_feature = format!("+{name}");
    if allowed.contains(&behind_feature.as_str()) {
        return (!dependency.optional).then(|| format!("uses {name} without a feature"));
    }
    match allowed.contains(&name) {
        true => None,
        false => Some(format!("uses {name}, allowed: [{}]", allowed.join(", "))),
    }
}

/// Prints each of our crates with its arrows and its outside crates.
fn print(packages: &[Package]) {
    let mut rows = vec![["crate", "pure", "of ours", "from outside"].map(String::from).to_vec()];
    for package in packages {
        let Some(name) = package.short() else { continue };
        let normal = || package.dependencies.iter().filter(|one| one.kind == Kind::Normal);
        let ours: Vec<&str> =
            normal().filter_map(|one| one.name.strip_prefix("kapsule-")).collect();
        let outside: Vec<String> = normal()
            .filter(|one| !one.name.starts_with("kapsule-"))
            .map(|one| format!("{}{}", if one.optional { "+" } else { "" }, one.name))
            .collect();
        let pure = if PURE.contains(&name) { "yes" } else { "no" };
        rows.push(vec![name.to_owned(), pure.to_owned(), ours.join(" "), outside.join(" ")]);
    }
    ui::table(&rows);
    ui::line("a `+` marks a crate behind a feature");
}

#[cfg(test)]
mod tests;
