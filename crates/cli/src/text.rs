//! Text for people: escaping of foreign text, tables, numbers.

/// Escapes what could move the cursor or reorder a line of the terminal.
///
/// Names, descriptions, log lines and titles come from strangers.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_bidi_control(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

const fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

/// Groups the digits of a number by three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Cuts a text to `width` characters and marks the cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(width.saturating_sub(2)).collect();
    out.push_str("..");
    out
}

/// Side on which a column is flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Lays rows out in columns two spaces apart, without spaces at the end of a line.
///
/// A row with fewer cells than columns ends early.
pub(crate) fn table(columns: &[Align], rows: &[Vec<String>]) -> String {
    let width = |index: usize| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for ((cell, align), width) in row.iter().zip(columns).zip(&widths) {
            let space = " ".repeat(width - cell.chars().count());
            let (before, after) = match align {
                Align::Left => (String::new(), space),
                Align::Right => (space, String::new()),
            };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Lays out named facts, one per line.
pub(crate) fn facts<N: AsRef<str>>(facts: &[(N, String)]) -> String {
    let rows: Vec<Vec<String>> =
        facts.iter().map(|(name, value)| vec![name.as_ref().to_owned(), value.clone()]).collect();
    table(&[Align::Left, Align::Left], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(plain("caf\u{e9}"), "caf\u{e9}");
    }

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(number), expect);
        }
    }

    #[test]
    fn a_cut_is_marked() {
        assert_eq!((cut("abcdef", 6), cut("abcdefg", 6)), ("abcdef".into(), "abcd..".into()));
    }

    #[test]
    fn columns_are_flush() {
        let rows = vec![vec!["a".into(), "10".into()], vec!["long".into(), "7".into()]];
        assert_eq!(table(&[Align::Left, Align::Right], &rows), "a     10\nlong   7\n");
    }
}
