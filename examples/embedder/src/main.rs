//! `kapsule-embedder PACKAGE [INPUT]` runs a package on the text INPUT and prints its output.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let package = arguments.next().ok_or("usage: kapsule-embedder PACKAGE [INPUT]")?;
    let input = arguments.next().unwrap_or_default();
    let file = std::fs::read(&package).map_err(|error| format!("{package}: {error}"))?;
    let output = kapsule_embedder::run(&file, input.as_bytes())?;
    std::io::stdout().write_all(&output).map_err(|error| error.to_string())
}
