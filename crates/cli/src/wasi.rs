//! Programs for `wasm32-wasip1` as payloads.

use kapsule_abi::ErrorCode;
use kapsule_format::policy::Policy;

use crate::error::Failure;

/// What a command-line program is told when it becomes a module.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Command-line programs")]
pub(crate) struct WasiArgs {
    /// Make a module of the payload, a command-line program for wasm32-wasip1; its entry is `run`
    #[arg(long = "wasi")]
    is_program: bool,
    /// Argument that the program is called with, behind its name; may be repeated
    #[arg(
        long = "wasi-arg",
        value_name = "TEXT",
        requires = "is_program",
        allow_hyphen_values = true
    )]
    args: Vec<String>,
    /// Variable of the program's environment; may be repeated
    #[arg(
        long = "wasi-env",
        value_name = "NAME=VALUE",
        requires = "is_program",
        value_parser = decode_variable
    )]
    env: Vec<String>,
}

fn decode_variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("a variable is NAME=VALUE".to_owned()),
    }
}

impl WasiArgs {
    /// Tells whether the payload is a program.
    pub(crate) const fn is_program(&self) -> bool {
        self.is_program
    }

    /// Makes a module of the program `name`; with the grant `time` its clocks give the run's time.
    pub(crate) fn adapt(
        &self,
        name: &str,
        program: &[u8],
        policy: &Policy,
    ) -> Result<Vec<u8>, Failure> {
        let mut args = vec![name.to_owned()];
        args.extend(self.args.iter().cloned());
        let clock = policy.hostcalls.iter().any(|call| call == "now");
        let options = kapsule_wasi::Options { args, env: self.env.clone(), clock };
        kapsule_wasi::adapt(program, &options).map_err(|error| {
            let hint = match error.code {
                ErrorCode::LimitExceeded | ErrorCode::SchemaViolation => {
                    "pass shorter texts with --wasi-arg and --wasi-env; the input may be long"
                }
                ErrorCode::EntryNotFound => "build a program with a `main`, not a library",
                ErrorCode::ImportRefused => {
                    "build the program for wasm32-wasip1; a module that imports hostcalls needs no \
                     --wasi"
                }
                _ => "build the program again for wasm32-wasip1, without SIMD and threads",
            };
            Failure::new(error.code, format!("{name} cannot become a module"), hint).cause(error)
        })
    }
}
