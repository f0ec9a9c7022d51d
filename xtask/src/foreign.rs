//! `foreign`: other people's tools read what we write.
//!
//! Every `tests/foreign/*.py` is run with a Python that has the packages below, and with the
//! variable `KAPSULE` naming the built command; each file exits with 0 if the tools agree.

use crate::failure::Failure;
use crate::process;
use crate::tree::Tree;
use crate::ui;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the checks are.
const CHECKS: &str = "tests/foreign";
/// Python packages, as asked of pip and as imported.
const PACKAGES: &[(&str, &str)] = &[
    ("cbor2>=5.6,<7", "cbor2"),
    // The first version whose wheels have ML-DSA is 48.
    ("cryptography>=48", "cryptography.hazmat.primitives.asymmetric.mldsa"),
    ("networkx>=3,<4", "networkx"),
    ("numpy>=2,<3", "numpy"),
    ("pyrage>=1.2,<2", "pyrage"),
    ("scipy>=1.13,<2", "scipy"),
    ("securesystemslib>=1.3,<2", "securesystemslib"),
];

/// Debian packages of the verifier of logs: Go, and the libraries of its module log.
const GO_PACKAGES: &[&str] = &["golang-go", "golang-golang-x-mod-dev"];
/// Where Debian puts them.
const GO_LIBRARY: &str = "/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog";

/// Runs every check.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("foreign takes no argument, found `{unknown}`")));
    }
    let mut checks = tree.files_ending(CHECKS, ".py")?;
    checks.retain(|path| !path[CHECKS.len() + 1..].contains('/'));
    if checks.is_empty() {
        return Err(Failure::shape(CHECKS, "no check found"));
    }
    if !process::is_present(tree, "openssl", &["version"]) {
        install(tree, &["openssl"])?;
    }
    // Debian's age is asked too where it is at hand; the check says so where it is not.
    if !process::is_present(tree, "age", &["--version"]) && install(tree, &["age"]).is_err() {
        ui::line("age cannot be installed here; pyrage alone is asked");
    }
    if !process::is_present(tree, "go", &["version"]) || !Path::new(GO_LIBRARY).is_dir() {
        install(tree, GO_PACKAGES)?;
    }
    let python = python(tree)?;
    let kapsule = process::built(tree, "kapsule")?;
    for check in &checks {
        ui::line(&format!("-- {check}"));
        let mut command = process::command(tree, &python.display().to_string());
        command.arg(check).env("KAPSULE", &kapsule).env("PYTHONDONTWRITEBYTECODE", "1");
        process::run(&mut command)?;
    }
    ui::line(&format!("{} foreign checks agree", checks.len()));
    Ok(())
}

/// Returns a Python that has the packages, in an environment below the user's cache.
fn python(tree: &Tree) -> Result<PathBuf, Failure> {
    let directory = cache_directory()?.join("kapsule/venv");
    let python = directory.join("bin/python");
    if !is_complete(tree, &python) {
        if create(tree, &directory).is_err() {
            install(tree, &["python3", "python3-venv"])?;
            create(tree, &directory)?;
        }
        let mut pip = process::command(tree, &python.display().to_string());
        pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
        pip.arg("--disable-pip-version-check").args(PACKAGES.iter().map(|(wanted, _)| wanted));
        process::run(&mut pip)?;
    }
    Ok(python)
}

/// Tells whether every package can be imported.
fn is_complete(tree: &Tree, python: &Path) -> bool {
    let imports: Vec<&str> = PACKAGES.iter().map(|(_, module)| *module).collect();
    let script = format!("import {}", imports.join(", "));
    process::is_present(tree, &python.display().to_string(), &["-c", &script])
}

/// Makes an empty Python environment, instead of any half-made one.
fn create(tree: &Tree, directory: &Path) -> Result<(), Failure> {
    let mut command = process::command(tree, "python3");
    process::run(command.args(["-m", "venv", "--clear"]).arg(directory))
}

/// Returns the user's cache directory.
pub(crate) fn cache_directory() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || set("HOME").map(|home| Path::new(&home).join(".cache"));
    cache.or_else(home).ok_or_else(|| Failure::shape("foreign", "neither HOME nor XDG_CACHE_HOME"))
}

/// Installs Debian packages: as root directly, otherwise where sudo asks no question.
fn install(tree: &Tree, packages: &[&str]) -> Result<(), Failure> {
    let user = process::capture(process::command(tree, "id").arg("-u"))?;
    let apt = |args: &[&str]| -> Command {
        let mut command = match user.trim() {
            "0" => process::command(tree, "apt-get"),
            _ => {
                let mut command = process::command(tree, "sudo");
                command.args(["--non-interactive", "apt-get"]);
                command
            }
        };
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(&mut apt(&["update", "--quiet"]))?;
    process::run(apt(&["install", "--quiet", "--yes", "--no-install-recommends"]).args(packages))
}
