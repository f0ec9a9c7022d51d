//! What `cargo metadata` says about packages.

use crate::failure::Failure;
use crate::process;
use crate::tree::Tree;
use serde_json::Value;

/// Whom a dependency serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The package itself.
    Normal,
    /// Its build script.
    Build,
    /// Its tests and examples.
    Dev,
}

/// A direct dependency as the manifest states it.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    /// Name of the package.
    pub(crate) name: String,
    /// Whom it serves.
    pub(crate) kind: Kind,
    /// Whether a feature switches it on.
    pub(crate) optional: bool,
    /// Whether its default features are on.
    pub(crate) default_features: bool,
}

/// A package of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// Name as in its manifest.
    pub(crate) name: String,
    /// Version, for reports.
    pub(crate) version: String,
    /// SPDX expression; `None` if the manifest has none.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` for packages of this repository.
    pub(crate) source: Option<String>,
    /// Whether it has a build script.
    pub(crate) build_script: bool,
    /// Direct dependencies.
    pub(crate) dependencies: Vec<Dependency>,
}

impl Package {
    /// Returns the name without `kapsule-`, or `None` for packages that are not ours.
    pub(crate) fn short(&self) -> Option<&str> {
        match self.source {
            Some(_) => None,
            None => self.name.strip_prefix("kapsule-").or(Some(&self.name)),
        }
    }
}

/// Which packages to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The members of the workspace, each with its direct dependencies.
    Members,
    /// The whole graph, for every target and feature.
    Graph,
}

/// Asks Cargo about the workspace of the manifest `relative`.
pub(crate) fn load(tree: &Tree, relative: &str, scope: Scope) -> Result<Vec<Package>, Failure> {
    let mut command = process::cargo(tree, &["metadata", "--format-version", "1"]);
    command.args(["--manifest-path", relative]);
    match scope {
        Scope::Members => command.arg("--no-deps"),
        Scope::Graph => command.args(["--all-features", "--locked"]),
    };
    decode(&process::capture(&mut command)?)
}

/// Decodes the answer of `cargo metadata --format-version 1`.
pub(crate) fn decode(text: &str) -> Result<Vec<Package>, Failure> {
    let bad = |detail: &str| Failure::shape("cargo metadata", detail);
    let value: Value = serde_json::from_str(text).map_err(|error| bad(&error.to_string()))?;
    let packages = value["packages"].as_array().ok_or_else(|| bad("no `packages`"))?;
    packages
        .iter()
        .map(|package| {
            decode_package(package).ok_or_else(|| bad("a package has no name or dependencies"))
        })
        .collect()
}

/// Decodes one package.
fn decode_package(value: &Value) -> Option<Package> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let targets = value["targets"].as_array().into_iter().flatten();
    let mut kinds = targets.filter_map(|target| target["kind"].as_array()).flatten();
    let dependencies = value["dependencies"].as_array()?.iter().map(decode_dependency);
    Some(Package {
        name: text("name")?,
        version: text("version").unwrap_or_default(),
        license: text("license"),
        source: text("source"),
        build_script: kinds.any(|kind| kind == "custom-build"),
        dependencies: dependencies.collect::<Option<_>>()?,
    })
}

/// Decodes one dependency.
fn decode_dependency(value: &Value) -> Option<Dependency> {
    Some(Dependency {
        name: value["name"].as_str()?.to_owned(),
        kind: match value["kind"].as_str() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            _ => Kind::Normal,
        },
        optional: value["optional"].as_bool().unwrap_or(false),
        default_features: value["uses_default_features"].as_bool().unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_dependencies_are_decoded() {
        let text = r#"{"packages": [{
            "name": "kapsule-x", "version": "1.0.0", "license": "MIT", "source": null,
            "targets": [{"kind": ["lib"]}, {"kind": ["custom-build"]}],
            "dependencies": [
                {"name": "a", "kind": null, "optional": true, "uses_default_features": false},
                {"name": "b", "kind": "dev", "optional": false, "uses_default_features": true}
            ]}]}"#;
        let packages = decode(text).unwrap();
        let package = &packages[0];
        assert_eq!((package.short(), package.build_script), (Some("x"), true));
        let [a, b] = package.dependencies.as_slice() else { panic!("two dependencies") };
        assert_eq!((a.kind, a.optional, a.default_features), (Kind::Normal, true, false));
        assert_eq!((b.kind, b.optional, b.default_features), (Kind::Dev, false, true));
    }

    #[test]
    fn another_shape_is_refused() {
        assert!(decode("{}").is_err());
        assert!(decode(r#"{"packages": [{"name": "x"}]}"#).is_err());
    }
}
