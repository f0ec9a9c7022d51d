//! Planted arrows and what is said of each.

use super::*;

/// Makes the metadata of one package with one dependency.
fn planted(from: &str, to: &str, kind: &str, optional: bool, defaults: bool) -> Vec<Package> {
    let text = format!(
        r#"{{"packages": [{{"name": "{from}", "version": "0.1.0", "source": null, "targets": [],
        "dependencies": [{{"name": "{to}", "kind": {kind}, "optional": {optional},
        "uses_default_features": {defaults}}}]}}]}}"#
    );
    metadata::decode(&text).unwrap()
}

/// Returns what is said of a normal dependency without default features.
fn said(from: &str, to: &str) -> Vec<String> {
    let findings = check(&planted(from, to, "null", false, false));
    findings.into_iter().map(|finding| finding.text).collect()
}

#[test]
fn allowed_arrows_pass() {
    let allowed = [
        ("kapsule-guest", "kapsule-abi"),
        ("kapsule-engine", "kapsule-format"),
        ("kapsule-engine", "wasmi"),
        ("kapsule-cli", "kapsule-engine"),
        ("kapsule-cli", "clap"),
        ("kapsule-bench", "kapsule-engine"),
        ("kapsule-format", "sha2"),
        ("kapsule-prover", "p3-field"),
    ];
    for (from, to) in allowed {
        assert_eq!(said(from, to), [""; 0], "{from} -> {to}");
    }
}

#[test]
fn each_forbidden_arrow_is_named_with_its_reason() {
    let forbidden = [
        ("kapsule-abi", "kapsule-format", "depends on format, allowed: []"),
        ("kapsule-guest", "kapsule-format", "depends on format, allowed: [abi]"),
        ("kapsule-format", "kapsule-engine", "depends on engine, allowed: [abi]"),
        ("kapsule-meter", "kapsule-format", "depends on format, allowed: [abi]"),
        ("kapsule-engine", "kapsule-store", "depends on store: one run"),
        ("kapsule-kernel", "kapsule-net", "depends on net: the kernel"),
        ("kapsule-proof", "kapsule-engine", "depends on engine, allowed: [abi, meter, lower]"),
        ("kapsule-store", "kapsule-net", "depends on net: they meet"),
        ("kapsule-node", "kapsule-cli", "depends on cli, which nothing may"),
        ("kapsule-cli", "kapsule-bench", "depends on bench, which nothing may"),
        ("kapsule-cli", "kapsule-testkit", "depends on testkit outside its tests"),
        ("kapsule-cli", "wasmtime", "names wasmtime, which only engine may"),
        ("kapsule-testkit", "wasmi", "names wasmi, which only engine may"),
        ("kapsule-node", "rusqlite", "names rusqlite, which only store may"),
        ("kapsule-cli", "p3-field", "names p3-field, which only proof, prover, bench may"),
        ("kapsule-meter", "rand", "uses rand, allowed: [thiserror"),
        ("kapsule-engine", "wasmtime", "uses wasmtime without a feature"),
        ("xtask", "kapsule-format", "depends on format, allowed: []"),
    ];
    for (from, to, expect) in forbidden {
        let said = said(from, to);
        assert!(said.len() == 1 && said[0].starts_with(expect), "{from} -> {to}: {said:?}");
    }
}

#[test]
fn kinds_and_features_of_a_dependency_matter() {
    let texts = |packages: &[Package]| -> Vec<String> {
        check(packages).into_iter().map(|finding| finding.text).collect()
    };
    let dev = planted("kapsule-meter", "kapsule-testkit", "\"dev\"", false, true);
    assert_eq!(texts(&dev), [""; 0]);
    let gate = planted("kapsule-meter", "wasmtime", "\"dev\"", false, true);
    assert_eq!(texts(&gate), ["names wasmtime, which only engine may"]);
    let build = planted("kapsule-meter", "cc", "\"build\"", false, true);
    assert_eq!(texts(&build).len(), 1);
    let defaults = planted("kapsule-format", "sha2", "null", false, true);
    assert_eq!(texts(&defaults), ["uses sha2 with default features, which may reach std"]);
    let feature = planted("kapsule-engine", "wasmtime", "null", true, false);
    assert_eq!(texts(&feature), [""; 0]);
}

#[test]
fn a_build_script_in_a_pure_crate_is_found() {
    let mut packages = planted("kapsule-meter", "thiserror", "null", false, false);
    packages[0].build_script = true;
    assert_eq!(check(&packages).len(), 1);
}

#[test]
fn modules_use_the_guest_side_alone() {
    let bad = planted("rank", "kapsule-format", "null", false, false);
    assert_eq!(check_guests(&bad).len(), 1);
    let good = planted("rank", "kapsule-guest", "null", false, false);
    assert!(check_guests(&good).is_empty());
}

#[test]
fn every_pure_crate_has_a_list_of_outside_crates() {
    let listed: Vec<&str> = PURE_USES.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, PURE);
}
