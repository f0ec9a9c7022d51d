//! `kapsule prune`

use kapsule_format::capsule::{CapsuleId, kind};
use kapsule_store::{Store, StoreError};
use serde_json::json;

use super::snapshot::channels;
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::text::{facts, grouped};
use crate::{interrupt, opening, storing};

/// Capsules that are pruned together.
///
/// Chosen: as many as are taken in together.
const GROUP: usize = 1_024;

const EXAMPLES: &str = "\
Examples:
  kapsule prune --keep 1000 --dry-run
  kapsule prune --before 1700000000000 --kind post --shrink
  kapsule prune --keep 0 --json

What stays of a pruned capsule is its header: metadata and signatures, and with them its id, its
place in the graph and all that the log tells of it. Views that read it leave it out, `kapsule
doctor` and `kapsule log verify` say how many there are, and snapshots pass on the header alone.
Whoever takes the whole capsule in again, from a file or a snapshot, has its body back.

Results that packages computed of it, and what they keep, stay.";

/// Drops the bodies of old capsules, and keeps everything that others can check
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(skip)]
pub(crate) struct Args {
    /// Only what is claimed to be older than this, in ms since 1970
    #[arg(long, value_name = "MS", required_unless_present = "keep")]
    before: Option<u64>,
    /// Keep the bodies of the newest N capsules of each kind and channel
    #[arg(long, value_name = "N")]
    keep: Option<u64>,
    /// Channel, as its name here or the start of its id; without it every one of the store
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Kind; may be repeated; by default post and comment. Keyrings keep their bodies
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Write the file anew without the room that becomes free, which takes as much room meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    shrink: bool,
    /// Say what would be dropped, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    if args.kinds.iter().any(|own| own == kind::KEYRING) {
        let message = "the body of a keyring is the key of its channel";
        return Err(Failure::usage(message, "name other kinds, such as post"));
    }
    let mut store = storing::open(context)?;
    let (wanted, bytes) = wanted(context, &store, args)?;
    let (mut swept, mut size) = (0, None);
    if !args.dry_run {
        interrupt::watch()?;
        let what = format!("dropping {} bodies", grouped(wanted.len() as u64));
        let progress = context.ui.begin_counted(&what, wanted.len() as u64);
        for group in wanted.chunks(GROUP) {
            interrupt::check()?;
            store.write::<_, StoreError>(|write| {
                for id in group {
                    write.prune(id, opening::now_ms())?;
                    progress.advance();
                }
                Ok(())
            })?;
        }
        swept = store.sweep()?;
        size = args.shrink.then(|| store.shrink()).transpose()?;
        progress.end(&format!("{} bodies dropped", grouped(wanted.len() as u64)));
    }
    tell(context, args, wanted.len() as u64, (bytes, swept, size))
}

/// Finds the capsules whose bodies are to be dropped, and the bytes of their files.
fn wanted(context: &Context, store: &Store, args: &Args) -> Result<(Vec<CapsuleId>, u64), Failure> {
    let kinds = match args.kinds.as_slice() {
        [] => vec![kind::POST, kind::COMMENT],
        kinds => kinds.iter().map(String::as_str).collect(),
    };
    let (view, keep) = (store.view(), args.keep.unwrap_or(0));
    let (mut wanted, mut bytes) = (Vec::new(), 0);
    for channel in channels(context, store, args.channel.as_deref())? {
        for kind in &kinds {
            for row in view.prunable(&channel, kind, args.before, keep)? {
                // Of some capsules only the header ever came.
                if view.has_body(&row.id)? {
                    wanted.push(row.id);
                    bytes += row.size;
                }
            }
        }
    }
    Ok((wanted, bytes))
}

fn tell(
    context: &Context,
    args: &Args,
    bodies: u64,
    (bytes, swept, size): (u64, u64, Option<u64>),
) -> Done {
    let ui = &context.ui;
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/prune/1",
            "dry_run": args.dry_run,
            "bodies": bodies.to_string(),
            "file_bytes": bytes.to_string(),
            "large_values_removed": swept.to_string(),
            "store_bytes": size.map(|size| size.to_string()),
        }))?;
        return Ok(0);
    }
    let dropped = if args.dry_run { "would be dropped" } else { "dropped" };
    let mut told = vec![
        (dropped, format!("{} bodies", grouped(bodies))),
        ("their files", format!("{} bytes with their headers", grouped(bytes))),
        ("large values removed", grouped(swept)),
    ];
    told.extend(size.map(|size| ("store", format!("{} bytes", grouped(size)))));
    ui.text(&facts(&told))?;
    Ok(0)
}
