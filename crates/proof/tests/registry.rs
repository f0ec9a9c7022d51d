//! No table changes unnoticed, and every table keeps the general rules.

use std::collections::BTreeMap;

use kapsule_proof::machine::{describe, digest};

/// BLAKE3 of the text; `spec/proof.md` prints it.
/// It changes with `ISA` or the proof version, never alone.
const DIGEST: &str = kapsule_proof::machine::DIGEST;

#[test]
fn tables_are_the_ones_that_were_reviewed() {
    let found: String = digest().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(found, DIGEST.trim(), "the tables changed:\n{}", describe());
}

#[test]
fn every_constraint_has_degree_three_at_most() {
    for line in describe().lines().filter(|line| line.contains(" degree ")) {
        let degree = line.split(" degree ").nth(1).and_then(|rest| rest.split(' ').next());
        let degree: u32 = degree.and_then(|degree| degree.parse().ok()).unwrap();
        assert!((1..=3).contains(&degree), "{line}");
    }
}

#[test]
fn tuples_of_a_bus_have_one_width_and_weights_are_at_most_one() {
    let mut widths = BTreeMap::new();
    for line in describe().lines().filter(|line| line.contains(" width ")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, bus, _, width, _, weight, ..] = words[..] else { panic!("{line}") };
        assert_eq!(*widths.entry(bus.to_owned()).or_insert(width.to_owned()), width, "{line}");
        assert!(["0", "1"].contains(&weight), "{line}");
    }
    assert_eq!(widths.len(), 12, "{widths:?}");
}
