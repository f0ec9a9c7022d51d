//! `verifier`: the verifier of proofs as a module in the sandbox accepts a proof and refuses
//! another.
//!
//! `examples/verifier` is built for wasm, packed, and run by `kapsule run` on a proof that
//! `kapsule prove` makes; a copy of the proof with one changed bit has to be refused.

use crate::failure::Failure;
use crate::tree::Tree;
use crate::{modules, process, ui};
use std::path::{Path, PathBuf};

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
    let kapsule = process::built(tree, "kapsule")?;
    let directory = std::env::temp_dir().join(format!("kapsule-verifier-{}", std::process::id()));
    std::fs::create_dir(&directory).map_err(Failure::io(&directory))?;
    let bench = Bench { tree, kapsule, directory };
    let done = bench.check(&module);
    let removed = std::fs::remove_dir_all(&bench.directory);
    done?;
    removed.map_err(Failure::io(&bench.directory))
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

/// The built command, and a place to work in.
struct Bench<'a> {
    tree: &'a Tree,
    kapsule: PathBuf,
    directory: PathBuf,
}

impl Bench<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, Failure> {
        std::fs::read(path).map_err(Failure::io(path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(name);
        std::fs::write(&path, bytes).map_err(Failure::io(&path))
    }

    /// Calls the command in the place and returns exit code, stdout and stderr.
    fn call(&self, args: &[&str]) -> Result<(Option<i32>, String, String), Failure> {
        let kapsule = self.kapsule.display().to_string();
        let mut command = process::command(self.tree, &kapsule);
        command.current_dir(&self.directory).env("KAPSULE_HOME", self.path("home"));
        let output = command.args(args).output().map_err(Failure::io(&self.kapsule))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }

    /// Calls the command and expects success.
    fn ok(&self, args: &[&str]) -> Result<String, Failure> {
        match self.call(args)? {
            (Some(0), stdout, _) => Ok(stdout),
            (_, _, stderr) => Err(Failure::shape(args.join(" "), stderr)),
        }
    }

    /// Proves a run, and verifies the proof and a changed one inside the sandbox.
    fn check(&self, module: &Path) -> Result<(), Failure> {
        let (subject, input) = SUBJECT;
        let path = |path: String| self.tree.path(&path).display().to_string();
        let wasm = path(format!("modules/artifacts/{subject}.wasm"));
        let manifest = path(format!("examples/packages/{subject}.toml"));
        let ratings = path("examples/data/trust-sample.csv".to_owned());
        self.ok(&["pack", &manifest, "--payload", &wasm])?;
        self.ok(&["convert", "otc", &ratings, "--viewer", "ada", "-o", input])?;
        let package = format!("{subject}.mod");
        let prove = ["prove", &package, "--grant", "trust.graph", "--input", input];
        self.ok(&[&prove[..], &["--output", "out"]].concat())?;

        let verifier = self.read(module)?;
        ui::line(&format!("the verifier is a module of {} bytes", verifier.len()));
        self.write("verifier.wasm", &verifier)?;
        self.write("verifier.toml", MANIFEST.as_bytes())?;
        self.ok(&["pack", "verifier.toml"])?;
        let wasm = self.read(Path::new(&wasm))?;
        let length = u32::try_from(wasm.len()).unwrap_or(u32::MAX);
        let head = [&PAGES.to_le_bytes()[..], &length.to_le_bytes(), &wasm].concat();
        let proof = self.read(&self.path(&format!("{subject}.kproof")))?;
        let run = ["run", "verifier.mod", "--engine", "jit", "--input", "given"];

        self.write("given", &[&head[..], &proof].concat())?;
        let output = self.ok(&run)?;
        if !output.starts_with("completed(0), 100 bits proven") {
            return Err(Failure::shape(VERIFIER, format!("accepted, but said {output:?}")));
        }
        ui::line(output.lines().next().unwrap_or_default());

        let mut changed = proof.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        self.write("given", &[&head[..], &changed].concat())?;
        let (code, _, stderr) = self.call(&run)?;
        if (code, stderr.contains(REFUSED.1)) != (Some(REFUSED.0), true) {
            let text = format!("a changed proof ended with {code:?}: {stderr}");
            return Err(Failure::shape(VERIFIER, text));
        }
        ui::line("a proof with one changed bit is refused");
        Ok(())
    }
}
