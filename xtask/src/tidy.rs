//! `tidy`: rules on the text of the repository that no compiler checks.
//!
//! Exceptions stand in the tables below by name, each with its reason.

mod manifests;
mod markdown;
mod source;
mod text;
mod words;

use crate::failure::{Failure, Finding};
use crate::tree::Tree;
use crate::ui;

/// A file that may break one rule, and why.
pub(crate) struct Waiver {
    /// File relative to the repository.
    path: &'static str,
    /// Why the file is better so.
    reason: &'static str,
}

/// Files whose length is the length of a table.
const LONG_FILES: &[Waiver] = &[];

/// Files with lines above 100 columns.
const LONG_LINES: &[Waiver] = &[Waiver {
    path: "crates/abi/src/error_code.rs",
    reason: "one row of the error table per line, so that it can be compared with the spec",
}];

/// One rule: its name for the summary, and its check.
type Rule = (&'static str, fn(&Tree) -> Result<Vec<Finding>, Failure>);

const RULES: &[Rule] = &[
    ("file and line sizes, ASCII", text::check),
    ("words of the glossary", words::check),
    ("attributes, guards, signatures", source::check),
    ("manifests and lint settings", manifests::check),
    ("links and quickstart", markdown::check),
];

/// Applies every rule and reports all findings at once.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("tidy takes no argument, found `{unknown}`")));
    }
    let mut findings = stale_waivers(tree);
    for (name, check) in RULES {
        let found = check(tree)?;
        ui::line(&format!("{name}: {} findings", found.len()));
        findings.extend(found);
    }
    Failure::from_findings(findings)
}

/// Tells whether `path` is among the waivers.
fn is_waived(waivers: &[Waiver], path: &str) -> bool {
    waivers.iter().any(|waiver| waiver.path == path)
}

/// Returns the waivers whose file is gone.
fn stale_waivers(tree: &Tree) -> Vec<Finding> {
    let waivers = LONG_FILES.iter().chain(LONG_LINES);
    let gone = waivers.filter(|waiver| !tree.path(waiver.path).is_file());
    gone.map(|one| Finding::new(one.path, 0, format!("waiver for an absent file ({})", one.reason)))
        .collect()
}
