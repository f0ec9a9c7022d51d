//! `kapsule log show`

use kapsule_format::Digest;
use kapsule_format::log::{Entry, EntryKind};
use serde_json::{Value, json};

use super::{decode, decode_digest, decode_kind};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::storing;
use crate::text::{Align, plain, table};

const EXAMPLES: &str = "\
Examples:
  kapsule log show
  kapsule log show --last 3 --json
  kapsule log show --from 0 --type capsule.refused";

/// Lists entries of the log, the last twenty unless told otherwise
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// First index
    #[arg(long, value_name = "N", conflicts_with = "last")]
    from: Option<u64>,
    /// Number of entries from the end
    #[arg(long, value_name = "N", default_value_t = 20)]
    last: u64,
    /// Entries of this type alone
    #[arg(long = "type", value_name = "TYPE", value_parser = decode_kind)]
    kind: Option<EntryKind>,
    /// Entries that tell of this digest alone
    #[arg(long, value_name = "HEX", value_parser = decode_digest)]
    subject: Option<Digest>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let store = storing::open(context)?;
    let size = store.head()?.size;
    let from = args.from.unwrap_or_else(|| size.saturating_sub(args.last));
    let mut rows =
        vec![["index", "time (ms)", "type", "tells of", "says"].map(str::to_owned).to_vec()];
    store.entries::<Failure>(from, |_, bytes| {
        let entry = decode(bytes)?;
        let subject = args.subject.as_ref();
        let wanted = args.kind.is_none_or(|kind| kind == entry.kind)
            && subject.is_none_or(|wanted| entry.subjects.iter().any(|(_, own)| own == wanted));
        match (wanted, context.ui.json()) {
            (false, _) => Ok(()),
            (true, true) => context.ui.object(&to_json(&entry)),
            (true, false) => {
                rows.push(to_row(&entry));
                Ok(())
            }
        }
    })?;
    if !context.ui.json() {
        let columns = [Align::Right, Align::Right, Align::Left, Align::Left, Align::Left];
        context.ui.text(&table(&columns, &rows))?;
        context.ui.say(&format!("{size} entries in the log {}", store.origin()?));
    }
    Ok(0)
}

fn to_row(entry: &Entry) -> Vec<String> {
    let subjects = entry.subjects.iter().map(|(name, digest)| {
        let digest = digest.to_string();
        format!("{} {}", plain(name), &digest[..12])
    });
    let subjects: Vec<String> = subjects.collect();
    let data = entry.data.iter().map(|(name, value)| format!("{}={}", plain(name), plain(value)));
    let says: Vec<String> = entry.error.iter().map(|code| plain(code)).chain(data).collect();
    vec![
        entry.index.to_string(),
        entry.time_ms.to_string(),
        entry.kind.name().to_owned(),
        subjects.join(", "),
        says.join(", "),
    ]
}

fn to_json(entry: &Entry) -> Value {
    let subjects = entry.subjects.iter().map(|(name, own)| (name.clone(), own.to_string().into()));
    let data = entry.data.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
    json!({
        "schema": "kapsule/log-entry/1",
        "index": entry.index.to_string(),
        "prev": entry.prev.to_string(),
        "time_ms": entry.time_ms.to_string(),
        "key_epoch": entry.key_epoch.to_string(),
        "type": entry.kind.name(),
        "subjects": Value::Object(subjects.collect()),
        "data": Value::Object(data.collect()),
        "error_code": entry.error,
    })
}
