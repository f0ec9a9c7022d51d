//! The programs that proving is measured on, each with what it reads.

use kapsule_format::key::{SecretKey, Suite};

use crate::{inputs, run};

/// One program with the words that its run reads.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) wasm: Vec<u8>,
    pub(super) words: Vec<u64>,
    /// What it works on, for people.
    pub(super) what: String,
}

/// Prepares a program.
type Make = fn(&'static str) -> Result<Program, String>;

/// Every program, in the order of the report; sizes fill one segment of at most 2^20 steps.
const PROGRAMS: &[(&str, Make)] = &[
    ("fib", |name| text(name, include_str!("../../programs/fib_loop.wat"), FIB_ROUNDS, "rounds")),
    ("fib-calls", |name| text(name, include_str!("../../programs/fib.wat"), FIB_CALLS, "is n")),
    ("sha256", |name| text(name, include_str!("../../programs/sha256.wat"), BLOCKS, "blocks")),
    ("keccak", keccak),
    ("sieve", |name| text(name, include_str!("../../programs/sieve.wat"), SIEVE_END, "is the end")),
    ("ed25519", ed25519),
    ("rank", |name| module(name, RANK, inputs::rank(RANK_ROWS)?)),
    ("trust", |name| module(name, TRUST, inputs::trust(TRUST_ROWS)?)),
];

// The design names 10^6 rounds, fib(24), 1024 blocks, 64 kB and 200 000: more than one segment.
const FIB_ROUNDS: u32 = 200_000;
const FIB_CALLS: u32 = 22;
const BLOCKS: u32 = 200;
const KECCAK_BYTES: usize = 8_192;
const SIEVE_END: u32 = 50_000;
const RANK_ROWS: usize = 100;
const TRUST_ROWS: usize = 60;

const RANK: &[u8] = include_bytes!("../../../../modules/artifacts/rank.wasm");
const TRUST: &[u8] = include_bytes!("../../../../modules/artifacts/trust.wasm");
const KECCAK: &[u8] = include_bytes!("../../../../modules/artifacts/bench_keccak.wasm");
const ED25519: &[u8] = include_bytes!("../../../../modules/artifacts/bench_ed25519.wasm");

/// Returns the names, in order.
pub(super) fn names() -> Vec<&'static str> {
    PROGRAMS.iter().map(|(name, _)| *name).collect()
}

/// Prepares the programs with these names, or every one.
pub(super) fn named(names: &[&str]) -> impl Iterator<Item = Result<Program, String>> {
    PROGRAMS
        .iter()
        .filter(|(name, _)| names.is_empty() || names.contains(name))
        .map(|(name, make)| make(name).map_err(|error| format!("{name}: {error}")))
}

/// Returns a text program, whose export `bench` is called with `argument` by an entry.
fn text(name: &'static str, text: &str, argument: u32, unit: &str) -> Result<Program, String> {
    let named = text.replacen("(func (export \"bench\")", "(func $bench (export \"bench\")", 1);
    let body = named.trim_end().strip_suffix(')').ok_or("the text does not end a module")?;
    let text = format!(
        "{body}\n(func (export \"kapsule_abi_version\") (result i32) i32.const 1)\n\
         (func (export \"run\") (result i32) i32.const {argument} call $bench))"
    );
    let wasm = wat::parse_str(text).map_err(|error| error.to_string())?;
    Ok(Program { name, wasm, words: Vec::new(), what: format!("{argument} {unit}") })
}

/// Returns a module whose answers from the host are those of a run on the interpreter.
fn module(
    name: &'static str,
    wasm: &[u8],
    (input, source): (Vec<u8>, &'static str),
) -> Result<Program, String> {
    let words = run::words(wasm, &input)?;
    let what = format!("{} bytes of {source}", input.len());
    Ok(Program { name, wasm: wasm.to_vec(), words, what })
}

fn keccak(name: &'static str) -> Result<Program, String> {
    let input = (0..KECCAK_BYTES).map(|at| at.to_le_bytes()[0]).collect();
    module(name, KECCAK, (input, "counted bytes"))
}

fn ed25519(name: &'static str) -> Result<Program, String> {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[0x5a; SecretKey::BYTES])
        .map_err(|error| error.to_string())?;
    let message = [7; 32];
    let input = [secret.public().as_bytes(), &secret.sign(&message), &message].concat();
    module(name, ED25519, (input, "key, signature and message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_its_words() {
        let programs: Vec<_> = named(&[]).map(Result::unwrap).collect();
        assert_eq!(programs.len(), names().len());
        for program in programs.iter().filter(|one| !one.words.is_empty()) {
            assert!(program.words.len() > 10, "{}", program.name);
        }
    }
}
