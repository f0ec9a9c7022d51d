//! Runs every file of `spec/vectors/<group>/{accept,reject}/`.
//!
//! A file is a TOML table with `spec` (section), `why`, `expect` and the inputs of its group.
//! `expect` of an accepted input is what the group prints for it, and of a rejected one the code,
//! with ` at offset n` where the error has an offset.
//! A `bytes` member is hex with spaces, or absent if a `.bin` file of the same stem holds the
//! bytes.

mod authoring;
#[cfg(feature = "encrypt")]
mod capsule;
mod cbor;
mod container;
mod da;
mod encrypted;
mod envelope;
mod fork;
mod hash;
mod json;
mod keys;
mod klog;
mod log;
mod package;
mod policy;
mod receipt;
mod receipt_policy;
mod snapshot;
mod storage;
mod transcript;
mod tree;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};

use kapsule_format::DecodeError;

/// What a group makes of one case: what it prints, or why it refuses.
pub(crate) type Verdict = Result<String, DecodeError>;

/// A group of vectors and the function that judges its cases.
struct Group {
    name: &'static str,
    judge: fn(&Case) -> Verdict,
}

/// Every group that this crate judges.
const GROUPS: &[Group] = &[
    Group { name: "authoring", judge: authoring::judge },
    #[cfg(feature = "encrypt")]
    Group { name: "capsule", judge: capsule::judge },
    Group { name: "container", judge: container::judge },
    Group { name: "da", judge: da::judge },
    Group { name: "envelope", judge: envelope::judge },
    Group { name: "fork", judge: fork::judge },
    Group { name: "hash", judge: hash::judge },
    Group { name: "kcbor", judge: cbor::judge },
    Group { name: "keys", judge: keys::judge },
    Group { name: "klog", judge: klog::judge },
    Group { name: "log", judge: log::judge },
    Group { name: "mod", judge: package::judge },
    Group { name: "policy", judge: policy::judge },
    Group { name: "receipt", judge: receipt::judge },
    Group { name: "receipt-policy", judge: receipt_policy::judge },
    Group { name: "rjson", judge: json::judge },
    Group { name: "snapshot", judge: snapshot::judge },
    Group { name: "storage", judge: storage::judge },
    Group { name: "transcript", judge: transcript::judge },
    Group { name: "tree", judge: tree::judge },
    Group { name: "trust", judge: trust::judge },
];

/// One vector file.
pub(crate) struct Case {
    path: PathBuf,
    table: toml::Table,
}

impl Case {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let case = Self { path, table };
        for name in ["spec", "why"] {
            assert!(!case.text(name).is_empty(), "{}: empty {name}", case.path.display());
        }
        case
    }

    /// Returns the value of a member, if it is present.
    pub(crate) fn find(&self, name: &str) -> Option<&toml::Value> {
        self.table.get(name)
    }

    /// Returns the text of a required member.
    pub(crate) fn text(&self, name: &str) -> &str {
        let text = self.find(name).and_then(toml::Value::as_str);
        text.unwrap_or_else(|| panic!("{}: no text {name}", self.path.display()))
    }

    /// Returns the texts of a required array.
    pub(crate) fn texts(&self, name: &str) -> Vec<&str> {
        let array = self.find(name).and_then(toml::Value::as_array);
        let array = array.unwrap_or_else(|| panic!("{}: no array {name}", self.path.display()));
        array.iter().map(|item| item.as_str().unwrap()).collect()
    }

    /// Returns the integer of a required member.
    pub(crate) fn uint(&self, name: &str) -> u64 {
        let number = self.find(name).and_then(toml::Value::as_integer);
        let number = number.unwrap_or_else(|| panic!("{}: no {name}", self.path.display()));
        u64::try_from(number).unwrap()
    }

    /// Returns the bytes of a member in hex, or of the neighbour `<stem>.bin` for `bytes`.
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        match self.find(name) {
            None if name == "bytes" => fs::read(self.path.with_extension("bin")).unwrap(),
            _ => unhex(self.text(name)),
        }
    }
}

/// Decodes hex with white space between the digits.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap()
}

/// Returns the folder `spec` of the repository.
pub(crate) fn spec_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec")
}

/// Returns the cases of one folder in order of their names.
fn cases(group: &str, folder: &str) -> Vec<Case> {
    let folder = spec_folder().join("vectors").join(group).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths.into_iter().map(Case::read).collect()
}

/// Prints a refusal as vectors state it.
fn print_error(error: &DecodeError) -> String {
    match error.offset {
        Some(offset) => format!("{} at offset {offset}", error.code),
        None => error.code.to_string(),
    }
}

/// Returns the cases of a group whose verdict differs from the one that they state.
fn departures(group: &Group) -> Vec<String> {
    let (accepted, rejected) = (cases(group.name, "accept"), cases(group.name, "reject"));
    let counts = (accepted.len(), rejected.len());
    assert!(counts.0 > 0 && counts.0 <= counts.1, "{}: too few cases in {counts:?}", group.name);
    let mut departures = Vec::new();
    for (case, accept) in
        accepted.iter().map(|case| (case, true)).chain(rejected.iter().map(|case| (case, false)))
    {
        let verdict = (group.judge)(case);
        let found = match &verdict {
            Ok(printed) => printed.clone(),
            Err(error) => print_error(error),
        };
        if verdict.is_ok() != accept || found != case.text("expect") {
            let path = case.path.strip_prefix(spec_folder()).unwrap().display();
            departures.push(format!("{path}: found {verdict:?}, printed {found}"));
        }
    }
    departures
}

#[test]
fn every_vector_has_its_verdict() {
    let departures: Vec<String> = GROUPS.iter().flat_map(departures).collect();
    assert!(departures.is_empty(), "{}", departures.join("\n"));
}
