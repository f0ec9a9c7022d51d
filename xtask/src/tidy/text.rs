//! Sizes of files and lines, and ASCII in source files.

use super::{LONG_FILES, LONG_LINES, is_waived};
use crate::failure::{Failure, Finding};
use crate::tree::Tree;

/// Greatest number of lines of a Rust file without its tests.
const CODE_LINES_MAX: usize = 600;
/// Greatest number of lines of a Rust file with its tests, or of a file of tests.
const FILE_LINES_MAX: usize = 1000;
/// Greatest number of columns of a line of code.
const COLUMNS_MAX: usize = 100;

/// Endings of files that people edit as code.
const SOURCE: &[&str] = &[".rs", ".toml", ".py", ".sh", ".wat", ".ci/run"];
/// Endings of files whose lines have a greatest length; data may be wider.
const NARROW: &[&str] = &[".rs", ".sh", ".ci/run"];

/// Checks every source file.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for path in tree.files("")? {
        if SOURCE.iter().any(|ending| path.ends_with(ending)) {
            check_file(&path, &tree.read(&path)?, &mut findings);
        }
    }
    Ok(findings)
}

/// Checks one source file.
fn check_file(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let narrow = NARROW.iter().any(|ending| path.ends_with(ending));
    let narrow = narrow && !is_waived(LONG_LINES, path);
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(character) = line.chars().find(|character| !character.is_ascii()) {
            let text = format!("U+{:04X} in a source file, allowed: ASCII", u32::from(character));
            findings.push(Finding::new(path, number, text));
        }
        let columns = line.chars().count();
        // An address cannot be broken over two lines.
        if narrow && columns > COLUMNS_MAX && !line.contains("://") {
            let text = format!("{columns} columns, allowed: {COLUMNS_MAX}");
            findings.push(Finding::new(path, number, text));
        }
    }
    if path.ends_with(".rs") && !is_waived(LONG_FILES, path) {
        findings.extend(too_long(path, text));
    }
}

/// Says whether a Rust file is too long.
fn too_long(path: &str, text: &str) -> Option<Finding> {
    let all = text.lines().count();
    let code = match is_test_file(path) {
        true => 0,
        false => lines_of_code(text),
    };
    let (found, allowed, what) = if code > CODE_LINES_MAX {
        (code, CODE_LINES_MAX, "without its tests")
    } else if all > FILE_LINES_MAX {
        (all, FILE_LINES_MAX, "with its tests")
    } else {
        return None;
    };
    Some(Finding::new(path, 0, format!("{found} lines {what}, allowed: {allowed}")))
}

/// Tells whether the whole file is tests.
fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

/// Returns the number of lines before the inline tests, which stand last in a file.
fn lines_of_code(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0] == "#[cfg(test)]" && pair[1].contains("mod tests") && pair[1].ends_with('{')
    });
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is said of one file.
    fn said(path: &str, text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check_file(path, text, &mut findings);
        findings.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn planted_violations_are_found() {
        let wide = format!("// {}\n", "x".repeat(98));
        let long = "//\n".repeat(601);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(400));
        let cases = [
            ("a.rs", "// \u{e9}\n", "U+00E9 in a source file"),
            ("a.toml", "# \u{2013}\n", "U+2013 in a source file"),
            ("a.rs", &wide, "101 columns"),
            (".ci/run", &wide, "101 columns"),
            ("a.rs", &long, "601 lines without its tests"),
            ("a.rs", &format!("{}{tests}", "//\n".repeat(600)), "1003 lines with its tests"),
            ("a/tests.rs", &"//\n".repeat(1001), "1001 lines with its tests"),
        ];
        for (path, text, expect) in cases {
            let said = said(path, text);
            assert!(said.len() == 1 && said[0].starts_with(expect), "{expect}: {said:?}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(300));
        let cases = [
            ("a.rs", format!("// {}\n", "x".repeat(97))),
            ("a.rs", format!("// https://example.org/{}\n", "x".repeat(98))),
            ("a.toml", format!("bytes = \"{}\"\n", "x".repeat(198))),
            ("a.rs", format!("{}{tests}", "//\n".repeat(600))),
            ("a/tests/b.rs", "//\n".repeat(1000)),
        ];
        for (path, text) in cases {
            assert_eq!(said(path, &text), [""; 0], "{path}");
        }
    }
}
