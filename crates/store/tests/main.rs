//! Tests of the store: what a change leaves, what damage is named, what a crash leaves.
#![expect(clippy::unwrap_used, reason = "helpers that cannot go on fail the test that calls them")]

mod capsules;
mod crash;
mod exchange;
mod log;
mod pruning;
mod storage;
mod support;
mod tamper;
mod views;

#[test]
fn no_test_file_is_forgotten() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    let own = include_str!("main.rs");
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(stem) = name.strip_suffix(".rs").filter(|stem| *stem != "main") {
            assert!(own.contains(&format!("mod {stem};\n")), "{name} is not a mod of main.rs");
        }
    }
}
