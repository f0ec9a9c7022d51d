//! The only place that prints: data to standard output, words about trouble to standard error.
//!
//! A reader that closes the pipe is not an error, so the results of the writes are dropped.

use std::io::Write;

/// Prints one line of a report.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints the heading of a step, set off by an empty line.
pub(crate) fn heading(text: &str) {
    line(&format!("\n== {text}"));
}

/// Prints an error.
pub(crate) fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "xtask: {}", text.trim_end());
}

/// Prints `rows` with columns padded to the widest cell; the first row is the head.
pub(crate) fn table(rows: &[Vec<String>]) {
    for text in table_lines(rows) {
        line(&text);
    }
}

/// Lays out `rows` as lines.
fn table_lines(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_rows_have_no_trailing_space() {
        let rows = [vec!["group".into(), "n".into()], vec!["a".into(), "12".into()]];
        assert_eq!(table_lines(&rows), ["group  n", "a      12"]);
    }
}
