//! Benchmarks of Kapsule.
//!
//! Every figure of the engine is a ratio against a peer that was measured in the same run,
//! interleaved with it, so that a noisy machine blurs both alike; absolute times stand beside it
//! for orientation only.
//! Proving has no peer here and prints absolute figures with the machine that they are from.
//! Nothing here asserts a time.
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

#[cfg(feature = "engine")]
mod engine;
mod inputs;
mod prove;
#[cfg(feature = "engine")]
mod receipt;
mod run;
#[cfg(feature = "engine")]
mod store;
#[cfg_attr(not(feature = "engine"), expect(dead_code, reason = "most of it is for the engine"))]
mod timing;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match arguments.as_slice() {
        #[cfg(feature = "engine")]
        ["engine", sections @ ..] => engine::measure(sections),
        #[cfg(feature = "engine")]
        ["receipt", rest @ ..] => receipt::measure(rest),
        #[cfg(feature = "engine")]
        ["store", rest @ ..] => store::measure(rest),
        ["prove", rest @ ..] => prove::measure(rest),
        _ => Err("usage: kapsule-bench engine [SECTION]...\n       \
                  kapsule-bench prove [--json] [--params=NAME] [PROGRAM]...\n       \
                  kapsule-bench prove reference\n       \
                  kapsule-bench receipt [PATH OF kapsule]\n       \
                  kapsule-bench store [--size N] [PATH OF kapsule]"
            .to_owned()),
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
