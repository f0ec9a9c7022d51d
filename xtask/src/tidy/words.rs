//! Words that the glossary replaces by another.
//!
//! Only words that have no second meaning in this repository are listed: `result` or `log` would
//! be found everywhere.

use crate::failure::{Failure, Finding};
use crate::tree::Tree;

/// A word not to use, and what to say instead.
const BANNED: &[(&str, &str)] = &[
    ("certificate", "receipt"),
    ("checksum", "digest"),
    ("checksums", "digests"),
    ("extrinsic", "transaction"),
    ("plugin", "package"),
    ("plugins", "packages"),
    ("syscall", "hostcall"),
    ("syscalls", "hostcalls"),
    ("vat", "process"),
];

/// Type names not to declare, and what to say instead.
const BANNED_TYPES: &[(&str, &str)] = &[
    ("App", "Package"),
    ("Cap", "Receipt or Capability"),
    ("Config", "Manifest, Policy, Limits or Options"),
    ("Contract", "Package"),
    ("Exception", "Trap"),
    ("Fd", "Handle"),
    ("Permission", "Capability"),
    ("Stats", "Usage"),
    ("Task", "Process"),
    ("Token", "Capability"),
    ("User", "the role: author, signer, peer, operator"),
    ("Vm", "Backend"),
];

/// Beginnings of function names not to declare, and what to say instead.
const BANNED_PREFIXES: &[(&str, &str)] = &[
    ("ensure_", "check_, verify_ or validate_"),
    ("get_", "the noun alone"),
    ("parse_", "decode_"),
];

/// Names of hostcalls, which the ABI fixes; functions about one may begin with its name.
const ABI_NAMES: &[&str] = &["get_capsule_metadata", "get_capsule_payload", "get_trust_score"];

/// Places that must name the words themselves, the last one because the library that it measures
/// calls its packages so.
const QUOTING: &[&str] = &[
    "STYLE.md",
    "docs/glossary.md",
    "xtask/src/tidy/words.rs",
    "crates/bench/peers/src/extism.rs",
];

/// Checks the words of code and text.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for path in tree.files("")? {
        let rust = path.ends_with(".rs");
        if (rust || path.ends_with(".md")) && !QUOTING.contains(&path.as_str()) {
            for (number, line) in (1..).zip(tree.read(&path)?.lines()) {
                let said = check_line(line).or_else(|| rust.then(|| check_name(line)).flatten());
                findings.extend(said.map(|text| Finding::new(&path, number, text)));
            }
        }
    }
    Ok(findings)
}

/// Says what is wrong with the words of a line.
fn check_line(line: &str) -> Option<String> {
    let found = words(line);
    let (word, instead) =
        BANNED.iter().find(|(banned, _)| found.iter().any(|word| word == banned))?;
    Some(format!("`{word}`, say {instead} (docs/glossary.md)"))
}

/// Splits a line into lower-case words, identifiers included: `PluginId` has two.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for character in line.chars() {
        let starts = character.is_ascii_uppercase() && lower_before;
        if starts || !character.is_ascii_alphabetic() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (character.is_ascii_alphabetic(), words.last_mut()) {
            word.push(character.to_ascii_lowercase());
        }
        lower_before = character.is_ascii_lowercase();
    }
    words
}

/// Says what is wrong with the name that a line of Rust declares.
fn check_name(line: &str) -> Option<String> {
    let (keyword, name) = declared(line)?;
    if keyword == "fn" {
        if ABI_NAMES.iter().any(|fixed| name.starts_with(fixed)) {
            return None;
        }
        let (prefix, instead) =
            BANNED_PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix))?;
        return Some(format!("function `{name}` begins with `{prefix}`, say {instead}"));
    }
    let (_, instead) = BANNED_TYPES.iter().find(|(banned, _)| *banned == name)?;
    Some(format!("type `{name}`, say {instead} (docs/glossary.md)"))
}

/// Returns the keyword and the name of the item that begins on this line.
fn declared(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    if line.starts_with("//") {
        return None;
    }
    for keyword in ["fn", "struct", "enum", "trait", "type"] {
        let mut words = line.split_whitespace().skip_while(|word| *word != keyword);
        // What stands before the keyword is a visibility or a qualifier, never text in quotes.
        let before = line.split(keyword).next().unwrap_or_default();
        if words.next().is_some() && !before.contains('"') {
            let rest = words.next()?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Some((keyword, &rest[..end]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    #[test]
    fn banned_words_are_found_in_text_and_in_names() {
        let cases = [
            ("a plugin for it", Some("plugin")),
            ("let x = PluginId::new();", Some("plugin")),
            ("fn load_syscalls() {}", Some("syscalls")),
            ("CHECKSUM_BYTES", Some("checksum")),
            ("private data, elevator", None),
            ("a package", None),
        ];
        for (line, expect) in cases {
            let said = check_line(line);
            assert_eq!(said.is_some(), expect.is_some(), "{line}: {said:?}");
            let named = expect.is_none_or(|word| said.unwrap().contains(&format!("`{word}`")));
            assert!(named, "{line}");
        }
    }

    #[test]
    fn banned_names_are_found_where_they_are_declared() {
        let cases = [
            ("pub fn get_length(&self) -> u32 {", true),
            ("    pub(crate) const fn parse_head(bytes: &[u8]) {", true),
            ("pub struct Config {", true),
            ("enum Vm<T> {", true),
            ("fn get_trust_score() -> i64;", false),
            ("let config = get_length();", false),
            ("/// fn get_length is not ours", false),
            ("assert_eq!(\"fn get_length\", x);", false),
            ("pub struct ConfigFile {", false),
        ];
        for (line, expect) in cases {
            assert_eq!(check_name(line).is_some(), expect, "{line}");
        }
    }

    #[test]
    fn a_planted_word_is_reported_with_its_line() {
        let (_keep, tree) = planted(&[
            ("docs/a.md", "one\na vat here\n"),
            ("docs/glossary.md", "vat\n"),
            ("a.toml", "vat = 1\n"),
        ]);
        let findings = check(&tree).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].to_string().starts_with("docs/a.md:2: `vat`, say process"));
    }
}
