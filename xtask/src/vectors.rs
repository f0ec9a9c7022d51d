//! `vectors`: counts the cases below `spec/vectors` and checks their heads.
//!
//! A case is a TOML file below an `accept` or `reject` folder, with `spec`, `why` and `expect`, or
//! an array `case` of such tables that inherit what the file says before them.

use crate::failure::{Failure, Finding};
use crate::toml_file;
use crate::tree::Tree;
use crate::ui;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Where the vectors are.
const ROOT: &str = "spec/vectors";
/// Least number of accepted cases of the repository.
const ACCEPTS_MIN: usize = 20;
/// Least number of refused cases of the repository.
const REJECTS_MIN: usize = 40;
/// Group of the package format, and the least numbers of its accepted and refused cases.
const PACKAGES: (&str, Counts) = ("mod", (30, 60));
/// What every case says of itself.
const HEAD: &[&str] = &["spec", "why", "expect"];

/// The two kinds of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Accept,
    Reject,
}

/// Numbers of accepted and refused cases.
type Counts = (usize, usize);

/// Prints the table of groups and checks every file.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if let Some(unknown) = args.first() {
        return Err(Failure::Usage(format!("vectors takes no argument, found `{unknown}`")));
    }
    let (groups, mut findings) = collect(tree)?;
    let mut rows = vec![["group", "accept", "reject"].map(String::from).to_vec()];
    for (name, (accepts, rejects)) in groups.iter().chain([(&"all".to_owned(), &total(&groups))]) {
        rows.push(vec![name.clone(), accepts.to_string(), rejects.to_string()]);
    }
    ui::table(&rows);
    findings.extend(check_counts(&groups));
    Failure::from_findings(findings)
}

/// Reads every case and returns the counts of each group.
fn collect(tree: &Tree) -> Result<(BTreeMap<String, Counts>, Vec<Finding>), Failure> {
    let (mut groups, mut findings) = (BTreeMap::<String, Counts>::new(), Vec::new());
    for path in tree.files_ending(ROOT, ".toml")? {
        let Some((group, kind)) = place(&path) else { continue };
        let cases = toml_file::with_file(tree, &path, |table| {
            check_file(&path, table, kind, &mut findings)
        })?;
        let (accepts, rejects) = groups.entry(group.to_owned()).or_default();
        match kind {
            Kind::Accept => *accepts += cases,
            Kind::Reject => *rejects += cases,
        }
    }
    Ok((groups, findings))
}

/// Returns the group of a file and the kind of its cases; other data belongs to no kind.
fn place(path: &str) -> Option<(&str, Kind)> {
    let path = path.strip_prefix(ROOT)?.strip_prefix('/')?;
    let kinds = [("/accept/", Kind::Accept), ("/reject/", Kind::Reject)];
    kinds.into_iter().find_map(|(folder, kind)| Some((path.split_once(folder)?.0, kind)))
}

/// Checks the heads of a file's cases and returns their number.
fn check_file(path: &str, table: &DeTable<'_>, kind: Kind, findings: &mut Vec<Finding>) -> usize {
    let cases = table.get("case").and_then(|cases| cases.get_ref().as_array());
    let Some(cases) = cases else {
        findings.extend(check_case(path, kind, |key| text(table.get(key)?.get_ref())));
        return 1;
    };
    for case in cases {
        let own = |key: &str| case.get_ref().get(key).and_then(|value| text(value.get_ref()));
        let inherited = |key: &str| table.get(key).and_then(|value| text(value.get_ref()));
        findings.extend(check_case(path, kind, |key| own(key).or_else(|| inherited(key))));
    }
    cases.len()
}

/// Returns a text as an owned string.
fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Says what is wrong with the head of a case whose texts `read` returns.
fn check_case(path: &str, kind: Kind, read: impl Fn(&str) -> Option<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in HEAD {
        // An accepted input may hold nothing, and then nothing is expected of it.
        let may_be_empty = *key == "expect" && kind == Kind::Accept;
        if read(key).is_none_or(|text| text.trim().is_empty() && !may_be_empty) {
            findings.push(Finding::new(path, 0, format!("no `{key}`")));
        }
    }
    let expect = read("expect").unwrap_or_default();
    if !expect.is_empty() && begins_with_code(&expect) != (kind == Kind::Reject) {
        let text = match kind {
            Kind::Accept => format!("expects `{expect}`, but an accepted case has no error code"),
            Kind::Reject => format!("expects `{expect}`, allowed: an error code such as E004_.."),
        };
        findings.push(Finding::new(path, 0, text));
    }
    findings
}

/// Tells whether `text` begins with an error code such as `E004_LIMIT_EXCEEDED`.
fn begins_with_code(text: &str) -> bool {
    let Some((number, name)) = text.split_once('_') else { return false };
    let digits = number.strip_prefix('E').unwrap_or_default();
    digits.len() == 3
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && name.starts_with(|c: char| c.is_ascii_uppercase())
}

/// Returns the counts of all groups together.
fn total(groups: &BTreeMap<String, Counts>) -> Counts {
    groups.values().fold((0, 0), |(a, r), (accepts, rejects)| (a + accepts, r + rejects))
}

/// Says which groups, or all together, have too few cases.
fn check_counts(groups: &BTreeMap<String, Counts>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (packages, least) = PACKAGES;
    if let Some((accepts, rejects)) = groups.get(packages)
        && (*accepts < least.0 || *rejects < least.1)
    {
        let text = format!("{accepts} accepts and {rejects} rejects, allowed: at least {least:?}");
        findings.push(Finding::new(&format!("{ROOT}/{packages}"), 0, text));
    }
    for (name, (accepts, rejects)) in groups {
        if rejects < accepts {
            let text = format!("{rejects} rejects, allowed: at least {accepts}, one per accept");
            findings.push(Finding::new(&format!("{ROOT}/{name}"), 0, text));
        }
    }
    let (accepts, rejects) = total(groups);
    for (found, least, what) in
        [(accepts, ACCEPTS_MIN, "accepts"), (rejects, REJECTS_MIN, "rejects")]
    {
        if found < least {
            let text = format!("{found} {what} in all, allowed: at least {least}");
            findings.push(Finding::new(ROOT, 0, text));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    const ACCEPT: &str = "spec = \"s\"\nwhy = \"w\"\nexpect = \"ok\"\n";
    const REJECT: &str = "spec = \"s\"\nwhy = \"w\"\nexpect = \"E004_LIMIT_EXCEEDED at 5\"\n";

    #[test]
    fn files_and_cases_are_counted_by_group() {
        let cases = "spec = \"s\"\n[[case]]\nwhy = \"w\"\nexpect = \"E001_X\"\n\
                     [[case]]\nwhy = \"v\"\nexpect = \"E002_Y\"\n";
        let (_keep, tree) = planted(&[
            ("spec/vectors/mod/accept/a.toml", ACCEPT),
            ("spec/vectors/mod/reject/b.toml", REJECT),
            ("spec/vectors/a/b/reject/c.toml", cases),
            ("spec/vectors/mod/scenario/x/scenario.toml", ""),
        ]);
        let (groups, findings) = collect(&tree).unwrap();
        assert_eq!(findings, []);
        let expect = [("a/b".to_owned(), (0, 2)), ("mod".to_owned(), (1, 1))];
        assert_eq!(groups, BTreeMap::from(expect));
        assert_eq!(total(&groups), (1, 3));
    }

    #[test]
    fn planted_heads_are_found() {
        let said = |path: &str, text: &str| -> Vec<String> {
            let (_keep, tree) = planted(&[(path, text)]);
            collect(&tree).unwrap().1.into_iter().map(|finding| finding.text).collect()
        };
        let (accept, reject) = ("spec/vectors/m/accept/a.toml", "spec/vectors/m/reject/a.toml");
        assert_eq!(said(accept, "why = \"w\"\nexpect = \"ok\"\n"), ["no `spec`"]);
        assert_eq!(said(reject, "spec = \"s\"\nwhy = \" \"\nexpect = \"E001_X\"\n"), ["no `why`"]);
        assert_eq!(said(accept, "spec = \"s\"\nwhy = \"w\"\nexpect = \"\"\n"), [""; 0]);
        assert_eq!(said(reject, "spec = \"s\"\nwhy = \"w\"\nexpect = \"\"\n"), ["no `expect`"]);
        assert_eq!(said(accept, REJECT).len(), 1);
        assert_eq!(said(reject, ACCEPT).len(), 1);
        assert_eq!(said(accept, ""), ["no `spec`", "no `why`", "no `expect`"]);
    }

    #[test]
    fn too_few_cases_are_found() {
        let groups = |counts: Counts| BTreeMap::from([("m".to_owned(), counts)]);
        assert_eq!(check_counts(&groups((20, 40))), []);
        let packages = |counts: Counts| BTreeMap::from([("mod".to_owned(), counts)]);
        assert_eq!(check_counts(&packages((30, 60))), []);
        assert_eq!(check_counts(&packages((29, 60))).len(), 1);
        assert_eq!(check_counts(&packages((30, 59))).len(), 1);
        assert_eq!(check_counts(&groups((41, 40))).len(), 1);
        assert_eq!(check_counts(&groups((19, 40))).len(), 1);
        assert_eq!(check_counts(&groups((20, 39))).len(), 1);
    }
}
