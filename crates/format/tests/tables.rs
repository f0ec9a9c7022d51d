//! The published tables say what the code says.

use kapsule_abi::ErrorCode;
use kapsule_format::limits;

use crate::vectors::spec_folder;

/// Returns the cells of every row of the Markdown tables of a file, head rows included.
fn rows(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(spec_folder().join(file)).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    text.lines().filter(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn errors_md_lists_every_code() {
    let found: Vec<Vec<String>> =
        rows("errors.md").into_iter().filter(|row| row[0].starts_with('E')).collect();
    let expect: Vec<Vec<String>> = ErrorCode::ALL
        .iter()
        .map(|code| {
            let (number, exit) = (format!("E{:03}", code.number()), code.exit_code().to_string());
            vec![number, code.name().to_owned(), code.meaning().to_owned(), exit]
        })
        .collect();
    assert_eq!(found, expect);
}

#[test]
fn limits_md_lists_every_limit() {
    let found: Vec<Vec<String>> = rows("limits.md").into_iter().skip(2).collect();
    let expect: Vec<Vec<String>> = limits::TABLE
        .iter()
        .map(|limit| {
            let (hard, default) = (grouped(limit.hard), grouped(limit.default));
            vec![limit.name.to_owned(), hard, default, limit.unit.to_owned()]
        })
        .collect();
    assert_eq!(found, expect);
}

/// Prints a number with commas between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(text).collect();
    groups.join(",")
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap()
}
