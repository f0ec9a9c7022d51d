//! Inputs of the standard modules, from real data where it is at hand.

use std::path::{Path, PathBuf};

use kapsule_format::cbor::{self, Value};

/// Rows of a table, and where they are from.
pub(crate) struct Table {
    pub(crate) source: &'static str,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads the first `rows_max` rows of the real data, or of the samples in the repository.
    fn read(real: &str, sample: &str, rows_max: usize) -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // Beside the working directory, which is the root of the repository.
        let shared: PathBuf = Path::new("../shared/data").join(real);
        let (source, path) = match shared.exists() {
            true => ("real data", shared),
            false => ("samples", root.join("examples/data").join(sample)),
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let rows = text.lines().map(split).take(rows_max).collect();
        Ok(Self { source, rows })
    }
}

/// Splits a line at commas outside quotes.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match (character, quoted) {
            ('"', _) => quoted = !quoted,
            (',', false) => fields.push(String::new()),
            _ => {
                if let Some(field) = fields.last_mut() {
                    field.push(character);
                }
            }
        }
    }
    fields
}

/// Returns the input of `trust` for `rows_max` statements, and where they are from.
pub(crate) fn trust(rows_max: usize) -> Result<(Vec<u8>, &'static str), String> {
    let table = Table::read("bitcoin-otc-trust.csv", "trust-sample.csv", rows_max)?;
    let statements: Vec<Value> = table.rows.iter().filter_map(|row| statement(row)).collect();
    let viewer = match statements.first() {
        Some(Value::Array(fields)) => fields.first().cloned(),
        _ => None,
    };
    let viewer = viewer.ok_or("the table has no statement")?;
    let input = vec![(0, 1_u64.into()), (1, viewer), (2, statements.into())];
    Ok((cbor::encode(&Value::Map(input)), table.source))
}

/// Reads source, target, rating, time; a row of another form, such as a header, is left out.
fn statement(row: &[String]) -> Option<Value> {
    let [from, to, rating, time] = row else { return None };
    let rating: i64 = rating.parse().ok()?;
    let weight = u64::try_from(rating.max(0)).ok()? * 100_000;
    let seconds: u64 = time.split('.').next()?.parse().ok()?;
    let fields = [name(from), name(to), weight.into(), (rating < 0).into()];
    Some(Value::array(fields.into_iter().chain([Value::from(seconds * 1_000)])))
}

fn name(text: &str) -> Value {
    match text.parse::<u64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

/// Returns the input of `rank` for `rows_max` posts, and where they are from.
pub(crate) fn rank(rows_max: usize) -> Result<(Vec<u8>, &'static str), String> {
    let table = Table::read("hacker-news-2016.csv", "feed-sample.csv", rows_max)?;
    let posts: Vec<(u64, Value)> = table.rows.iter().filter_map(|row| post(row)).collect();
    let now = posts.iter().map(|(created, _)| *created).max().ok_or("the table has no post")?;
    let posts: Vec<Value> = posts.into_iter().map(|(_, post)| post).collect();
    let input = vec![(0, 1_u64.into()), (1, now.into()), (2, posts.into())];
    Ok((cbor::encode(&Value::Map(input)), table.source))
}

/// Reads id, title, url, points, comments, author, time; a row of another form is left out.
fn post(row: &[String]) -> Option<(u64, Value)> {
    let [id, _, url, points, comments, author, created, ..] = row else { return None };
    let id: u64 = id.parse().ok()?;
    let points: u64 = points.parse().ok()?;
    let comments: u64 = comments.parse().ok()?;
    let created = milliseconds(created)?;
    let domain = url.split('/').nth(2).unwrap_or_default();
    let none = || Value::Array(Vec::new());
    let fields = [id.into(), name(author), domain.into(), points.into(), comments.into()];
    let fields = fields.into_iter().chain([created.into(), none(), none()]);
    Some((created, Value::array(fields)))
}

/// Reads `M/D/YYYY H:MM`, with months of equal length: only the order of magnitude matters here.
fn milliseconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(' ')?;
    let mut date = date.split('/').map(str::parse::<u64>);
    let (month, day, year) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (hour, minute) = time.split_once(':')?;
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    let days = year.checked_sub(1_970)? * 372 + month.checked_sub(1)? * 31 + day;
    Some(((days * 24 + hour) * 60 + minute) * 60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_commas_do_not_split() {
        assert_eq!(split("1,\"a, b\",c"), ["1", "a, b", "c"]);
    }

    #[test]
    fn both_tables_give_inputs() {
        for input in [trust(100), rank(100)] {
            let (bytes, source) = input.unwrap();
            assert!(bytes.len() > 100, "{source}");
            assert!(cbor::decode(&bytes).is_ok());
        }
    }
}
