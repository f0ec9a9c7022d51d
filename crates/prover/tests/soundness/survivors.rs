//! The lists of what was found: changes that are not noticed, with reasons, and for everything that
//! may be left out a lie that only it refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use kapsule_proof::field::{F, element};
use toml::de::{DeTable, DeValue};

use super::matrix::{Findings, Lie};

/// Returns the path of a list.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proof/soundness").join(name)
}

/// Reads the lies: labels with the change that only they refuse.
pub(crate) fn lies() -> Vec<(String, Lie)> {
    let text = std::fs::read_to_string(path("lies.txt")).expect("the list is there");
    let number = |word: &str| word.parse().expect("a number");
    let lie = |line: &str| {
        let mut words = line.split(' ');
        let label = words.next().expect("a label").to_owned();
        let origin = [(); 2].map(|()| words.next().map(number).expect("a place"));
        let cells = words.map(|word| {
            let (cell, value) = word.split_once(':').expect("cell:value");
            (number(cell), element(value.parse().expect("an element")))
        });
        (label, Lie { origin, cells: cells.collect() })
    };
    text.lines().map(lie).collect()
}

/// Writes the lies that were found, and keeps those that were known of anything else.
pub(crate) fn write_lies(found: &[Findings]) {
    let known = lies();
    let mut text = String::new();
    for findings in found {
        for item in &findings.items {
            let label = item.label(findings.table);
            let new = findings.shown.get(item).map(|(_, lie)| lie);
            let old = || known.iter().find(|(other, _)| *other == label).map(|(_, lie)| lie);
            let Some(lie) = new.or_else(old) else { continue };
            let [run, row] = lie.origin;
            let _ = write!(text, "{label} {run} {row}");
            for (cell, value) in &lie.cells {
                let value: F = *value;
                let _ = write!(text, " {cell}:{value}");
            }
            text.push('\n');
        }
    }
    std::fs::write(path("lies.txt"), text).expect("the list can be written");
}

/// Labels with the reason of their entry.
pub(crate) type Reasons = BTreeMap<String, String>;

/// What the list says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survivors {
    /// Columns that may be changed without saying anything else.
    pub(crate) free: Reasons,
    /// Constraints and interactions of which no lie is known that they alone refuse.
    pub(crate) unshown: Reasons,
}

impl Survivors {
    /// Reads the list of the repository.
    pub(crate) fn read() -> Self {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proof/soundness/survivors.toml");
        let text = std::fs::read_to_string(&path).expect("the list is there");
        let table = DeTable::parse(&text).expect("the list is TOML").into_inner();
        let entries = |name: &str| {
            let mut reasons = Reasons::new();
            let list = table.get(name).and_then(|value| value.get_ref().as_array());
            for entry in list.expect("a list of entries") {
                let field = |name: &str| entry.get_ref().get(name).map(|value| value.get_ref());
                let reason = field("reason").and_then(DeValue::as_str).expect("a reason");
                assert!(reason.len() > 20, "a reason is a sentence: {reason}");
                for label in field("labels").and_then(DeValue::as_array).expect("labels") {
                    let label = label.get_ref().as_str().expect("a label").to_owned();
                    let twice = reasons.insert(label.clone(), reason.to_owned());
                    assert_eq!(twice, None, "{label} stands twice");
                }
            }
            reasons
        };
        Self { free: entries("free"), unshown: entries("unshown") }
    }
}
