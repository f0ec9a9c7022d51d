//! The command as people use it: arguments in, streams, files and exit codes out.
#![expect(clippy::unwrap_used, reason = "helpers that cannot go on fail the test that calls them")]

mod analyses;
mod asking;
mod audits;
mod batches;
mod capsules;
mod codecache;
mod composition;
mod convert;
mod crashes;
mod demo;
mod encrypted;
mod examples;
mod exchanges;
mod filters;
mod forks;
mod ingests;
mod interrupts;
mod keys;
mod outside;
mod packages;
mod passphrases;
mod policies;
mod proofs;
mod receipt_bundles;
mod receipt_evidence;
mod receipt_files;
mod receipt_policies;
mod receipts;
mod reference;
mod replays;
mod results;
mod runs;
mod scaffolds;
mod sdk;
mod settings;
mod streams;
mod support;
mod surroundings;
mod trust;
mod verification;
mod views;
mod wasi;

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
