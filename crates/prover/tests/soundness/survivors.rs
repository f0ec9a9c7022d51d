//! The lists of what was found: changes that are not noticed, with reasons, and for everything that
//! may be left out a lie that only it refuses.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use kapsule_proof::field::{F, element};
use toml::de::{DeTable, DeValue};

use super::matrix::{Findings, Lie};
use super::situation::{PAGES, Written, parse, text};

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
        (label, Lie { origin, cells: words.map(cell).collect() })
    };
    text.lines().map(lie).collect()
}

/// Writes the lies that were known, and those that were found of anything else.
pub(crate) fn write_lies(found: &[Findings]) {
    let known = lies();
    let mut text = String::new();
    for findings in found {
        for item in &findings.items {
            let label = item.label(findings.table);
            let old = known.iter().find(|(other, _)| *other == label).map(|(_, lie)| lie);
            let Some(lie) = old.or_else(|| findings.shown.get(item)) else { continue };
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

/// A row that lies: its situation and the cells that are not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LyingRow {
    /// Pages of memory.
    pub(crate) pages: u32,
    pub(crate) text: Vec<Written>,
    pub(crate) cells: Vec<(usize, F)>,
}

/// Reads the rows that lie: labels with the row that only they refuse.
pub(crate) fn rows() -> BTreeMap<String, LyingRow> {
    let text = std::fs::read_to_string(path("rows.txt")).expect("the list is there");
    let row = |line: &str| {
        let parts: Vec<&str> = line.split(" | ").collect();
        let cells = parts[2].split(' ').map(cell).collect();
        let (pages, text) = match parts[1].split_once(" pages, ") {
            Some((pages, text)) => (pages.parse().expect("a number"), text),
            None => (PAGES, parts[1]),
        };
        (parts[0].to_owned(), LyingRow { pages, text: parse(text), cells })
    };
    text.lines().map(row).collect()
}

/// Writes the rows that lie.
pub(crate) fn write_rows(rows: &BTreeMap<String, LyingRow>) {
    let mut list = String::new();
    for (label, row) in rows {
        let pages =
            if row.pages == PAGES { String::new() } else { format!("{} pages, ", row.pages) };
        let _ = write!(list, "{label} | {pages}{} |", text(&row.text));
        for (cell, value) in &row.cells {
            let value: F = *value;
            let _ = write!(list, " {cell}:{value}");
        }
        list.push('\n');
    }
    std::fs::write(path("rows.txt"), list).expect("the list can be written");
}

/// Reads a cell: its column and its value.
fn cell(word: &str) -> (usize, F) {
    let (cell, value) = word.split_once(':').expect("cell:value");
    (cell.parse().expect("a number"), element(value.parse().expect("an element")))
}

/// Labels with the reason of their entry.
pub(crate) type Reasons = BTreeMap<String, String>;

/// Why nothing follows if a constraint is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Implied {
    /// Numbers of the constraints that it follows from.
    pub(crate) others: Vec<usize>,
    /// Greatest degree of the products that add up to it.
    pub(crate) degree: usize,
    /// Columns and what they are set to in a row on which it fails, if that mends the row.
    pub(crate) instead: BTreeMap<String, String>,
    /// Buses whose messages count 0 times or once.
    pub(crate) given: Vec<String>,
    /// Columns that constraints define, with the number of the constraint.
    pub(crate) defined: BTreeMap<String, usize>,
}

/// What the list says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survivors {
    /// Columns that may be changed without saying anything else.
    pub(crate) free: Reasons,
    /// Constraints and interactions of which no lie is known that they alone refuse.
    pub(crate) unshown: Reasons,
    /// Those of them of which it is checked that nothing follows if they are left out.
    pub(crate) implied: BTreeMap<String, Implied>,
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
        Self { free: entries("free"), unshown: entries("unshown"), implied: implied(&table) }
    }
}

/// Reads which labels are implied by which others of their table; where they are listed together,
/// each is implied by the rest.
fn implied(table: &DeTable<'_>) -> BTreeMap<String, Implied> {
    let mut implied = BTreeMap::new();
    let list = table.get("unshown").and_then(|value| value.get_ref().as_array());
    for entry in list.expect("a list of entries") {
        let field = |name: &str| entry.get_ref().get(name).map(|value| value.get_ref());
        let text = |value: &DeValue<'_>| value.as_str().expect("a text").to_owned();
        let Some(by) = field("implied_by").and_then(DeValue::as_array) else { continue };
        let number = |value: &str| value.parse::<usize>().expect("a number");
        let others: Vec<usize> = by.iter().map(|one| number(&text(one.get_ref()))).collect();
        let degree = field("degree").map_or(4, |value| number(&text(value)));
        let pairs = |name: &str| -> BTreeMap<String, String> {
            let columns = field(name).and_then(DeValue::as_table).into_iter().flatten();
            columns
                .map(|(name, value)| (name.get_ref().to_string(), text(value.get_ref())))
                .collect()
        };
        let (instead, defined) = (pairs("instead"), pairs("defined"));
        let defined: BTreeMap<String, usize> =
            defined.into_iter().map(|(name, value)| (name, number(&value))).collect();
        let given = field("given").and_then(DeValue::as_array).into_iter().flatten();
        let given: Vec<String> = given.map(|bus| text(bus.get_ref())).collect();
        for label in field("labels").and_then(DeValue::as_array).expect("labels") {
            let label = text(label.get_ref());
            let own = label.split_once('.').map(|(_, own)| number(own));
            let others = others.iter().copied().filter(|other| Some(*other) != own).collect();
            let (instead, given, defined) = (instead.clone(), given.clone(), defined.clone());
            implied.insert(label, Implied { others, degree, instead, given, defined });
        }
    }
    implied
}
