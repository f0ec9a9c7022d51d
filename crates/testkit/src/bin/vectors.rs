//! Writes the vectors of the groups `capsule`, `container` and `receipt` anew.
//!
//! ```text
//! cargo run --release -p kapsule-testkit --bin vectors
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
    for group in ["capsule", "container", "receipt"] {
        for folder in ["accept", "reject"] {
            let folder = root.join(group).join(folder);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
        }
    }
    for vector in vectors::all().into_iter().chain(capsules::vectors::all()) {
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
