//! `kapsule log stats`

use std::collections::BTreeMap;

use clap::ValueEnum;
use kapsule_format::log::Entry;
use serde_json::json;

use super::decode;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::storing;
use crate::text::{Align, grouped, plain, table};

const EXAMPLES: &str = "\
Examples:
  kapsule log stats
  kapsule log stats --by type --format csv
  kapsule log stats --by author --json";

/// Counts the entries of the log by what they tell
///
/// Kinds, outcomes, modules and authors are counted where an entry names them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What to count by; all of them by default
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// Form of the table; --json prints one object per line instead
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Format,
}

/// What entries are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Type of the entry.
    Type,
    /// Kind of the capsule.
    Kind,
    /// How a run ended.
    Outcome,
    /// Package that ran.
    Module,
    /// Author of the capsule.
    Author,
    /// Code of a refusal.
    Error,
}

impl By {
    const ALL: [Self; 6] =
        [Self::Type, Self::Kind, Self::Outcome, Self::Module, Self::Author, Self::Error];

    const fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Kind => "kind",
            Self::Outcome => "outcome",
            Self::Module => "module",
            Self::Author => "author",
            Self::Error => "error",
        }
    }

    /// Returns what an entry says of it.
    fn of(self, entry: &Entry) -> Option<String> {
        let subject = |name| entry.find_subject(name).map(ToString::to_string);
        match self {
            Self::Type => Some(entry.kind.name().to_owned()),
            Self::Kind => entry.find_datum("kind").map(str::to_owned),
            Self::Outcome => entry.find_datum("outcome").map(str::to_owned),
            Self::Module => subject("package"),
            Self::Author => subject("author"),
            Self::Error => entry.error.clone(),
        }
    }
}

/// Form of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns for people.
    Table,
    /// Comma-separated values with a first line of names.
    Csv,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let store = storing::open(context)?;
    let wanted: Vec<By> =
        By::ALL.into_iter().filter(|by| args.by.is_none_or(|own| own == *by)).collect();
    let mut counts: BTreeMap<(usize, String), u64> = BTreeMap::new();
    store.entries::<Failure>(0, |_, bytes| {
        let entry = decode(bytes)?;
        for (index, by) in wanted.iter().enumerate() {
            if let Some(value) = by.of(&entry) {
                *counts.entry((index, value)).or_default() += 1;
            }
        }
        Ok(())
    })?;
    let mut rows: Vec<(&str, String, u64)> = counts
        .into_iter()
        .map(|((index, value), count)| (wanted[index].name(), value, count))
        .collect();
    // Most frequent first, within what is counted.
    rows.sort_by(|one, other| {
        let place = |name: &str| By::ALL.iter().position(|by| by.name() == name);
        (place(one.0), other.2, &one.1).cmp(&(place(other.0), one.2, &other.1))
    });
    if context.ui.json() {
        return rows.iter().try_fold(0, |done, (by, value, count)| {
            let count = count.to_string();
            let schema = "kapsule/log-stats/1";
            context
                .ui
                .object(&json!({"schema": schema, "by": by, "value": value, "count": count}))?;
            Ok(done)
        });
    }
    let text = match args.format {
        Format::Table => {
            let head = ["by", "value", "entries"].map(str::to_owned).to_vec();
            let row = |(by, value, count): &(&str, String, u64)| {
                vec![(*by).to_owned(), plain(value), grouped(*count)]
            };
            let rows: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(row)).collect();
            table(&[Align::Left, Align::Left, Align::Right], &rows)
        }
        Format::Csv => csv(&rows)?,
    };
    context.ui.text(&text)?;
    Ok(0)
}

fn csv(rows: &[(&str, String, u64)]) -> Result<String, Failure> {
    let failed =
        |error: String| Failure::internal("the table cannot be written", "report it").cause(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["by", "value", "entries"]).map_err(|error| failed(error.to_string()))?;
    for (by, value, count) in rows {
        let record = [*by, value, &count.to_string()];
        writer.write_record(record).map_err(|error| failed(error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(error.to_string()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
