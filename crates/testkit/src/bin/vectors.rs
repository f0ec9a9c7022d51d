//! Writes the vectors of the groups `container` and `receipt` anew.
//!
//! ```text
//! cargo run --release -p kapsule-testkit --bin vectors
//! ```
//!
//! The difference is to be read as code; a test run only compares.

use std::path::Path;
use std::{fs, io};

use kapsule_testkit::receipts::vectors::{self, Vector};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors");
    for group in ["container", "receipt"] {
        for folder in ["accept", "reject"] {
            let folder = root.join(group).join(folder);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
        }
    }
    for vector in vectors::all() {
        let Vector { group, name, why, expect, check, bytes } = vector;
        let rejected = expect.starts_with('E');
        let folder = root.join(group).join(if rejected { "reject" } else { "accept" });
        let check = check.map(|check| format!("check = \"{check}\"\n")).unwrap_or_default();
        let head =
            format!("spec = \"spec/{group}.md\"\nwhy = \"{why}\"\nexpect = \"{expect}\"\n{check}");
        fs::write(folder.join(format!("{name}.toml")), head)?;
        fs::write(folder.join(format!("{name}.bin")), bytes)?;
    }
    Ok(())
}
