//! `verifier`: the verifier of proofs as a module in the sandbox accepts a proof and refuses
//! another.
//!
//! `examples/verifier` is built for wasm, packed, and run by `kapsule run` on a proof that
//! `kapsule prove` makes; a copy of the proof with one changed bit has to be refused.

use crate::failure::Failure;
use crate::tree::Tree;
use crate::workplace::{self, Workplace};
use crate::{modules, process, ui};
use std::path::{Path, PathBuf};
use std::process::Output;

/// The module, outside of the workspace so that no other crate adds features to its dependencies.
const VERIFIER: &str = "examples/verifier";
/// Package whose run is proven, and what that run is given and says.
const SUBJECT: (&str, &str) = ("trust", "trust.input");
/// Memory of the subject, 64 MiB, in pages.
const PAGES: u32 = 1_024;
/// Manifest of the verifier: all the memory that a module may have, and a few times the fuel that
/// it takes.
const MANIFEST: &str = "name = \"verifier\"\nversion = \"0.0.0\"\nauthor = \"Kapsule\"\n\
    entry = \"verifier.wasm\"\n[limits]\nfuel = 100_000_000_000\nmemory = \"64MiB\"\n";
/// Exit code of a run that ends with an error of the module, and what this one says.
const REFUSED: (i32, &str) = (14, "the proof does not prove its statement");

/// Builds the module and runs it on proofs.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("verifier takes no argument, found `{unknown}`")));
    }
    let module = build(tree)?;
    workplace::within(tree, "verifier", |place| check(place, &module))
}

/// Builds the module and returns where it is.
fn build(tree: &Tree) -> Result<PathBuf, Failure> {
    modules::add_target(tree)?;
    tree.copy_lock_file(VERIFIER)?;
    let target = modules::target_directory(tree).join("verifier");
    let mut command = process::cargo(tree, &["rustc", "--release", "--lib", "--quiet"]);
    command.args(["--crate-type", "cdylib", "--target", modules::TARGET]);
    command.args(["--manifest-path", &format!("{VERIFIER}/Cargo.toml")]);
    process::run(command.env("CARGO_TARGET_DIR", &target))?;
    Ok(target.join(modules::TARGET).join("release/verifier.wasm"))
}

/// Proves a run, and verifies the proof and a changed one inside the sandbox.
fn check(place: &Workplace<'_>, module: &Path) -> Result<(), Failure> {
    let (subject, input) = SUBJECT;
    let path = |path: String| place.tree.path(&path).display().to_string();
    let wasm = path(format!("modules/artifacts/{subject}.wasm"));
    let manifest = path(format!("examples/packages/{subject}.toml"));
    let ratings = path("examples/data/trust-sample.csv".to_owned());
    place.kapsule(&["pack", &manifest, "--payload", &wasm])?;
    place.kapsule(&["convert", "otc", &ratings, "--viewer", "ada", "-o", input])?;
    let package = format!("{subject}.mod");
    let prove = ["prove", &package, "--grant", "trust.graph", "--input", input];
    place.kapsule(&[&prove[..], &["--output", "out"]].concat())?;

    let verifier = std::fs::read(module).map_err(Failure::io(module))?;
    ui::line(&format!("the verifier is a module of {} bytes", verifier.len()));
    place.write("verifier.wasm", &verifier)?;
    place.write("verifier.toml", MANIFEST.as_bytes())?;
    place.kapsule(&["pack", "verifier.toml"])?;
    let wasm = std::fs::read(&wasm).map_err(Failure::io(Path::new(&wasm)))?;
    let length = u32::try_from(wasm.len()).unwrap_or(u32::MAX);
    let head = [&PAGES.to_le_bytes()[..], &length.to_le_bytes(), &wasm].concat();
    let proof = place.read(&format!("{subject}.kproof"))?;
    let run = ["run", "verifier.mod", "--engine", "jit", "--input", "given"];

    place.write("given", &[&head[..], &proof].concat())?;
    // It writes the proven output as it is, which need not be UTF-8.
    let (code, output, stderr) = said(&place.outcome(&run)?);
    if code != Some(0) || !output.starts_with("completed(0), 100 bits proven") {
        let text = format!("ended with {code:?} and said {output:?}: {stderr}");
        return Err(Failure::shape(VERIFIER, text));
    }
    ui::line(output.lines().next().unwrap_or_default());

    let mut changed = proof.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    place.write("given", &[&head[..], &changed].concat())?;
    let (code, _, stderr) = said(&place.outcome(&run)?);
    if (code, stderr.contains(REFUSED.1)) != (Some(REFUSED.0), true) {
        let text = format!("a changed proof ended with {code:?}: {stderr}");
        return Err(Failure::shape(VERIFIER, text));
    }
    ui::line("a proof with one changed bit is refused");
    Ok(())
}

/// Exit code, stdout and stderr of a call.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
