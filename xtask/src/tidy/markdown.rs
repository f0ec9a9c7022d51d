//! Relative links of the documents, and the quickstart block of the README.

use crate::failure::{Failure, Finding};
use crate::readme;
use crate::tree::Tree;

/// Checks every Markdown file.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    match readme::quickstart(tree) {
        Err(Failure::Shape { place, detail }) => findings.push(Finding::new(&place, 0, detail)),
        other => drop(other?),
    }
    for path in tree.files_ending("", ".md")? {
        check_links(tree, &path, &mut findings)?;
    }
    Ok(findings)
}

/// Checks the relative links of one file.
fn check_links(tree: &Tree, path: &str, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    for (number, target) in links(&tree.read(path)?) {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let Some(file) = resolve(path, file) else {
            let text = format!("link `{target}` leaves the repository");
            findings.push(Finding::new(path, number, text));
            continue;
        };
        if !tree.path(&file).exists() {
            findings.push(Finding::new(path, number, format!("link to `{file}`, which is absent")));
        } else if !anchor.is_empty() && file.ends_with(".md") {
            let anchors = anchors(&tree.read(&file)?);
            if !anchors.iter().any(|known| known == anchor) {
                let text = format!("link to `#{anchor}`, which is no heading of `{file}`");
                findings.push(Finding::new(path, number, text));
            }
        }
    }
    Ok(())
}

/// Returns the lines of a document outside fenced code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns the targets of `[text](target)` outside code, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Every second piece between backticks is code; its place is kept free of brackets.
        let pieces = line.split('`').enumerate();
        let outside: String =
            pieces.map(|(index, piece)| if index % 2 == 0 { piece } else { "code" }).collect();
        for piece in outside.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.to_owned()));
        }
    }
    found
}

/// Returns the path that a link in `from` leads to; `None` if it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Returns the anchors of a document's headings as code hosts derive them.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then_some(title.trim())
    });
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    headings
        .map(|title| {
            title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    const README: (&str, &str) = ("README.md", "```sh quickstart\na\nb\n```\n");

    /// Returns what is said of `docs/a.md` with this text.
    fn said(text: &str) -> Vec<String> {
        let (_keep, tree) =
            planted(&[README, ("docs/a.md", text), ("docs/b.md", "# A b, `c`\n"), ("c.rs", "")]);
        check(&tree).unwrap().into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn sound_links_pass() {
        let text = "# Top\n[b](b.md) [c](../c.rs) [up](#top) [h](b.md#a-b-c) [d](../docs)\n\
                    [out](https://example.org/x) `[code](absent.md)`\n```\n[x](absent.md)\n```\n";
        assert_eq!(said(text), [""; 0]);
    }

    #[test]
    fn broken_links_are_found() {
        let cases = [
            ("[x](absent.md)", "link to `docs/absent.md`, which is absent"),
            ("[x](b.md#nope)", "link to `#nope`, which is no heading of `docs/b.md`"),
            ("[x](#nope)", "link to `#nope`, which is no heading of `docs/a.md`"),
            ("[x](../../y)", "link `../../y` leaves the repository"),
            (
                "`code` and [`name`](absent.md \"title\")",
                "link to `docs/absent.md`, which is absent",
            ),
        ];
        for (text, expect) in cases {
            assert_eq!(said(text), [expect], "{text}");
        }
    }

    #[test]
    fn a_readme_without_its_block_is_found() {
        let (_keep, tree) = planted(&[("README.md", "# K\n")]);
        assert_eq!(check(&tree).unwrap().len(), 1);
    }
}
