//! `sdk`: what an author of modules is given works: a new crate in Rust, modules in C and
//! AssemblyScript, command-line programs for WASI.
//!
//! Each module is built, packed, and run on both engines with the output that is committed.
//! The compilers for C and AssemblyScript come in fixed versions from their registries into the
//! user's cache; where that is impossible, the step says so and goes on.

use crate::failure::Failure;
use crate::foreign::cache_directory;
use crate::tree::Tree;
use crate::workplace::{self, Workplace};
use crate::{modules, process, ui};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The C compiler, as a Python package.
const ZIG: (&str, &str) = ("ziglang", "0.15.2");
/// The AssemblyScript compiler, as an npm package.
const ASSEMBLY_SCRIPT: (&str, &str) = ("assemblyscript", "0.28.20");
/// Target of command-line programs.
const WASI_TARGET: &str = "wasm32-wasip1";
/// Input of the example that counts words, and what it writes.
const COUNTED: (&[u8], &str) = (b"one two\n  three\n\nfour", "3 4 21\n");
/// Bytes of the guest's stack in C; the default of 1 MiB would make every instance large.
const STACK_BYTES: u32 = 32_768;

/// Runs every part.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("sdk takes no argument, found `{unknown}`")));
    }
    workplace::within(tree, "sdk", |place| {
        let sdk = Sdk { place, tree };
        sdk.scaffold()?;
        sdk.c()?;
        sdk.assembly_script()?;
        sdk.rust_program()?;
        sdk.c_program()
    })
}

/// The parts of the step, in the place where they work.
struct Sdk<'a> {
    place: &'a Workplace<'a>,
    tree: &'a Tree,
}

impl Sdk<'_> {
    /// A new crate builds, passes its tests, packs, is signed, and runs, without a network.
    fn scaffold(&self) -> Result<(), Failure> {
        ui::line("-- a new crate in Rust");
        modules::add_target(self.tree)?;
        self.place.kapsule(&["new", "greeter"])?;
        let mut test = self.place.command(Path::new("cargo"));
        test.args(["test", "--offline", "--locked"]).current_dir(self.place.path("greeter"));
        process::run(&mut test)?;
        self.place.kapsule(&["key", "new", "alice"])?;
        self.place.kapsule(&["build", "greeter"])?;
        self.place.kapsule(&[
            "build",
            "greeter",
            "--offline",
            "--key",
            "alice",
            "-o",
            "signed.mod",
        ])?;
        self.place.kapsule(&["verify", "signed.mod"])?;
        for package in ["greeter.mod", "signed.mod"] {
            self.expect(package, b"Ada\n", "hello, Ada\n")?;
        }
        Ok(())
    }

    /// The example in C.
    fn c(&self) -> Result<(), Failure> {
        ui::line("-- C");
        let Some(mut zig) = self.zig()? else { return Ok(()) };
        let output = self.place.path("wc-c.wasm");
        zig.args(["-target", "wasm32-freestanding", "-O2", "-nostdlib"]);
        zig.args(["-Wall", "-Wextra", "-Werror", "-Wl,--no-entry", "-Wl,--strip-all"]);
        zig.arg(format!("-Wl,-z,stack-size={STACK_BYTES}"));
        zig.args(["sdk/c/wc/wc.c", "-o"]).arg(&output);
        process::run(&mut zig)?;
        self.pack_and_count("sdk/c/wc/kapsule.toml", &output)
    }

    /// The example in AssemblyScript.
    fn assembly_script(&self) -> Result<(), Failure> {
        ui::line("-- AssemblyScript");
        let Some(compiler) = self.asc()? else { return Ok(()) };
        let output = self.place.path("wc-as.wasm");
        let mut asc = process::command(self.tree, &compiler.display().to_string());
        asc.current_dir(self.tree.path("sdk/assemblyscript"));
        asc.args(["wc/wc.ts", "-O", "--runtime", "stub", "--use", "abort=kapsule/abort"]);
        asc.arg("--outFile").arg(&output);
        process::run(&mut asc)?;
        self.pack_and_count("sdk/assemblyscript/wc/kapsule.toml", &output)
    }

    fn pack_and_count(&self, manifest: &str, payload: &Path) -> Result<(), Failure> {
        let manifest = self.tree.path(manifest).display().to_string();
        let payload = payload.display().to_string();
        self.place.kapsule(&["pack", &manifest, "--payload", &payload, "-o", "wc.mod"])?;
        self.expect("wc.mod", COUNTED.0, COUNTED.1)
    }

    /// The command-line program in Rust, as its compiler makes it today.
    fn rust_program(&self) -> Result<(), Failure> {
        ui::line("-- a program in Rust for WASI");
        let added = process::run(process::command(self.tree, "rustup").args([
            "target",
            "add",
            WASI_TARGET,
        ]));
        if let Err(failure) = added {
            ui::line(&format!("skipped: {WASI_TARGET} cannot be installed: {failure}"));
            return Ok(());
        }
        let output = self.place.path("words.wasm");
        let mut rustc = process::command(self.tree, "rustc");
        rustc.args(["--edition", "2024", "--target", WASI_TARGET, "-Copt-level=z"]);
        rustc.args(["-Cpanic=abort", "-Cstrip=symbols", "-Clto=fat", "-Ccodegen-units=1"]);
        rustc.args(["-Clink-arg=-zstack-size=65536", "sdk/wasi/words.rs", "-o"]).arg(&output);
        process::run(&mut rustc)?;
        self.pack_program("words", &output)?;
        self.expect("words.mod", b"one two\none\n", "ONE TWO\nONE\none 2\ntwo 1\n")
    }

    /// The command-line program in C.
    fn c_program(&self) -> Result<(), Failure> {
        ui::line("-- a program in C for WASI");
        let Some(mut zig) = self.zig()? else { return Ok(()) };
        let output = self.place.path("sort.wasm");
        zig.args(["-target", "wasm32-wasi", "-Os", "-s", "-Wl,-z,stack-size=65536"]);
        zig.args(["-mcpu=mvp+bulk_memory+sign_ext+mutable_globals", "sdk/wasi/sort.c", "-o"]);
        zig.arg(&output);
        process::run(&mut zig)?;
        self.pack_program("sort", &output)?;
        self.expect("sort.mod", b"b\na\n", "--loud a\n--loud b\n")
    }

    fn pack_program(&self, name: &str, payload: &Path) -> Result<(), Failure> {
        let manifest = self.tree.path(&format!("sdk/wasi/{name}.toml")).display().to_string();
        let payload = payload.display().to_string();
        let args = ["pack", &manifest, "--payload", &payload, "--wasi", "--wasi-arg=--loud"];
        self.place.kapsule(&args).map(drop)
    }

    /// Runs a package on both engines and compares what it writes.
    fn expect(&self, package: &str, input: &[u8], expected: &str) -> Result<(), Failure> {
        self.place.write("input", input)?;
        for engine in ["wasmi", "jit"] {
            let args =
                ["run", package, "--input", "input", "--engine", engine, "--grant", "random"];
            let found = self.place.kapsule(&args)?;
            if found != expected {
                let detail = format!("wrote {found:?} on {engine}, expected {expected:?}");
                return Err(Failure::shape(package, detail));
            }
        }
        ui::line(&format!("{package} writes {expected:?} on both engines"));
        Ok(())
    }

    /// Prepares the C compiler, if it can be had.
    fn zig(&self) -> Result<Option<Command>, Failure> {
        let (name, version) = ZIG;
        let directory = cache_directory()?.join(format!("kapsule/{name}-{version}"));
        let python = directory.join("bin/python");
        let program = python.display().to_string();
        let is_there = || process::is_present(self.tree, &program, &["-m", "ziglang", "version"]);
        if !is_there() {
            let mut venv = process::command(self.tree, "python3");
            let made = process::run(venv.args(["-m", "venv", "--clear"]).arg(&directory));
            let mut pip = process::command(self.tree, &program);
            pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
            pip.args(["--disable-pip-version-check", &format!("{name}=={version}")]);
            if let Err(failure) = made.and_then(|()| process::run(&mut pip)) {
                ui::line(&format!("skipped: {name} {version} cannot be installed: {failure}"));
                return Ok(None);
            }
        }
        let mut zig = process::command(self.tree, &program);
        zig.args(["-m", "ziglang", "cc"]);
        zig.env("ZIG_GLOBAL_CACHE_DIR", cache_directory()?.join("kapsule/zig"));
        Ok(is_there().then_some(zig))
    }

    /// Returns the AssemblyScript compiler, if it can be had.
    fn asc(&self) -> Result<Option<PathBuf>, Failure> {
        let (name, version) = ASSEMBLY_SCRIPT;
        if !process::is_present(self.tree, "npm", &["--version"]) {
            ui::line("skipped: npm is not installed");
            return Ok(None);
        }
        let directory = cache_directory()?.join(format!("kapsule/{name}-{version}"));
        let compiler = directory.join("node_modules/.bin/asc");
        if !compiler.exists() {
            std::fs::create_dir_all(&directory).map_err(Failure::io(&directory))?;
            let mut npm = process::command(self.tree, "npm");
            npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
            npm.arg("--prefix").arg(&directory).arg(format!("{name}@{version}"));
            if let Err(failure) = process::run(&mut npm) {
                ui::line(&format!("skipped: {name} {version} cannot be installed: {failure}"));
                return Ok(None);
            }
        }
        Ok(Some(compiler))
    }
}
