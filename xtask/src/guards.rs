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
    /// Only every n-th guard: (index from 1, number of slices).
    slice: Option<(usize, usize)>,
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
                "--slice" => options.slice = Some(decode_slice(value()?)?),
                "--report" => options.report = true,
                other => {
                    let text = format!("guards: `{other}`, allowed: --crate, --slice, --report");
                    return Err(Failure::Usage(text));
                }
            }
        }
        if options.report && options.slice.is_some() {
            return Err(Failure::Usage("guards: a report of a slice would mislead".into()));
        }
        Ok(options)
    }

    /// Keeps the guards that were asked for.
    fn select(&self, guards: Vec<Guard>) -> Vec<Guard> {
        let (index, slices) = self.slice.unwrap_or((1, 1));
        let chosen =
            guards.into_iter().filter(|guard| self.owner.iter().all(|name| *name == guard.owner));
        chosen.skip(index - 1).step_by(slices).collect()
    }
}

/// Decodes `I/N` with `1 <= I <= N`.
fn decode_slice(text: &str) -> Result<(usize, usize), Failure> {
    let numbers = text.split_once('/').and_then(|(index, slices)| {
        Some((index.parse::<usize>().ok()?, slices.parse::<usize>().ok()?))
    });
    match numbers {
        Some((index, slices)) if (1..=slices).contains(&index) => Ok((index, slices)),
        _ => Err(Failure::Usage(format!("slice `{text}`, allowed: I/N with 1 <= I <= N"))),
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
    let own = watch::all(own)?;
    let own_tests = |guard: &Guard, test: &Test| tests_of(&guard.owner, &test.binary.owner);
    let tried = trial::all(guards, &own, own_tests, print)?;
    let tried = ask_dependants(tree, selection, tried)?;
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

/// Tries the survivors again with the tests of the crates above.
fn ask_dependants(
    tree: &Tree,
    selection: Selection,
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
    above.retain(|binary| DEPENDANTS.contains(&binary.owner.as_str()));
    let above = watch::all(above)?;
    let guards = survived.into_iter().map(|(guard, _)| guard).collect();
    let other_tests = |guard: &Guard, test: &Test| !tests_of(&guard.owner, &test.binary.owner);
    caught.extend(trial::all(guards, &above, other_tests, print)?);
    caught.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(caught)
}

/// Prints what happened to one guard.
fn print((guard, verdict): &Tried) {
    match verdict {
        Verdict::Caught(by) => ui::line(&format!("  {} caught by {by}", guard.name)),
        Verdict::Survived { refusing } => {
            let place = format!("{}:{}", guard.path, guard.line);
            let text = format!("  {} SURVIVED, refusing in {refusing} tests ({place})", guard.name);
            ui::line(&text);
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
        let options = Options::decode(&words("--crate kapsule-format --slice 2/3")).unwrap();
        assert_eq!((options.owner.as_deref(), options.slice), (Some("format"), Some((2, 3))));
        let bad =
            ["--crate", "--slice 0/3", "--slice 4/3", "--slice x", "--x", "--report --slice 1/2"];
        for line in bad {
            assert!(matches!(Options::decode(&words(line)), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn the_slices_together_are_every_guard_once() {
        let all: Vec<Guard> = (0..7).map(|n| guard(&format!("a.b.{n}"), "a")).collect();
        let mut seen = Vec::new();
        for index in 1..=3 {
            let options = Options { slice: Some((index, 3)), ..Options::default() };
            seen.extend(options.select(all.clone()));
        }
        seen.sort();
        assert_eq!(seen, all);
        let options = Options { owner: Some("b".into()), ..Options::default() };
        assert!(options.select(all).is_empty());
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
