//! Repository commands: `cargo xtask COMMAND`.
//!
//! Everything that has an `if` in it is here rather than in a shell script, so that it can be
//! tested and runs the same on a developer's machine and in continuous integration.
mod ci;
mod deny;
mod embedder;
mod examples;
mod failure;
mod foreign;
mod golden;
mod guards;
mod layers;
mod metadata;
mod modules;
mod process;
mod purity;
mod readme;
mod sdk;
mod soak;
mod tidy;
mod toml_file;
mod tree;
mod ui;
mod vectors;
mod verifier;
mod workplace;

use crate::failure::Failure;
use crate::tree::Tree;
use std::process::ExitCode;

/// One repository command.
struct Command {
    name: &'static str,
    usage: &'static str,
    run: fn(&Tree, &[String]) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    Command { name: "tidy", usage: "rules on the text of the repository", run: tidy::run },
    Command { name: "layers", usage: "which crate may depend on which", run: layers::run },
    Command { name: "deny", usage: "licences, sources and bans of deny.toml", run: deny::run },
    Command { name: "purity", usage: "pure crates reach nothing outside", run: purity::run },
    Command {
        name: "embedder",
        usage: "size and crates of the smallest embedding program",
        run: embedder::run,
    },
    Command { name: "vectors", usage: "counts and heads of spec/vectors", run: vectors::run },
    Command {
        name: "modules",
        usage: "[--check]  build the guest modules, write or compare their artifacts",
        run: modules::run,
    },
    Command {
        name: "guards",
        usage: "[--crate C] [--slice I/N] [--report]  switch every guard off in turn",
        run: guards::run,
    },
    Command {
        name: "golden",
        usage: "golden receipts issued again by a build without optimisation",
        run: golden::run,
    },
    Command { name: "foreign", usage: "other people's tools read our files", run: foreign::run },
    Command { name: "sdk", usage: "modules in Rust, C and AssemblyScript", run: sdk::run },
    Command {
        name: "verifier",
        usage: "the verifier of proofs as a module in the sandbox",
        run: verifier::run,
    },
    Command { name: "examples", usage: "the story of every example", run: examples::run },
    Command { name: "soak", usage: "NAME [OPTION]...  one long run", run: soak::run },
    Command { name: "ci", usage: "everything that a merge needs, in order", run: ci::run },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::error(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Finds the command by name and runs it on the repository.
fn dispatch(args: &[String]) -> Result<(), Failure> {
    let name = args.first().map_or("", String::as_str);
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(Failure::Usage(usage(name)));
    };
    (command.run)(&Tree::of_repository()?, &args[1..])
}

/// Returns the list of commands, headed by what was wrong with `name`.
fn usage(name: &str) -> String {
    let mut text = match name {
        "" => String::from("a command is missing"),
        name => format!("no command `{name}`"),
    };
    text.push_str("; usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        text.push_str(&format!("  {:<8} {}\n", command.name, command.usage));
    }
    text
}
