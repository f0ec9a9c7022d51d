//! `kapsule man`

use std::path::{Path, PathBuf};

use clap_mangen::Man;
use serde_json::json;

use crate::cli::{self, Context};
use crate::error::{Done, Failure};
use crate::files;

const EXAMPLES: &str = "\
Examples:
  kapsule man > kapsule.1
  kapsule man .
  kapsule man . --json";

/// Prints the manual page, or writes one page for every command
///
/// The pages are made from the same definitions as this help.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory for `kapsule.1`, `kapsule-run.1` and so on; without it the page of `kapsule` goes
    /// to stdout
    directory: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let mut definition = cli::definition().disable_help_subcommand(true);
    definition.build();
    match &args.directory {
        Some(directory) => write_all(context, directory, definition),
        None => {
            let page = render(definition)?;
            if context.ui.json() {
                context.ui.object(&json!({
                    "schema": "kapsule/cli-man/1",
                    "page": String::from_utf8_lossy(&page),
                }))?;
            } else {
                context.ui.data(&page)?;
            }
            Ok(0)
        }
    }
}

fn write_all(context: &Context, directory: &Path, definition: clap::Command) -> Done {
    let mut pages = Vec::new();
    collect(definition, &mut pages)?;
    files::check_writable(&directory.join("kapsule.1"))?;
    for (name, page) in &pages {
        files::write(&context.ui, &directory.join(name), page)?;
    }
    if context.ui.json() {
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        context.ui.object(&json!({
            "schema": "kapsule/cli-man/1",
            "directory": directory.display().to_string(),
            "files": names,
        }))?;
    } else {
        context.ui.say(&format!("wrote {} pages into {}", pages.len(), directory.display()));
    }
    Ok(0)
}

/// Renders a command and everything below it, in the order of the help.
fn collect(command: clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> Result<(), Failure> {
    let below: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((format!("{name}.1"), render(command)?));
    below.into_iter().try_for_each(|command| collect(command, pages))
}

fn render(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command).manual("Kapsule").render(&mut page).map_err(|error| {
        Failure::internal("the manual page cannot be rendered", "report this as a bug").cause(error)
    })?;
    Ok(page)
}
