//! `guards`: switches every guard off in turn and expects a failing test.
//!
//! A guard that no test notices is not a guard.
//! First every test runs alone with every guard on, which tells where each guard refuses something:
//! only those tests can notice that it is off, and they are asked one by one, the quickest first.
//! The tests of the crate that holds the guard come before those of the crates above it.

mod binaries;
pub(crate) mod scan;
mod trial;
mod watch;
mod workers;

use crate::failure::{Failure, Finding};
use crate::process;
use crate::tree::Tree;
use crate::ui;
use binaries::Selection;
use scan::Guard;
use std::collections::{BTreeMap, BTreeSet};
use trial::{Tried, Verdict};
use watch::Test;

/// Crates above the others, whose tests are asked about a guard that survived its own crate.
const DEPENDANTS: &[&str] = &["engine", "testkit", "cli"];

/// Crates whose tests stand in another one: what a verifier refuses takes a prover to make.
const TESTED_IN: &[(&str, &str)] = &[("proof", "prover")];

/// Where `--report` writes.
const REPORT: &str = "docs/reports/guards.md";

/// What to try.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Only the guards of this crate.
    owner: Option<String>,
    /// Whether to write the report.
    report: bool,
}

impl Options {
    /// Decodes the command line.
    fn decode(args: &[String]) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(Failure::Usage(format!("{arg} needs a value")));
            match arg {
                "--crate" => {
                    let name = value()?;
                    options.owner = Some(name.strip_prefix("kapsule-").unwrap_or(name).to_owned());
                }
                "--report" => options.report = true,
                other => {
                    let text = format!("guards: `{other}`, allowed: --crate, --report");
                    return Err(Failure::Usage(text));
                }
            }
        }
        if options.report && options.owner.is_some() {
            return Err(Failure::Usage("guards: a report of one crate would mislead".into()));
        }
        Ok(options)
    }

    /// Keeps the guards that were asked for.
    fn select(&self, guards: Vec<Guard>) -> Vec<Guard> {
        let chosen = |guard: &Guard| self.owner.iter().all(|name| *name == guard.owner);
        guards.into_iter().filter(chosen).collect()
    }
}

/// Tries the chosen guards and fails if any survives.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    let options = Options::decode(args)?;
    let guards = options.select(scan::collect(tree)?);
    if guards.is_empty() {
        return Err(Failure::shape("guards", "none found for these options"));
    }
    ui::line(&format!("{} guards to switch off", guards.len()));
    let owners: BTreeSet<String> = guards.iter().map(|guard| guard.owner.clone()).collect();
    let others = TESTED_IN.iter().filter(|(owner, _)| owners.contains(*owner));
    let tested: BTreeSet<String> =
        owners.iter().cloned().chain(others.map(|(_, other)| (*other).to_owned())).collect();
    let selection = match options.owner {
        None => Selection::Workspace,
        Some(_) => Selection::Crates(tested.clone()),
    };
    let mut own = binaries::build(tree, &selection)?;
    own.retain(|binary| tested.contains(&binary.owner));
    let tests = watch::all(own)?;
    let own_tests = |guard: &Guard, test: &Test| tests_of(&guard.owner, &test.binary.owner);
    let left = |tried: &Tried| print(tried, "is left to the tests of other crates");
    let tried = trial::all(guards, &tests, own_tests, left)?;
    let tried = ask_dependants(tree, selection, tests, tried)?;
    print_summary(&tried);
    if options.report {
        let path = tree.path(REPORT);
        let commit = process::commit(tree)?;
        std::fs::write(&path, report(&commit, &tried)).map_err(Failure::io(&path))?;
    }
    let survivors = tried.iter().filter(|(_, verdict)| verdict.survived());
    Failure::from_findings(survivors.map(|(guard, _)| survivor(guard)).collect())
}

/// Tells whether the tests of `tester` are those of `owner`.
fn tests_of(owner: &str, tester: &str) -> bool {
    owner == tester || TESTED_IN.contains(&(owner, tester))
}

/// Makes the finding about a guard that no test noticed.
fn survivor(guard: &Guard) -> Finding {
    let text = format!("guard `{}` can be switched off and every test passes", guard.name);
    Finding::new(&guard.path, guard.line, text)
}

/// Tries the survivors again with the tests of the crates above, some of which were watched.
fn ask_dependants(
    tree: &Tree,
    selection: Selection,
    mut tests: Vec<Test>,
    tried: Vec<Tried>,
) -> Result<Vec<Tried>, Failure> {
    let (survived, mut caught): (Vec<Tried>, Vec<Tried>) =
        tried.into_iter().partition(|(_, verdict)| verdict.survived());
    if survived.is_empty() {
        return Ok(caught);
    }
    ui::line(&format!("{} survived their own crate's tests", survived.len()));
    let selection = match selection {
        Selection::Workspace => Selection::Workspace,
        Selection::Crates(mut crates) => {
            crates.extend(DEPENDANTS.iter().map(|name| (*name).to_owned()));
            Selection::Crates(crates)
        }
    };
    let mut above = binaries::build(tree, &selection)?;
    let is_above = |owner: &str| DEPENDANTS.contains(&owner);
    above.retain(|binary| is_above(&binary.owner));
    above.retain(|binary| tests.iter().all(|test| test.binary != *binary));
    tests.extend(watch::all(above)?);
    let guards = survived.into_iter().map(|(guard, _)| guard).collect();
    let other_tests = |guard: &Guard, test: &Test| {
        is_above(&test.binary.owner) && !tests_of(&guard.owner, &test.binary.owner)
    };
    let ended = |tried: &Tried| print(tried, "SURVIVED");
    caught.extend(trial::all(guards, &tests, other_tests, ended)?);
    caught.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(caught)
}

/// Prints what happened to one guard; `survived` says what becomes of one that no test noticed.
fn print((guard, verdict): &Tried, survived: &str) {
    match verdict {
        Verdict::Caught(by) => ui::line(&format!("  {} caught by {by}", guard.name)),
        Verdict::Survived { refusing } => {
            let place = format!("{}:{}", guard.path, guard.line);
            let tests = format!("refusing in {refusing} tests ({place})");
            ui::line(&format!("  {} {survived}, {tests}", guard.name));
        }
    }
}

/// Returns crate, number of guards and number of survivors for each crate and for all.
fn totals(tried: &[Tried]) -> Vec<Vec<String>> {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (guard, verdict) in tried {
        let survived = usize::from(verdict.survived());
        for name in [guard.owner.as_str(), "~ all"] {
            let (guards, survivors) = counts.entry(name).or_default();
            *guards += 1;
            *survivors += survived;
        }
    }
    let row = |(name, (guards, survivors)): (&str, (usize, usize))| {
        vec![name.trim_start_matches("~ ").to_owned(), guards.to_string(), survivors.to_string()]
    };
    counts.into_iter().map(row).collect()
}

/// Prints the totals.
fn print_summary(tried: &[Tried]) {
    let mut rows = vec![["crate", "guards", "survivors"].map(String::from).to_vec()];
    rows.extend(totals(tried));
    ui::table(&rows);
}

/// Returns the text of the report.
fn report(commit: &str, tried: &[Tried]) -> String {
    let mut text = format!(
        "# Guards\n\n\
         Written by `cargo xtask guards --report`; do not edit.\n\
         Commit: {commit}.\n\n\
         Every guard was switched off alone, and the table names the first test that noticed.\n\n\
         | Crate | Guards | Survivors |\n|---|---|---|\n",
    );
    for row in totals(tried) {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text.push_str("\n| Guard | File | Noticed by |\n|---|---|---|\n");
    for (guard, verdict) in tried {
        let by = match verdict {
            Verdict::Caught(by) => by.as_str(),
            Verdict::Survived { .. } => "**nothing**",
        };
        text.push_str(&format!("| `{}` | `{}` | {by} |\n", guard.name, guard.path));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(name: &str, owner: &str) -> Guard {
        Guard { name: name.into(), owner: owner.into(), path: format!("{owner}.rs"), line: 7 }
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_decoded() {
        let options = Options::decode(&words("--crate kapsule-format")).unwrap();
        assert_eq!((options.owner.as_deref(), options.report), (Some("format"), false));
        for line in ["--crate", "--x", "--report --crate format"] {
            assert!(matches!(Options::decode(&words(line)), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn the_guards_of_one_crate_are_selected() {
        let all = [guard("a.b.c", "a"), guard("b.b.c", "b")];
        let select = |line| Options::decode(&words(line)).unwrap().select(all.to_vec());
        assert_eq!(select("--crate b"), all[1..]);
        assert_eq!(select(""), all);
    }

    #[test]
    fn the_report_names_survivors() {
        let tried = [
            (guard("a.b.c", "a"), Verdict::Caught("a/main: t".into())),
            (guard("b.b.c", "b"), Verdict::Survived { refusing: 2 }),
        ];
        let text = report("0a1b", &tried);
        assert!(text.contains("Commit: 0a1b.\n"), "{text}");
        assert!(text.contains("| a | 1 | 0 |\n| b | 1 | 1 |\n| all | 2 | 1 |\n"), "{text}");
        assert!(text.contains("| `b.b.c` | `b.rs` | **nothing** |\n"), "{text}");
        let finding = survivor(&tried[1].0).to_string();
        assert!(finding.starts_with("b.rs:7: guard `b.b.c`"), "{finding}");
    }
}
