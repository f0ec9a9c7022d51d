//! Embeds the guest SDK, so that `kapsule new` needs neither a checkout nor a registry for it.
//!
//! Writes `sdk.rs`: every source file of the crates that a guest depends on, and the entries of
//! `Cargo.lock` for the crates that those depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The crates of the SDK, as (directory, package).
const CRATES: [(&str, &str); 2] = [("abi", "kapsule-abi"), ("guest", "kapsule-guest")];
/// The only outside crate that the SDK names.
const OUTSIDE: &str = "minicbor";

fn main() -> io::Result<()> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = String::from("/// Path below the SDK's directory, and text.\n");
    files.push_str("pub(super) const FILES: &[(&str, &str)] = &[\n");
    for (directory, package) in CRATES {
        let base = root.join("crates").join(directory);
        let mut found = Vec::new();
        walk(&base.join("src"), &mut found)?;
        found.extend([base.join("README.md")].into_iter().filter(|path| path.exists()));
        for path in found {
            println!("cargo::rerun-if-changed={}", path.display());
            let below = path.strip_prefix(&base).map_err(io::Error::other)?;
            let name = format!("{package}/{}", below.display());
            let path = fs::canonicalize(&path)?;
            files.push_str(&format!("    ({name:?}, include_str!({path:?})),\n"));
        }
        println!("cargo::rerun-if-changed={}", base.join("src").display());
    }
    files.push_str("];\n\n");
    let lock = root.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let locked = locked(&fs::read_to_string(lock)?)?;
    files.push_str("/// Name and lock entry of every outside crate, in order of the names.\n");
    files.push_str("pub(super) const LOCKED: &[(&str, &str)] = &[\n");
    for (name, entry) in locked {
        files.push_str(&format!("    ({name:?}, {entry:?}),\n"));
    }
    files.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets OUT_DIR"))?;
    fs::write(Path::new(&out).join("sdk.rs"), files)
}

/// Lists the files below a directory in order of their names.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

/// Returns the lock entries of the outside crate and of everything that it needs.
fn locked(lock: &str) -> io::Result<BTreeMap<String, String>> {
    let entries: Vec<&str> = lock.split("[[package]]\n").skip(1).collect();
    let field = |entry: &str, name: &str| {
        let line = entry.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
        line.and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
    };
    let mut found = BTreeMap::new();
    let mut wanted = BTreeSet::from([OUTSIDE.to_owned()]);
    while let Some(next) = wanted.pop_first() {
        // A crate that is there in two versions is asked for as `name version`.
        let (name, version) = next.split_once(' ').unwrap_or((&next, ""));
        let is_it = |entry: &&&str| {
            field(entry, "name") == name
                && (version.is_empty() || field(entry, "version") == version)
        };
        let entry = entries.iter().find(is_it).ok_or_else(|| io::Error::other(next.clone()))?;
        let mut text = String::from("[[package]]\n");
        for line in entry.trim_end().lines() {
            let dependency =
                line.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix("\","));
            match dependency {
                Some(dependency) => {
                    wanted.insert(dependency.to_owned());
                    let plain = dependency.split(' ').next().unwrap_or(dependency);
                    text.push_str(&format!(" \"{plain}\",\n"));
                }
                None => text.push_str(&format!("{line}\n")),
            }
        }
        found.insert(name.to_owned(), text);
    }
    Ok(found)
}
