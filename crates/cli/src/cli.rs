//! Arguments of the command, and what happens to the result of a verb.

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::commands::{self, Command};
use crate::error::{Done, Failure};
use crate::keystore::KeyStore;
use crate::paths::Home;
use crate::settings::{self, Explained};
use crate::ui::{Color, Ui};

const AFTER_HELP: &str = "\
Examples:
  kapsule demo
  kapsule key new alice
  kapsule pack hello.toml --key alice -o hello.mod
  kapsule verify hello.mod
  kapsule run hello.mod --transcript hello.transcript

Data go to stdout, words to stderr; `-` means stdin or stdout.
Exit codes: 0 success, 1 internal fault, 2 usage, 10 proof, 11 policy and trust, 12 integrity,
13 availability, 14 execution, 15 store and keys, 20 structure, 130 interrupted by Ctrl-C.";

/// Runs signed WebAssembly packages: sandboxed, metered, the same bits on every machine.
#[derive(Debug, Parser)]
#[command(name = "kapsule", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

/// How to print; accepted by every command.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Printing")]
struct OutputArgs {
    /// Print one JSON object per line, each with a `schema`; an error is the last one
    #[arg(long, global = true, display_order = 101)]
    json: bool,
    /// Print no progress and no remarks, only data, warnings and errors
    #[arg(long, short, global = true, display_order = 102)]
    quiet: bool,
    /// When to colour; auto is on a terminal, unless `NO_COLOR` is set
    #[arg(
        long,
        global = true,
        display_order = 103,
        value_name = "auto|always|never",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: Color,
}

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where and how to print.
    pub(crate) ui: Ui,
    /// Settings of this call, and where they came from.
    pub(crate) settings: Vec<Explained>,
}

impl Context {
    /// Finds the home; commands that need none never ask.
    pub(crate) fn home(&self) -> Result<Home, Failure> {
        Home::from_env()
    }

    /// Returns the keys of the home.
    pub(crate) fn keys(&self) -> Result<KeyStore, Failure> {
        self.home().map(|home| KeyStore::new(&home))
    }
}

/// Returns the definition of all arguments, for completions and the reference.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

/// Runs the command and returns the process exit code.
pub(crate) fn main() -> u8 {
    let arguments: Vec<_> = std::env::args_os().collect();
    // The parser's own complaints are printed as asked too, so this is looked for by hand.
    let json = arguments.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let before = || Ui::new(json, false, Color::Auto);
    // Help is given whatever the configuration file says.
    let loaded = settings::File::load();
    let file = loaded.as_ref().ok();
    let command = file.map_or_else(Cli::command, |file| file.apply(Cli::command()));
    let matches = match command.try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(answer) => {
            before().parser(&answer);
            return if answer.use_stderr() { 2 } else { 0 };
        }
    };
    match loaded.and_then(|file| Ok((Cli::from(&matches)?, file.explain(innermost(&matches))))) {
        Ok((cli, settings)) => {
            let OutputArgs { json, quiet, color } = cli.output;
            let context = Context { ui: Ui::new(json, quiet, color), settings };
            finish(&context.ui, commands::run(&context, cli.command))
        }
        Err(failure) => finish(&before(), Err(failure)),
    }
}

impl Cli {
    fn from(matches: &ArgMatches) -> Result<Self, Failure> {
        Self::from_arg_matches(matches).map_err(|error| {
            Failure::internal("the arguments were read twice and differ", "report this as a bug")
                .cause(error)
        })
    }
}

/// Returns the arguments of the verb, which include those that every command accepts.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, below)| innermost(below))
}

fn finish(ui: &Ui, done: Done) -> u8 {
    done.unwrap_or_else(|failure| {
        ui.failure(&failure);
        failure.kind.exit_code()
    })
}
