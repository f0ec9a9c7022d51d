//! Many receipts at once: a folder of them as a table, and what they come to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kapsule_format::receipt::{Claim, Receipt, outcome_name};
use kapsule_format::verify::{ReceiptOptions, Report};
use kapsule_store::Store;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::opening::{Files, Verifier};
use crate::text::{Align, facts, grouped, plain, table};

/// End of the name of a receipt.
const SUFFIX: &str = "cap";
/// Digits of an id that a table shows.
const SHORT: usize = 12;

/// One receipt of a folder, verified.
pub(crate) struct Row {
    /// Name of the file.
    file: String,
    bytes: u64,
    report: Report,
    claim: Option<Claim>,
}

/// Reads and verifies every `.cap` file of a directory, in order of the names.
pub(crate) fn read(
    directory: &Path,
    verifier: &Verifier<'_>,
    asked: &ReceiptOptions,
) -> Result<Vec<Row>, Failure> {
    let entries = std::fs::read_dir(directory).map_err(|error| {
        let message = format!("cannot list {}", directory.display());
        Failure::usage(message, "name a directory with receipts").cause(error)
    })?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_receipt = |path: &PathBuf| path.extension().is_some_and(|end| end == SUFFIX);
    let mut paths: Vec<PathBuf> = paths.filter(is_receipt).filter(|path| path.is_file()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let files = Files::read_as(&path, "receipt")?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Row::of(file, files.bytes(), verifier, asked)
    };
    paths.into_iter().map(read).collect()
}

/// Verifies every receipt of a store, in the order in which they were kept.
pub(crate) fn of_store(
    store: &Store,
    verifier: &Verifier<'_>,
    asked: &ReceiptOptions,
) -> Result<Vec<Row>, Failure> {
    let kept = store.view().receipts()?.into_iter();
    kept.map(|kept| Row::of(format!("{}.cap", kept.id), &kept.file, verifier, asked)).collect()
}

/// Names of the columns.
const COLUMNS: [&str; 13] = [
    "file",
    "status",
    "level",
    "error_code",
    "receipt_id",
    "issuer",
    "capsule_hash",
    "entry",
    "outcome",
    "fuel_used",
    "output_bytes",
    "stop_ms",
    "bytes",
];

impl Row {
    fn of(
        file: String,
        bytes: &[u8],
        verifier: &Verifier<'_>,
        asked: &ReceiptOptions,
    ) -> Result<Self, Failure> {
        let report = verifier.receipt(bytes, asked, false)?;
        let claim = Receipt::decode(bytes).ok().map(|receipt| receipt.claim().clone());
        Ok(Self { file, bytes: bytes.len() as u64, report, claim })
    }

    fn status(&self) -> &'static str {
        if self.report.is_accepted() { "ACCEPT" } else { "REJECT" }
    }

    /// Returns the values of the columns; what a file that is no receipt lacks is empty.
    fn cells(&self) -> [String; COLUMNS.len()] {
        let of = |value: fn(&Claim) -> String| self.claim.as_ref().map(value).unwrap_or_default();
        let code = self.report.error_code.map(|code| format!("E{:03}", code.number()));
        [
            self.file.clone(),
            self.status().to_owned(),
            self.report.level.to_string(),
            code.unwrap_or_default(),
            of(|claim| claim.id().to_string()),
            of(|claim| claim.issuer.id().to_string()),
            of(|claim| claim.exec.capsule_hash.to_string()),
            of(|claim| claim.exec.entry.clone()),
            of(|claim| claim.exec.outcome.to_string()),
            of(|claim| claim.exec.fuel_used.to_string()),
            of(|claim| claim.exec.output.size.to_string()),
            of(|claim| claim.context.stop_ms.to_string()),
            self.bytes.to_string(),
        ]
    }

    /// Returns the row as data.
    pub(crate) fn to_json(&self) -> Value {
        let pairs = COLUMNS.iter().zip(self.cells());
        let members = pairs.filter(|(_, value)| !value.is_empty());
        let mut object: serde_json::Map<String, Value> =
            members.map(|(name, value)| ((*name).to_owned(), value.into())).collect();
        object.insert("schema".into(), "kapsule/cli-receipt-row/1".into());
        Value::Object(object)
    }
}

/// Returns the rows as CSV with a head line.
pub(crate) fn to_csv(rows: &[Row]) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::internal("the rows are no CSV", "report this as a bug").cause(error.to_string())
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).map_err(|error| failed(&error))?;
    for row in rows {
        writer.write_record(row.cells()).map_err(|error| failed(&error))?;
    }
    writer.into_inner().map_err(|error| failed(&error))
}

/// Returns the rows as a table for people, with ids cut short.
pub(crate) fn to_table(rows: &[Row]) -> String {
    let shown = [0, 1, 2, 3, 4, 5, 6, 8, 9];
    let head: Vec<String> = shown.iter().map(|at| COLUMNS[*at].to_owned()).collect();
    let line = |row: &Row| {
        let cells = row.cells();
        let cell = |at: &usize| match at {
            4..=6 => cells[*at].chars().take(SHORT).collect(),
            9 => cells[*at].parse().map_or_else(|_| String::new(), grouped),
            _ => plain(&cells[*at]),
        };
        shown.iter().map(cell).collect()
    };
    let lines: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(line)).collect();
    let mut columns = [Align::Left; 9];
    columns[8] = Align::Right;
    table(&columns, &lines)
}

/// What a folder of receipts comes to.
pub(crate) struct Totals {
    counts: Vec<(&'static str, BTreeMap<String, u64>)>,
    fuel: Vec<u64>,
    bytes: u64,
    span: Option<(u64, u64)>,
    replayed: Vec<Vec<String>>,
    contradicting: Vec<Vec<String>>,
}

impl Totals {
    /// Counts.
    pub(crate) fn of(rows: &[Row]) -> Self {
        let count = |key: &dyn Fn(&Row) -> Option<String>| {
            let mut counts = BTreeMap::new();
            rows.iter().filter_map(key).for_each(|key| *counts.entry(key).or_insert(0) += 1);
            counts
        };
        let claims = || rows.iter().filter_map(|row| Some((row, row.claim.as_ref()?)));
        let claim = |value: fn(&Claim) -> String| move |row: &Row| row.claim.as_ref().map(value);
        let mut fuel: Vec<u64> = claims().map(|(_, claim)| claim.exec.fuel_used).collect();
        fuel.sort_unstable();
        let stops = || claims().map(|(_, claim)| claim.context.stop_ms);
        Self {
            counts: vec![
                ("status", count(&|row| Some(row.status().to_owned()))),
                ("level", count(&|row| Some(row.report.level.to_string()))),
                ("outcome", count(&claim(|claim| outcome_name(claim.exec.outcome).to_owned()))),
                ("package", count(&claim(|claim| claim.exec.capsule_hash.to_string()))),
                ("issuer", count(&claim(|claim| claim.issuer.id().to_string()))),
            ],
            fuel,
            bytes: rows.iter().map(|row| row.bytes).sum(),
            span: stops().min().zip(stops().max()),
            replayed: groups(claims().map(|(row, claim)| {
                let who = claim.job.requester.unwrap_or(*claim.issuer.id().digest());
                ((who, claim.job.nonce), (row.file.clone(), claim.id()))
            })),
            contradicting: contradictions(&claims().collect::<Vec<_>>()),
        }
    }

    /// Returns the counts as data.
    pub(crate) fn to_json(&self, receipts: usize) -> Value {
        let counts: serde_json::Map<String, Value> =
            self.counts.iter().map(|(name, counts)| ((*name).to_owned(), json!(counts))).collect();
        let [least, median, greatest, sum] = self.fuel_figures().map(|number| number.to_string());
        json!({
            "schema": "kapsule/cli-receipt-stats/1",
            "receipts": receipts,
            "counts": counts,
            "fuel": { "min": least, "median": median, "max": greatest, "sum": sum },
            "bytes": self.bytes.to_string(),
            "first_stop_ms": self.span.map(|(first, _)| first.to_string()),
            "last_stop_ms": self.span.map(|(_, last)| last.to_string()),
            "same_nonce": self.replayed,
            "contradicting": self.contradicting,
        })
    }

    /// Returns the least, the median, the greatest and the sum of the fuel used.
    fn fuel_figures(&self) -> [u64; 4] {
        let at = |index: usize| self.fuel.get(index).copied().unwrap_or_default();
        let sum = self.fuel.iter().fold(0_u64, |sum, fuel| sum.saturating_add(*fuel));
        [at(0), at(self.fuel.len() / 2), self.fuel.last().copied().unwrap_or_default(), sum]
    }

    /// Returns the counts for people.
    pub(crate) fn to_text(&self, receipts: usize) -> String {
        let [least, median, greatest, sum] = self.fuel_figures().map(grouped);
        let fuel = format!("{sum} in all, {least} to {greatest}, median {median}");
        let mut lines = vec![
            ("receipts", grouped(receipts as u64)),
            ("bytes", grouped(self.bytes)),
            ("fuel used", fuel),
        ];
        for (name, counts) in &self.counts {
            lines.extend(counts.iter().map(|(key, count)| (*name, format!("{count} {key}"))));
        }
        let list = |files: &Vec<String>| plain(&files.join(" "));
        lines.extend(self.replayed.iter().map(|files| ("same nonce", list(files))));
        lines.extend(self.contradicting.iter().map(|files| ("contradicting", list(files))));
        facts(&lines)
    }
}

/// Returns the files of each key that stands for more than one receipt.
fn groups<K: Ord, I: Ord>(keyed: impl Iterator<Item = (K, (String, I))>) -> Vec<Vec<String>> {
    let mut found: BTreeMap<K, BTreeMap<I, String>> = BTreeMap::new();
    keyed.for_each(|(key, (file, id))| drop(found.entry(key).or_default().insert(id, file)));
    let several = found.into_values().filter(|ids| ids.len() > 1);
    several.map(|ids| ids.into_values().collect()).collect()
}

/// Returns the pairs of files that claim two results of one job with the same answers.
fn contradictions(claims: &[(&Row, &Claim)]) -> Vec<Vec<String>> {
    let mut of_package: BTreeMap<_, Vec<&(&Row, &Claim)>> = BTreeMap::new();
    for claim in claims {
        let exec = &claim.1.exec;
        let job = (exec.capsule_hash, exec.input.digest, exec.transcript.root);
        of_package.entry(job).or_default().push(claim);
    }
    let mut pairs: BTreeSet<(String, String)> = BTreeSet::new();
    for same in of_package.values() {
        for (index, (left, one)) in same.iter().enumerate() {
            for (right, other) in &same[index + 1..] {
                let differ = one.exec.hash() != other.exec.hash();
                if differ && one.exec.is_same_job(&other.exec) {
                    pairs.insert((left.file.clone(), right.file.clone()));
                }
            }
        }
    }
    pairs.into_iter().map(|(left, right)| vec![left, right]).collect()
}
