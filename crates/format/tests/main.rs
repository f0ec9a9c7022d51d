//! Integration tests of `kapsule-format`: vectors and published tables.
#![expect(clippy::disallowed_methods, reason = "tests read the vectors and the published tables")]
#![cfg_attr(
    feature = "encrypt",
    expect(
        clippy::unwrap_used,
        reason = "helpers that cannot go on fail the test that calls them"
    )
)]

#[cfg(test)]
mod authoring;
#[cfg(all(test, feature = "encrypt"))]
mod capsule;
#[cfg(all(test, feature = "encrypt"))]
mod encrypt;
#[cfg(test)]
mod package;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod receipt_evidence;
#[cfg(test)]
mod receipt_rules;
#[cfg(test)]
mod receipt_scene;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod syntaxes;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod transcript;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod verify;

/// Every file of this folder is a `mod` above, so that no test is forgotten.
#[test]
fn no_test_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let source = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let named = stem == "main" || source.contains(&format!("\nmod {stem};"));
        assert!(named, "{} is no mod of tests/main.rs", path.display());
    }
}
