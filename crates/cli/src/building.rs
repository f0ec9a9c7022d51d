//! Building a guest crate with the user's own Cargo.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Failure;
use crate::interrupt;
use crate::ui::Ui;

/// Target of every module.
const TARGET: &str = "wasm32v1-none";
/// Bytes of a guest's stack; the default of 1 MiB would make every instance large.
const STACK_BYTES: u32 = 32_768;

/// Builds the library of a crate and returns the module file.
pub(crate) fn module(ui: &Ui, directory: &Path, offline: bool) -> Result<PathBuf, Failure> {
    check_target(directory)?;
    interrupt::watch()?;
    ui.say(&format!("building {} for {TARGET}", directory.display()));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--lib", "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    if offline {
        cargo.arg("--offline");
    }
    // Set in full, so that neither the environment nor a user's settings change the bytes.
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(directory).join("\u{1f}"));
    if ui.json() {
        cargo.arg("--quiet");
    }
    let output =
        cargo.current_dir(directory).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| absent("cargo", &error))?;
    interrupt::check()?;
    if !output.status.success() {
        let hint = "correct what the compiler names; without a network, `cargo build` needs the \
            crates of Cargo.lock in its cache";
        return Err(Failure::usage(format!("{} does not build", directory.display()), hint)
            .cause(format!("cargo ended with {}", output.status)));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages.lines().rev().find_map(module_of).ok_or_else(|| {
        let hint = "let Cargo.toml say `crate-type = [\"cdylib\", \"rlib\"]` under [lib]";
        Failure::usage(format!("{} gives no module", directory.display()), hint)
            .cause("its library is not a cdylib")
    })
}

/// Refuses to begin without the standard library of the target.
fn check_target(directory: &Path) -> Result<(), Failure> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", TARGET]).current_dir(directory);
    let output = rustc.stdin(Stdio::null()).output().map_err(|error| absent("rustc", &error))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let found = output.status.success() && Path::new(printed.trim()).is_dir();
    if found {
        return Ok(());
    }
    let hint = format!("install it with `rustup target add {TARGET}`, called in the crate");
    let mut failure = Failure::usage(format!("the compiler lacks the target {TARGET}"), hint);
    if let Some(line) = String::from_utf8_lossy(&output.stderr).lines().next() {
        failure = failure.cause(line);
    }
    Err(failure)
}

fn absent(program: &str, error: &io::Error) -> Failure {
    let hint = "install Rust from https://rustup.rs";
    Failure::usage(format!("cannot run {program}"), hint).cause(error)
}

/// Returns the compiler flags: a small stack, and no path of this machine in the bytes.
fn flags(directory: &Path) -> Vec<String> {
    let mut flags = vec![format!("-Clink-arg=-zstack-size={STACK_BYTES}")];
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    if let Some(path) = cargo_home.or_else(home) {
        flags.push(format!("--remap-path-prefix={}=/cargo", path.display()));
    }
    if let Ok(path) = directory.canonicalize() {
        flags.push(format!("--remap-path-prefix={}=/crate", path.display()));
    }
    flags
}

/// Returns the wasm file of a line of Cargo's messages.
fn module_of(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let files = message["filenames"].as_array()?.iter().filter_map(Value::as_str);
    files.filter(|name| name.ends_with(".wasm")).map(PathBuf::from).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_files_are_found_in_messages() {
        let line = r#"{"reason": "compiler-artifact", "filenames": ["/t/a.rlib", "/t/a.wasm"]}"#;
        assert_eq!(module_of(line), Some(PathBuf::from("/t/a.wasm")));
        assert_eq!(module_of(r#"{"filenames": ["/t/a.rlib"]}"#), None);
        assert_eq!(module_of("warning"), None);
    }
}
