//! The `kapsule` command: keys, packages, verification, runs, replays.
//!
//! `cli` holds the arguments, `commands` one file per verb, `ui` everything that prints; the other
//! `mod`s are what the verbs share, and the demo calls the same functions as they do.

mod agekeys;
mod analysis;
mod batch;
mod bodies;
mod building;
mod capsules;
mod channels;
mod cli;
mod closure;
mod codecache;
mod commands;
mod convert;
mod demo;
mod dispatch;
mod error;
mod execute;
mod fetch;
mod files;
mod gather;
mod grants;
mod identities;
mod ingest;
mod intake;
mod interrupt;
mod judging;
mod kept;
mod keyimport;
mod keystore;
mod machine;
mod memory;
mod opening;
mod packing;
mod passphrase;
mod paths;
mod plots;
mod proposals;
mod proving;
mod reading;
mod receipts;
mod roots;
mod scaffold;
mod session;
mod settings;
mod shelf;
mod storing;
mod surroundings;
mod text;
mod trustfile;
mod ui;
mod views;
mod wasi;
mod words;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
