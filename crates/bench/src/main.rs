//! Benchmarks of Kapsule.
//!
//! Every figure is a ratio against a peer that was measured in the same run, interleaved with it,
//! so that a noisy machine blurs both alike; absolute times stand beside it for orientation only.
//! Nothing here asserts a time.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

mod engine;
mod timing;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match arguments.as_slice() {
        ["engine", sections @ ..] => engine::measure(sections),
        _ => Err("usage: kapsule-bench engine [SECTION]...".to_owned()),
    };
    match measured {
        Ok(lines) => {
            for line in lines {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            println!("error: {message}");
            ExitCode::from(2)
        }
    }
}
