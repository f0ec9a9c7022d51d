//! `kapsule receipt split`

use std::path::PathBuf;

use kapsule_format::container::{Container, Kind, Writer};
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::{fetch, files, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule receipt split hello.cap --to archive -o small.cap
  kapsule receipt split hello.cap --to archive -o small.cap --json";

/// Moves what is large out of a receipt into a directory, by content address
///
/// Package, audit bundle, input and output go to blobs/sha256/HEX below the directory; the receipt
/// keeps claim, signatures and documents, and its id.
/// `kapsule audit --fetch DIR` finds them there, or at any plain web server over that directory.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Receipt
    receipt: PathBuf,
    /// Directory that gets the files
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// File for the small receipt
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let ui = &context.ui;
    files::check_result(ui, &args.output)?;
    let held = receipts::read(&args.receipt)?;
    receipts::decode(&held)?;
    let refused = |error| {
        let hint = "get the receipt again";
        Failure::decode(format!("{} cannot be split", held.name()), &error, hint)
    };
    let container = Container::decode(held.bytes()).map_err(refused)?;
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    let mut moved = 0;
    for entry in container.entries().iter().skip(1) {
        if receipts::is_large(entry.name) {
            fetch::keep(ui, &args.to, entry.bytes)?;
            moved += 1;
        } else {
            writer.push(entry.name, entry.bytes);
        }
    }
    let bytes = writer.finish().map_err(refused)?;
    files::write(ui, &args.output, &bytes)?;
    let (file, size) = (args.output.display().to_string(), bytes.len());
    if ui.json() {
        ui.object(&json!({
            "schema": "kapsule/cli-receipt-split/1",
            "file": file,
            "bytes": size.to_string(),
            "moved": moved,
        }))?;
    } else {
        ui.say(&format!("wrote {file} of {size} bytes, {moved} files to {}", args.to.display()));
    }
    Ok(0)
}
