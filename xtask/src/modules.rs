//! `modules`: builds the guest modules and writes or compares their committed artifacts.
//!
//! The same sources give the same bytes under one compiler only, so `SHA256SUMS` names the compiler
//! that made the artifacts, and the comparison is skipped, with the reason, under any other.

use crate::failure::{Failure, Finding};
use crate::metadata::{self, Scope};
use crate::process;
use crate::tree::Tree;
use crate::ui;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Target of every guest module.
pub(crate) const TARGET: &str = "wasm32v1-none";
/// Where the built modules are committed.
const ARTIFACTS: &str = "modules/artifacts";
/// Digests of the artifacts, in the form that `sha256sum --check` reads.
const SUMS: &str = "modules/artifacts/SHA256SUMS";
/// How the packages that are modules are named; the others are shared code.
const MODULE_PREFIX: &str = "kapsule-module-";
/// Wrapper of the compiler that makes symbol names independent of the place of the clone.
const WRAPPER: &str = "modules/stable-metadata.sh";
/// What precedes the compiler's version in `SUMS`.
const COMPILER: &str = "# ";
/// Bytes of the guest's stack; the default of 1 MiB would make every instance large.
const STACK_BYTES: u32 = 32_768;

/// Modules by file name.
type Modules = BTreeMap<String, Vec<u8>>;

/// The digests of the artifacts and the compiler that made them.
#[derive(Debug, PartialEq, Eq)]
struct Sums {
    compiler: String,
    digests: BTreeMap<String, String>,
}

/// Builds the modules; with `--check` compares, otherwise writes.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err(Failure::Usage("modules: allowed: --check".into())),
    };
    let compiler = process::capture(process::command(tree, "rustc").arg("--version"))?;
    let compiler = compiler.trim();
    match check {
        true => compare(tree, compiler),
        false => write(tree, compiler, &build(tree)?),
    }
}

/// Writes the artifacts and their digests.
fn write(tree: &Tree, compiler: &str, built: &Modules) -> Result<(), Failure> {
    let directory = tree.path(ARTIFACTS);
    std::fs::create_dir_all(&directory).map_err(Failure::io(&directory))?;
    for stale in tree.files_ending(ARTIFACTS, ".wasm")? {
        let path = tree.path(&stale);
        std::fs::remove_file(&path).map_err(Failure::io(&path))?;
    }
    for (name, bytes) in built {
        let path = directory.join(name);
        std::fs::write(&path, bytes).map_err(Failure::io(&path))?;
        ui::line(&format!("{name}: {} bytes", bytes.len()));
    }
    let path = tree.path(SUMS);
    let sums = Sums { compiler: compiler.to_owned(), digests: digests(built) };
    std::fs::write(&path, sums.encode()).map_err(Failure::io(&path))
}

/// Compares the committed files with their digests and, under the same compiler, with a build.
fn compare(tree: &Tree, compiler: &str) -> Result<(), Failure> {
    let sums = Sums::decode(&tree.read(SUMS)?)?;
    let mut committed = Modules::new();
    for file in tree.files_ending(ARTIFACTS, ".wasm")? {
        let path = tree.path(&file);
        let bytes = std::fs::read(&path).map_err(Failure::io(&path))?;
        committed.insert(file[ARTIFACTS.len() + 1..].to_owned(), bytes);
    }
    Failure::from_findings(differences(&sums.digests, &digests(&committed), "is committed"))?;
    ui::line(&format!("{} committed modules agree with {SUMS}", committed.len()));
    if sums.compiler != compiler {
        let made = &sums.compiler;
        ui::line(&format!("skipped: the modules were made by `{made}`, this is `{compiler}`"));
        return Ok(());
    }
    Failure::from_findings(differences(&sums.digests, &digests(&build(tree)?), "was built"))?;
    ui::line(&format!("{} modules build to the committed bytes", committed.len()));
    Ok(())
}

/// Says where two sets of digests differ.
fn differences(
    expected: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
    verb: &str,
) -> Vec<Finding> {
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    let differing = names.filter(|name| expected.get(*name) != found.get(*name));
    differing
        .map(|name| {
            let text = |digests: &BTreeMap<String, String>| {
                digests.get(name).map_or("nothing", String::as_str).to_owned()
            };
            let text = format!("{} {verb}, SHA256SUMS lists {}", text(found), text(expected));
            Finding::new(&format!("{ARTIFACTS}/{name}"), 0, text)
        })
        .collect()
}

/// Makes a Cargo command work on the guest workspace, with what it builds in a folder of its own.
pub(crate) fn in_workspace<'a>(tree: &Tree, command: &'a mut Command) -> &'a mut Command {
    let target = target_directory(tree).join("modules");
    command.current_dir(tree.path("modules")).env("CARGO_TARGET_DIR", target)
}

/// Builds every module of the guest workspace for the wasm target.
fn build(tree: &Tree) -> Result<Modules, Failure> {
    add_target(tree)?;
    let mut built = Modules::new();
    for package in metadata::load(tree, "modules/Cargo.toml", Scope::Members)? {
        if package.name.starts_with(MODULE_PREFIX) {
            for path in build_one(tree, &package.name)? {
                let bytes = std::fs::read(&path).map_err(Failure::io(&path))?;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                built.insert(name.unwrap_or_default(), bytes);
            }
        }
    }
    match built.len() {
        0 => {
            Err(Failure::shape("modules", format!("no package `{MODULE_PREFIX}..` gave a module")))
        }
        _ => Ok(built),
    }
}

/// Builds one package as a module and returns the wasm files.
fn build_one(tree: &Tree, package: &str) -> Result<Vec<PathBuf>, Failure> {
    // The manifests name no crate type, so that the modules are plain libraries to their tests.
    let mut command = process::cargo(tree, &["rustc", "--release", "--locked", "--lib"]);
    command.args(["--package", package, "--crate-type", "cdylib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]);
    in_workspace(tree, &mut command);
    // Set in full, so that neither the environment nor a user's settings change the bytes.
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(tree).join("\x1f"));
    // Without it, symbol names and so the order of functions depend on where the clone lies.
    command.env("RUSTC_WRAPPER", tree.path(WRAPPER));
    Ok(process::capture(&mut command)?.lines().filter_map(module_of).collect())
}

/// Adds the wasm target where it is missing and rustup manages the compiler.
pub(crate) fn add_target(tree: &Tree) -> Result<(), Failure> {
    let installed =
        process::command(tree, "rustup").args(["target", "list", "--installed"]).output();
    match installed {
        Ok(output)
            if String::from_utf8_lossy(&output.stdout).lines().any(|name| name == TARGET) =>
        {
            Ok(())
        }
        Ok(_) => process::run(process::command(tree, "rustup").args(["target", "add", TARGET])),
        // Without rustup the compiler itself says what it lacks.
        Err(_) => Ok(()),
    }
}

/// Returns the compiler flags: a small stack, and no path of this machine in the bytes.
fn flags(tree: &Tree) -> Vec<String> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_BYTES}")];
    flags.push(format!("--remap-path-prefix={}=/kapsule", tree.root().display()));
    if let Some(directory) = cargo_home.or(home) {
        flags.push(format!("--remap-path-prefix={}=/cargo", directory.display()));
    }
    flags
}

/// Returns where Cargo puts what it builds.
pub(crate) fn target_directory(tree: &Tree) -> PathBuf {
    let set = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    tree.root().join(set)
}

/// Returns the wasm file of a line of Cargo's messages.
fn module_of(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.filter(|name| name.ends_with(".wasm")).map(PathBuf::from).next()
}

/// Returns the SHA-256 of every module in hex.
fn digests(modules: &Modules) -> BTreeMap<String, String> {
    let hex = |bytes: &[u8]| -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    modules.iter().map(|(name, bytes)| (name.clone(), hex(bytes))).collect()
}

impl Sums {
    /// Encodes the file; the line of the compiler is a comment to `sha256sum`.
    fn encode(&self) -> String {
        let lines = self.digests.iter().map(|(name, digest)| format!("{digest}  {name}\n"));
        format!("{COMPILER}{}\n{}", self.compiler, lines.collect::<String>())
    }

    /// Decodes the file.
    fn decode(text: &str) -> Result<Self, Failure> {
        let bad = |detail: &str| Failure::shape(SUMS, detail);
        let (first, rest) = text.split_once('\n').ok_or_else(|| bad("one line"))?;
        let compiler = first.strip_prefix(COMPILER).ok_or_else(|| bad("no compiler in line 1"))?;
        let pair = |line: &str| {
            let (digest, name) = line.split_once("  ").ok_or_else(|| bad("no two spaces"))?;
            Ok((name.to_owned(), digest.to_owned()))
        };
        let digests = rest.lines().map(pair).collect::<Result<_, Failure>>()?;
        Ok(Self { compiler: compiler.to_owned(), digests })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    fn modules(pairs: &[(&str, &[u8])]) -> Modules {
        pairs.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
    }

    #[test]
    fn written_artifacts_compare_as_equal_and_a_changed_one_is_found() {
        let (_keep, tree) = planted(&[("modules/artifacts/stale.wasm", "x")]);
        write(&tree, "rustc 1", &modules(&[("a.wasm", b"a"), ("b.wasm", b"b")])).unwrap();
        assert_eq!(tree.files_ending(ARTIFACTS, ".wasm").unwrap().len(), 2);
        // Another compiler: digests are compared, and nothing is built.
        compare(&tree, "rustc 2").unwrap();
        std::fs::write(tree.path("modules/artifacts/a.wasm"), "changed").unwrap();
        let text = compare(&tree, "rustc 2").unwrap_err().to_string();
        assert!(text.starts_with("modules/artifacts/a.wasm: "), "{text}");
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        let digests = digests(&modules(&[("abc", b"abc")]));
        let expect = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digests["abc"], expect);
        let sums = Sums { compiler: "rustc 1".into(), digests };
        assert_eq!(sums.encode(), format!("# rustc 1\n{expect}  abc\n"));
        assert_eq!(Sums::decode(&sums.encode()).unwrap(), sums);
        assert!(Sums::decode("rustc 1\n").is_err());
        assert!(Sums::decode("# rustc 1\nabc\n").is_err());
    }

    #[test]
    fn absent_and_additional_modules_are_differences() {
        let (a, b) = (digests(&modules(&[("a", b"1")])), digests(&modules(&[("b", b"1")])));
        assert_eq!(differences(&a, &a, "was built").len(), 0);
        assert_eq!(differences(&a, &b, "was built").len(), 2);
    }

    #[test]
    fn wasm_files_are_found_in_messages() {
        let line = r#"{"reason": "compiler-artifact", "filenames": ["/t/a.rlib", "/t/a.wasm"]}"#;
        assert_eq!(module_of(line), Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(module_of(r#"{"filenames": ["/t/a.rlib"]}"#), None);
    }
}
