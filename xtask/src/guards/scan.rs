//! Finds every `guard!("name", ..)` in the sources of the crates.

use crate::failure::{Failure, Finding};
use crate::tree::Tree;
use std::collections::BTreeMap;

/// What a guard looks like in the source, without its name.
const CALL: &str = "guard!(";

/// One guard.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Guard {
    /// Name, `crate.area.rule`.
    pub(crate) name: String,
    /// Directory of its crate below `crates/`.
    pub(crate) owner: String,
    /// File relative to the repository.
    pub(crate) path: String,
    /// Line, counted from 1.
    pub(crate) line: usize,
}

/// Returns every guard of the repository, sorted by name.
pub(crate) fn collect(tree: &Tree) -> Result<Vec<Guard>, Failure> {
    let (mut guards, _) = scan(tree)?;
    guards.sort();
    Ok(guards)
}

/// Returns the guards whose names cannot be read, do not fit their crate, or are not unique.
pub(crate) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let (guards, mut findings) = scan(tree)?;
    let mut first: BTreeMap<&str, &Guard> = BTreeMap::new();
    for guard in &guards {
        if !is_well_formed(&guard.name, &guard.owner) {
            let text = format!("guard `{}`, allowed: {}.area.rule", guard.name, guard.owner);
            findings.push(Finding::new(&guard.path, guard.line, text));
        }
        if let Some(other) = first.insert(&guard.name, guard) {
            let at = format!("{}:{}", other.path, other.line);
            let text = format!("guard `{}` is also at {at}", guard.name);
            findings.push(Finding::new(&guard.path, guard.line, text));
        }
    }
    Ok(findings)
}

/// Reads every crate's sources.
fn scan(tree: &Tree) -> Result<(Vec<Guard>, Vec<Finding>), Failure> {
    let (mut guards, mut findings) = (Vec::new(), Vec::new());
    for owner in tree.directories("crates")? {
        for path in tree.files_ending(&format!("crates/{owner}/src"), ".rs")? {
            for (line, text) in (1..).zip(tree.read(&path)?.lines()) {
                for name in names(text) {
                    match name {
                        Some(name) => guards.push(Guard {
                            name: name.to_owned(),
                            owner: owner.clone(),
                            path: path.clone(),
                            line,
                        }),
                        None => findings.push(Finding::new(
                            &path,
                            line,
                            "the name of a guard stands on the line of `guard!(`",
                        )),
                    }
                }
            }
        }
    }
    Ok((guards, findings))
}

/// Returns the names of the guards on a line; `None` for a name that is not there.
fn names(line: &str) -> Vec<Option<&str>> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (at, _) in line.match_indices(CALL) {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '`') {
            continue;
        }
        let literal = line[at + CALL.len()..].strip_prefix('"');
        found.push(literal.and_then(|rest| rest.split_once('"')).map(|(name, _)| name));
    }
    found
}

/// Tells whether `name` is `owner.area.rule` in lower case.
fn is_well_formed(name: &str, owner: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_word = |part: &&str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
            })
    };
    parts.len() == 3 && parts[0] == owner && parts.iter().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    #[test]
    fn guards_are_found_with_their_place() {
        let text = "fn f() {\n    if guard!(\"a.b.c\", x) || kapsule_abi::guard!(\"a.b.d\", y) {}\n\
                    // guard!(\"a.b.comment\", z)\nlet x = my_guard!(\"no\");\n}\n";
        let (_keep, tree) = planted(&[("crates/a/src/lib.rs", text)]);
        let guards = collect(&tree).unwrap();
        let found: Vec<(&str, usize)> =
            guards.iter().map(|guard| (guard.name.as_str(), guard.line)).collect();
        assert_eq!(found, [("a.b.c", 2), ("a.b.d", 2)]);
        assert_eq!(guards[0].owner, "a");
        assert!(check(&tree).unwrap().is_empty());
    }

    #[test]
    fn planted_violations_are_found() {
        let cases = [
            ("guard!(\n\"a.b.c\", x)", "the name of a guard stands"),
            ("guard!(\"b.b.c\", x)", "guard `b.b.c`, allowed: a.area.rule"),
            ("guard!(\"a.b\", x)", "guard `a.b`, allowed"),
            ("guard!(\"a.B.c\", x)", "guard `a.B.c`, allowed"),
            ("guard!(\"a.b.c\", x);\nguard!(\"a.b.c\", y)", "guard `a.b.c` is also at"),
        ];
        for (text, expect) in cases {
            let (_keep, tree) = planted(&[("crates/a/src/lib.rs", text)]);
            let findings = check(&tree).unwrap();
            assert_eq!(findings.len(), 1, "{text}: {findings:?}");
            assert!(findings[0].text.starts_with(expect), "{findings:?}");
        }
    }
}
