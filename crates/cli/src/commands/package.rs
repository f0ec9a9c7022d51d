//! `kapsule package`

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::opening::Files;
use crate::shelf::{Item, Shelf};
use crate::text::{Align, grouped, plain, table};

const ADD_EXAMPLES: &str = "\
Examples:
  kapsule package add hello.mod
  kapsule package add hello.mod clock.mod --packages shelf";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule package list
  kapsule package list --packages shelf --json";

/// Keeps packages in a directory where other packages that need them find them
///
/// The directory is `packages` in the data directory; each file is named by the `capsule_hash` of
/// the package in it, and is verified whenever it is used.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(AddArgs),
    List(ListArgs),
}

/// Copies packages into the package directory
///
/// Each is decoded with every check of its form; whether its signer is trusted is looked at when it
/// is used.
/// Envelopes beside a package go into its trailer, and signatures that are kept already stay.
#[derive(Debug, clap::Args)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct AddArgs {
    /// Packages to keep
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Package directory; by default that of the home
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
}

/// Lists the package directory
///
/// A file that does not hold the package of its name is listed with what is wrong, and the command
/// exits with the code of the first one.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// Package directory; by default that of the home
    #[arg(long, value_name = "DIR")]
    packages: Option<PathBuf>,
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Add(args) => add(context, args),
        Command::List(args) => list(context, args),
    }
}

fn shelf(context: &Context, directory: Option<&PathBuf>) -> Result<Shelf, Failure> {
    Ok(Shelf::new(match directory {
        Some(directory) => directory.clone(),
        None => context.home()?.packages(),
    }))
}

fn add(context: &Context, args: &AddArgs) -> Done {
    let shelf = shelf(context, args.packages.as_ref())?;
    for path in &args.files {
        let (package, is_new) = shelf.add(&context.ui, &Files::read(path)?)?;
        let (id, manifest) = (package.capsule_hash(), package.manifest());
        let file = shelf.path(&id);
        if context.ui.json() {
            context.ui.object(&json!({
                "schema": "kapsule/cli-package/1",
                "capsule_hash": id.to_string(),
                "name": manifest.name,
                "version": manifest.version.as_str(),
                "file": file.display().to_string(),
                "new": is_new,
            }))?;
        } else {
            let word = if is_new { "added" } else { "kept already" };
            context.ui.say(&format!("{word}: {} {} as {id}", manifest.name, manifest.version));
        }
    }
    Ok(0)
}

fn list(context: &Context, args: &ListArgs) -> Done {
    let shelf = shelf(context, args.packages.as_ref())?;
    let items = shelf.list()?;
    if context.ui.json() {
        for item in &items {
            context.ui.object(&to_json(item))?;
        }
    } else if items.is_empty() {
        let directory = shelf.directory().display();
        context.ui.say(&format!("{directory} has no packages; add one with `kapsule package add`"));
    } else {
        context.ui.text(&table(&[Align::Left, Align::Left, Align::Right], &rows(&items)))?;
    }
    items.into_iter().find_map(|item| item.package.err()).map_or(Ok(0), Err)
}

fn rows(items: &[Item]) -> Vec<Vec<String>> {
    let row = |item: &Item| {
        let (what, bytes) = match &item.package {
            Ok(package) => {
                let manifest = package.manifest();
                let title = plain(&format!("{} {}", manifest.name, manifest.version));
                (title, grouped(package.body().len() as u64))
            }
            Err(failure) => (format!("damaged: {}", failure.kind), String::new()),
        };
        vec![item.id.to_string(), what, bytes]
    };
    items.iter().map(row).collect()
}

fn to_json(item: &Item) -> Value {
    let id = item.id.to_string();
    match &item.package {
        Ok(package) => json!({
            "schema": "kapsule/cli-package/1",
            "capsule_hash": id,
            "name": package.manifest().name,
            "version": package.manifest().version.as_str(),
            "bytes": package.body().len().to_string(),
            "dependencies": package.dependencies().iter().map(ToString::to_string)
                .collect::<Vec<_>>(),
        }),
        Err(failure) => json!({
            "schema": "kapsule/cli-package/1",
            "capsule_hash": id,
            "problem": failure.kind.to_string(),
            "causes": failure.causes,
        }),
    }
}
