//! Integration tests: the same cases on every backend.

mod abi_table;
mod ahead;
mod compose;
mod hostcalls;
mod limits;
mod memory_traps;
mod metering;
mod nans;
mod outside;
mod raw;
mod refusals;
mod replays;
mod storage;
mod stored;
mod support;
mod tiers;

/// Every file of this directory is part of the binary.
#[test]
fn no_test_file_is_forgotten() {
    let main = include_str!("main.rs");
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for file in std::fs::read_dir(directory).expect("the directory of this file") {
        let name = file.expect("a directory entry").file_name();
        let stem = name.to_string_lossy().trim_end_matches(".rs").to_string();
        assert!(stem == "main" || main.contains(&format!("mod {stem};")), "{stem} is forgotten");
    }
}
