//! The fuzz bodies over the committed corpus, the vectors of the formats, and mutations of both.
//!
//! `KAPSULE_CORPUS_WRITE=1` writes the corpus anew from the vectors; it is committed so that
//! inputs once found stay, whatever becomes of the vectors.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kapsule_testkit::Random;
use kapsule_testkit::fuzz::{Body, TARGETS};
use kapsule_testkit::mutate::mutate;

/// Mutations of all inputs of one target together.
///
/// Chosen: all targets take well under a minute on one core of a release build.
const MUTATIONS: usize = 20_000;

/// Mutations of targets that look at each of them for a millisecond.
const SLOW: &[(&str, usize)] = &[("proof", 3_000)];

/// Most files of one target that are written to the corpus; the smallest ones are.
const WRITTEN_MAX: usize = 24;

/// Greatest input that is taken from beside a vector.
///
/// Chosen: every container and receipt, and none of the packages that are made to be large.
const NEIGHBOUR_BYTES_MAX: usize = 1 << 14;

/// Targets with the directories of `spec/vectors` that hold their inputs, and the member there.
const SOURCES: &[(&str, &[(&str, &str)])] = &[
    ("authoring_json", &[("authoring", "manifest")]),
    ("authoring_toml", &[("authoring", "manifest")]),
    ("authoring_yaml", &[("authoring", "manifest")]),
    ("capsule", &[("capsule", "bytes")]),
    ("container", &[("container", "bytes")]),
    ("envelope", &[("envelope", "json"), ("envelope", "statement")]),
    ("kcbor", &[("kcbor", "bytes")]),
    ("klog", &[("klog", "bytes"), ("transcript", "bytes")]),
    ("meter", &[("module", "wat")]),
    ("mod_decode", &[("mod", "bytes")]),
    ("module_agent_logic", &[]),
    ("module_blocklist", &[]),
    ("module_rank", &[]),
    ("module_regression", &[]),
    ("module_transfer", &[]),
    ("module_trust", &[]),
    ("policy", &[("policy", "json")]),
    ("proof", &[]),
    ("receipt", &[("receipt", "bytes")]),
    ("rjson", &[("rjson", "json"), ("policy", "json")]),
    ("snapshot", &[("snapshot", "bytes"), ("fork", "bytes")]),
    ("transcript", &[("transcript", "bytes")]),
    ("trust_json", &[("trust", "json"), ("policy", "json")]),
];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors")
}

/// Returns the files of a directory in order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Returns the inputs of one vector directory, by verdict and name.
fn vector_inputs(format: &str, member: &str) -> BTreeMap<String, Vec<u8>> {
    let mut inputs = BTreeMap::new();
    for verdict in ["accept", "reject"] {
        let mut files = files(&vectors().join(format).join(verdict));
        files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let vector: toml::Table = text.parse().unwrap();
            let bytes = match (member, vector.get(member).and_then(toml::Value::as_str)) {
                ("bytes", None) => neighbour(&file),
                (_, None) => continue,
                ("bytes", Some(value)) => hex(value),
                ("wat", Some(value)) => wat::parse_str(value).ok(),
                (_, Some(value)) => Some(value.as_bytes().to_vec()),
            };
            let stem = file.file_stem().unwrap().to_string_lossy();
            let name = format!("{verdict}-{format}-{member}-{stem}");
            inputs.extend(bytes.map(|bytes| (name, bytes)));
        }
    }
    inputs
}

/// Returns the bytes that stand beside a vector, if they are few.
fn neighbour(file: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(file.with_extension("bin")).ok()?;
    (bytes.len() <= NEIGHBOUR_BYTES_MAX).then_some(bytes)
}

/// Reads hexadecimal digits, with white space between them.
fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

/// Returns every input of a target: the corpus and the vectors.
fn inputs(target: &str) -> BTreeMap<String, Vec<u8>> {
    let mut inputs = BTreeMap::new();
    for file in files(&corpus().join(target)) {
        let name = format!("corpus/{}", file.file_name().unwrap().to_string_lossy());
        inputs.insert(name, fs::read(&file).unwrap());
    }
    let sources = SOURCES.iter().find(|(name, _)| *name == target).unwrap().1;
    for (format, member) in sources {
        inputs.extend(vector_inputs(format, member));
    }
    inputs
}

/// Runs a body and names the input that breaks it.
fn run(target: &str, body: Body, name: &str, bytes: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| body(bytes))).unwrap_or_else(|_| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        panic!("{target} fails on {name}: {hex}")
    })
}

/// Returns how many inputs and mutations a target accepts and refuses.
fn sweep(target: &str, body: Body) -> [usize; 4] {
    let inputs = inputs(target);
    let mut counts = [0; 4];
    for (name, bytes) in &inputs {
        counts[usize::from(!run(target, body, name, bytes))] += 1;
    }
    let all: Vec<(&String, &Vec<u8>)> = inputs.iter().collect();
    let seed = target.bytes().fold(0_u64, |sum, byte| (sum << 5) ^ u64::from(byte));
    let mut random = Random::new(seed);
    let slow = SLOW.iter().find(|(name, _)| *name == target);
    for number in 0..slow.map_or(MUTATIONS, |(_, mutations)| *mutations) {
        let (name, bytes) = all[number % all.len()];
        let other = all[random.index(all.len())].1;
        let mutated = mutate(bytes, other, &mut random);
        let name = format!("mutation {number} of {name}");
        counts[2 + usize::from(!run(target, body, &name, &mutated))] += 1;
    }
    counts
}

#[test]
fn no_body_breaks_on_the_corpus_the_vectors_or_mutations_of_them() {
    for (target, body) in TARGETS {
        let [accepted, refused, mutated_accepted, mutated_refused] = sweep(target, *body);
        let line = format!(
            "{target}: {accepted} accepted and {refused} refused inputs, \
             {mutated_accepted} accepted and {mutated_refused} refused mutations\n"
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(accepted >= 2 && refused >= 2, "{line}");
        assert!(mutated_accepted > 0 && mutated_refused > 0, "{line}");
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let directories: Vec<String> = files(&corpus())
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(directories, targets);
    assert_eq!(SOURCES.iter().map(|(name, _)| *name).collect::<Vec<_>>(), targets);
    for target in targets {
        assert!(files(&corpus().join(target)).len() >= 2, "{target} has too few inputs");
    }
}

#[test]
fn the_corpus_is_written_on_request() {
    if std::env::var_os("KAPSULE_CORPUS_WRITE").is_none() {
        return;
    }
    for (target, sources) in SOURCES {
        let directory = corpus().join(target);
        fs::create_dir_all(&directory).unwrap();
        for verdict in ["accept", "reject"] {
            let mut inputs: Vec<(String, Vec<u8>)> = sources
                .iter()
                .flat_map(|(format, member)| vector_inputs(format, member))
                .filter(|(name, _)| name.starts_with(verdict))
                .collect();
            inputs.sort_by_key(|(_, bytes)| bytes.len());
            for (name, bytes) in inputs.iter().take(WRITTEN_MAX / 2) {
                fs::write(directory.join(name), bytes).unwrap();
            }
        }
    }
}
