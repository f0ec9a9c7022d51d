//! `soak NAME`: runs that take hours, each with its full size unless the environment says less.
//!
//! `KAPSULE_SOAK_MODULES`, `KAPSULE_SOAK_TRANSACTIONS`, `KAPSULE_SOAK_FORGERIES`,
//! `KAPSULE_SOAK_ROUNDS`, `KAPSULE_SOAK_SEED` and `KAPSULE_SOAK_SECONDS` set sizes; an option on
//! the command line wins over them.

use crate::failure::Failure;
use crate::guards;
use crate::process;
use crate::toml_file;
use crate::tree::Tree;
use crate::ui;
use toml::de::DeValue;

/// An option of a long run.
struct Setting {
    flag: &'static str,
    variable: &'static str,
    default: &'static str,
}

/// One long run.
struct Soak {
    name: &'static str,
    about: &'static str,
    settings: &'static [Setting],
    run: fn(&Tree, &[String]) -> Result<(), Failure>,
}

/// Seed of what is random.
const SEED: Setting = Setting { flag: "--seed", variable: "KAPSULE_SOAK_SEED", default: "1" };

/// Returns how many of whatever the run makes it makes.
const fn count(variable: &'static str, default: &'static str) -> Setting {
    Setting { flag: "--modules", variable, default }
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "differential",
        about: "random modules on both engines agree in everything that is hashed",
        settings: &[count("KAPSULE_SOAK_MODULES", "100000"), SEED],
        run: differential,
    },
    Soak {
        name: "lower",
        about: "random modules, lowered in every way, agree with the interpreter",
        settings: &[count("KAPSULE_SOAK_MODULES", "100000"), SEED],
        run: lower,
    },
    Soak {
        name: "trace",
        about: "runs of random modules and of the wasm suite hold in the circuit's tables",
        settings: &[count("KAPSULE_SOAK_MODULES", "100000"), SEED],
        run: trace,
    },
    Soak {
        name: "fuzz",
        about: "every target of fuzz/ for some time each, with coverage (needs cargo-fuzz)",
        settings: &[Setting {
            flag: "--seconds",
            variable: "KAPSULE_SOAK_SECONDS",
            default: "3600",
        }],
        run: fuzz,
    },
    Soak {
        name: "transfer",
        about: "random transactions through the module agree with a model",
        settings: &[count("KAPSULE_SOAK_TRANSACTIONS", "1000000"), SEED],
        run: transfer,
    },
    Soak {
        name: "receipts",
        about: "sample receipts forged in every byte and at random, and each forgery refused",
        settings: &[count("KAPSULE_SOAK_FORGERIES", "100000"), SEED],
        run: receipts,
    },
    Soak {
        name: "proof-mutation",
        about: "cells of the proof's tables are changed, constraints and interactions left out",
        settings: &[
            Setting { flag: "--rounds", variable: "KAPSULE_SOAK_ROUNDS", default: "20" },
            SEED,
        ],
        run: proof_mutation,
    },
    Soak {
        name: "crash",
        about: "an ingest is killed at random moments, and the store is whole and goes on",
        settings: &[
            Setting { flag: "--rounds", variable: "KAPSULE_SOAK_ROUNDS", default: "1000" },
            SEED,
        ],
        run: crash,
    },
    Soak {
        name: "guards",
        about: "every guard is switched off in turn, and the report is written",
        settings: &[],
        run: all_guards,
    },
];

/// Where the summary of the forged receipts goes.
const RECEIPTS_REPORT: &str = "docs/reports/receipts.md";
/// Where the summary of the differential run goes.
const DIFFERENTIAL_REPORT: &str = "docs/reports/differential.md";
/// Where the summary of the lowered programs goes.
const LOWER_REPORT: &str = "docs/reports/lower.md";
/// Where the summary of the runs in the circuit's tables goes.
const TRACE_REPORT: &str = "docs/reports/trace.md";
/// Where the summary of the kills goes.
const CRASH_REPORT: &str = "docs/reports/crash.md";
/// Where that of the suite goes.
const SUITE_REPORT: &str = "docs/reports/trace-suite.md";
/// Where the summary of the proof's tables goes.
const MUTATION_REPORT: &str = "docs/reports/proof-mutation.md";
/// Where the summary of the transactions goes.
const TRANSFER_REPORT: &str = "docs/reports/transfer.md";

/// Runs the long run that the first argument names.
pub(crate) fn run(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    let name = args.first().map_or("", String::as_str);
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == name) else {
        let names: Vec<String> =
            SOAKS.iter().map(|soak| format!("  {:<15} {}", soak.name, soak.about)).collect();
        return Err(Failure::Usage(format!("soak `{name}`, allowed:\n{}", names.join("\n"))));
    };
    let args = sized(soak.settings, &args[1..], |variable| std::env::var(variable).ok())?;
    ui::line(&format!("soak {name} {}", args.join(" ")));
    (soak.run)(tree, &args)
}

/// Returns every setting with its value: from the command line, the environment, or the default.
fn sized(
    settings: &[Setting],
    args: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    for pair in args.chunks(2) {
        if pair.len() != 2 || !settings.iter().any(|setting| setting.flag == pair[0]) {
            let flags: Vec<&str> = settings.iter().map(|setting| setting.flag).collect();
            let text = format!("option `{}`, allowed: {} with a value", pair[0], flags.join(", "));
            return Err(Failure::Usage(text));
        }
    }
    let given =
        |flag: &str| args.chunks(2).find(|pair| pair[0] == flag).map(|pair| pair[1].clone());
    let value = |setting: &Setting| {
        given(setting.flag)
            .or_else(|| variable(setting.variable))
            .unwrap_or_else(|| setting.default.to_owned())
    };
    Ok(settings.iter().flat_map(|one| [one.flag.to_owned(), value(one)]).collect())
}

/// Runs random modules on both engines and writes the report.
fn differential(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    reported(tree, "differential", args, DIFFERENTIAL_REPORT)
}

/// Runs random modules as lowered programs and writes the report.
fn lower(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    reported(tree, "lower", args, LOWER_REPORT)
}

/// Puts runs of random modules, and then of the suite, into the tables of the circuit.
fn trace(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    reported(tree, "trace", args, TRACE_REPORT)?;
    let tests = ["test", "--release", "--locked", "--package", "kapsule-testkit", "--test", "main"];
    let mut command = process::cargo(tree, &tests);
    command.args(["--", "suite::calls_inside"]);
    command.env("KAPSULE_SOAK_COMMIT", process::commit(tree)?);
    process::run(command.env("KAPSULE_SOAK_SUITE", tree.path(SUITE_REPORT)))
}

/// Runs random transactions through the module and writes the report.
fn transfer(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    reported(tree, "transfer", args, TRANSFER_REPORT)
}

/// Forges sample receipts and writes the report.
fn receipts(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    reported(tree, "receipts", args, RECEIPTS_REPORT)
}

/// Runs the soundness tests of the proof's tables with more of everything; they write the report.
fn proof_mutation(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    rounds(tree, &["--package", "kapsule-prover"], "soundness::", args, MUTATION_REPORT)
}

/// Kills the command more often than the tests do; they write the report.
fn crash(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    // The whole workspace is selected, so that the command is built as for the other tests.
    rounds(tree, &["--workspace"], "crashes::", args, CRASH_REPORT)
}

/// Runs tests of a name for so many rounds, and has them write a report.
fn rounds(
    tree: &Tree,
    packages: &[&str],
    filter: &str,
    args: &[String],
    report: &str,
) -> Result<(), Failure> {
    let mut command = process::cargo(tree, &["test", "--release", "--locked"]);
    command.args(packages).args(["--test", "main", "--", filter]);
    for (setting, value) in [("KAPSULE_SOAK_ROUNDS", &args[1]), ("KAPSULE_SOAK_SEED", &args[3])] {
        command.env(setting, value);
    }
    command.env("KAPSULE_SOAK_COMMIT", process::commit(tree)?);
    process::run(command.env("KAPSULE_SOAK_REPORT", tree.path(report)))
}

/// Calls the program of the long runs and has it write a report.
fn reported(tree: &Tree, name: &str, args: &[String], report: &str) -> Result<(), Failure> {
    let soak = process::built(tree, "soak")?;
    let mut command = process::command(tree, &soak.display().to_string());
    command.arg(name).args(args);
    process::run(command.args(["--commit", &process::commit(tree)?, "--report", report]))
}

/// Runs every fuzz target; what it finds new stays outside the tree until someone commits it.
fn fuzz(tree: &Tree, args: &[String]) -> Result<(), Failure> {
    if !process::is_present(tree, "cargo", &["+nightly", "fuzz", "--version"]) {
        let text = "no cargo-fuzz: cargo install cargo-fuzz && rustup toolchain install nightly";
        return Err(Failure::shape("soak fuzz", text));
    }
    tree.copy_lock_file("fuzz")?;
    let limit = format!("-max_total_time={}", args[1]);
    for target in fuzz_targets(tree)? {
        let found = tree.path(&format!("target/fuzz-corpus/{target}"));
        std::fs::create_dir_all(&found).map_err(Failure::io(&found))?;
        let committed = tree.path(&format!("crates/testkit/corpus/{target}"));
        let mut command = process::cargo(tree, &["+nightly", "fuzz", "run", &target]);
        command.arg(&found);
        if committed.is_dir() {
            command.arg(&committed);
        }
        process::run(command.args(["--", &limit]))?;
    }
    Ok(())
}

/// Returns the names of the fuzz targets from their manifest.
fn fuzz_targets(tree: &Tree) -> Result<Vec<String>, Failure> {
    toml_file::with_file(tree, "fuzz/Cargo.toml", |table| {
        let targets = toml_file::at(table, &["bin"]).and_then(DeValue::as_array);
        let names = targets.into_iter().flatten().filter_map(|target| {
            target.get_ref().get("name")?.get_ref().as_str().map(str::to_owned)
        });
        names.collect()
    })
}

/// Tries every guard and writes the report.
fn all_guards(tree: &Tree, _: &[String]) -> Result<(), Failure> {
    guards::run(tree, &["--report".to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &[Setting] = &[
        Setting { flag: "--modules", variable: "M", default: "9" },
        Setting { flag: "--seed", variable: "S", default: "1" },
    ];

    /// Returns the settings for a command line in an environment that sets `M` to 5.
    fn settings(line: &str) -> Result<String, Failure> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let variable = |name: &str| (name == "M").then(|| "5".to_owned());
        sized(SETTINGS, &args, variable).map(|args| args.join(" "))
    }

    #[test]
    fn an_option_wins_over_the_environment_and_that_over_the_default() {
        assert_eq!(settings("").unwrap(), "--modules 5 --seed 1");
        assert_eq!(settings("--modules 3").unwrap(), "--modules 3 --seed 1");
        assert_eq!(settings("--seed 2 --modules 3").unwrap(), "--modules 3 --seed 2");
        assert!(settings("--modules").is_err());
        assert!(settings("--other 1").is_err());
    }

    #[test]
    fn every_fuzz_target_has_its_file() {
        let tree = Tree::of_repository().unwrap();
        let targets = fuzz_targets(&tree).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(tree.path(&format!("fuzz/targets/{target}.rs")).is_file(), "{target}");
        }
    }
}
