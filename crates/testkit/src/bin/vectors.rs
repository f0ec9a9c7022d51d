//! Writes the vectors of the groups `capsule`, `container`, `fork`, `receipt` and `snapshot` anew,
//! or of those that are named.
//!
//! ```text
//! cargo run --release -p kapsule-testkit --bin vectors
//! cargo run --release -p kapsule-testkit --bin vectors -- snapshot
//! ```
//!
//! The difference is to be read as code; a test run only compares.
//! Capsules are encrypted, so their bytes differ each time.

use std::path::Path;
use std::{fs, io};

use kapsule_testkit::capsules;
use kapsule_testkit::receipts::vectors::{self, Vector};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
    let named: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |group: &str| named.is_empty() || named.iter().any(|name| name == group);
    let groups = ["capsule", "container", "fork", "receipt", "snapshot"];
    for group in groups.into_iter().filter(|group| is_wanted(group)) {
        for folder in ["accept", "reject"] {
            let folder = root.join(group).join(folder);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
        }
    }
    let all = [
        vectors::all(),
        capsules::vectors::all(),
        capsules::snapshots::all(),
        capsules::forks::all(),
    ]
    .concat();
    for vector in all.into_iter().filter(|vector| is_wanted(vector.group)) {
        let Vector { group, name, why, expect, check, more, bytes } = vector;
        let rejected = expect.starts_with('E');
        let folder = root.join(group).join(if rejected { "reject" } else { "accept" });
        let check = check.map(|check| format!("check = \"{check}\"\n")).unwrap_or_default();
        let head = format!(
            "spec = \"spec/{group}.md\"\nwhy = \"{why}\"\nexpect = \"{expect}\"\n{check}{more}"
        );
        fs::write(folder.join(format!("{name}.toml")), head)?;
        fs::write(folder.join(format!("{name}.bin")), bytes)?;
    }
    Ok(())
}
