//! Attributes, guard names, file names and public signatures in Rust source.

use crate::failure::{Failure, Finding};
use crate::guards::scan;
use crate::tree::Tree;

/// Attributes that are not used here, and what to do instead.
const BANNED_ATTRIBUTES: &[(&str, &str)] = &[
    ("allow(", "use #[expect(.., reason = \"..\")]"),
    ("ignore", "a test that is not run is not a test"),
    ("should_panic", "assert the error that is returned"),
];

/// Crates whose types never appear in a public signature of `engine`.
const BACKENDS: &[&str] = &["wasmtime", "wasmi"];

/// Checks every Rust file.
pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = scan::check(tree)?;
    for path in tree.files_ending("", ".rs")? {
        let text = tree.read(&path)?;
        if path.ends_with("/mod.rs") {
            let text = "a mod with children is foo.rs beside foo/, never foo/mod.rs";
            findings.push(Finding::new(&path, 0, text));
        }
        check_attributes(&path, &text, &mut findings);
        if path.starts_with("crates/engine/src/") {
            check_signatures(&path, &text, &mut findings);
        }
    }
    Ok(findings)
}

/// Finds attributes that silence a lint or a test.
fn check_attributes(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let Some(attribute) = line.strip_prefix("#[").or_else(|| line.strip_prefix("#![")) else {
            continue;
        };
        let banned = BANNED_ATTRIBUTES.iter().find(|(name, _)| attribute.starts_with(name));
        if let Some((name, instead)) = banned {
            let name = name.trim_end_matches('(');
            findings.push(Finding::new(path, number, format!("attribute `{name}`: {instead}")));
        }
    }
}

/// Finds backend types in public items of the engine.
fn check_signatures(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let imported = imported_from_backends(text);
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if !line.trim_start().starts_with("pub ") {
            continue;
        }
        let signature = signature(&lines[index..]);
        let words = || signature.split(|c: char| !c.is_alphanumeric() && c != '_');
        let backend = BACKENDS.iter().find(|name| {
            signature.contains(&format!("{name}::")) || signature.contains(&format!("{name} as "))
        });
        let leaked = backend.map(|name| format!("{name}::")).or_else(|| {
            words().find(|word| imported.iter().any(|name| name == word)).map(String::from)
        });
        if let Some(leaked) = leaked {
            let text = format!("`{leaked}` in a public signature: backend types stay private");
            findings.push(Finding::new(path, index + 1, text));
        }
    }
}

/// Returns the text of an item up to its body, its end or, for a field, its comma.
fn signature(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.trim();
        text.push_str(line);
        text.push(' ');
        let is_field = !text.contains(" fn ") && line.ends_with(',');
        let is_body = line.contains('{') && !text.starts_with("pub use");
        if is_body || line.ends_with(';') || is_field {
            break;
        }
    }
    text
}

/// Returns the names that `use wasmi::..` and `use wasmtime::..` bring into the file.
fn imported_from_backends(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let uses = text.split(';').filter_map(|item| {
        let start = item
            .rfind("use ")
            .filter(|at| *at == 0 || item[..*at].ends_with(|c: char| c.is_whitespace()))?;
        Some(&item[start + 4..])
    });
    for path in uses {
        if BACKENDS.iter().any(|name| path.starts_with(&format!("{name}::"))) {
            let parts = path.split([',', '{', '}']).map(str::trim);
            let last = parts.filter_map(|part| part.rsplit([':', ' ']).next());
            let is_type = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase());
            names.extend(last.filter(is_type).map(str::to_owned));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::planted;

    /// Returns the lines of `text`, planted as a file of the engine, that break a rule.
    fn lines_found(text: &str) -> Vec<usize> {
        let (_keep, tree) = planted(&[("crates/engine/src/x.rs", text)]);
        check(&tree).unwrap().into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn silencing_attributes_are_found() {
        assert_eq!(lines_found("#[allow(dead_code)]\nfn f() {}\n"), [1]);
        assert_eq!(lines_found("#![allow(dead_code)]\n"), [1]);
        assert_eq!(lines_found("#[test]\n#[ignore]\nfn f() {}\n"), [2]);
        assert_eq!(lines_found("#[test]\n    #[should_panic]\n"), [2]);
        assert_eq!(lines_found("#[expect(dead_code, reason = \"x\")]\n"), [0; 0]);
    }

    #[test]
    fn backend_types_in_public_signatures_are_found() {
        let cases: &[(&str, &[usize])] = &[
            ("pub fn f(x: wasmi::Engine) {}\n", &[1]),
            ("pub fn f(\n    x: u32,\n) -> wasmtime::Result<()> {\n}\n", &[1]),
            ("pub struct S {\n    pub engine: wasmi::Engine,\n}\n", &[2]),
            ("pub use wasmtime::Engine;\n", &[1]),
            ("use wasmi::{Engine, Store as S};\npub fn f(x: &Engine) {}\n", &[2]),
            ("use wasmi::{Engine, Store as S};\npub fn f(x: &S) {}\n", &[2]),
            ("use wasmi::Engine;\npub(crate) fn f(x: &Engine) {}\n", &[]),
            ("use wasmi::Engine;\npub struct S {\n    engine: Engine,\n}\n", &[]),
            ("/// Uses wasmi::Engine.\npub fn f() {\n    wasmi::Engine::new();\n}\n", &[]),
        ];
        for (text, expect) in cases {
            assert_eq!(lines_found(text), *expect, "{text}");
        }
    }

    #[test]
    fn a_mod_file_in_its_own_folder_is_found() {
        let (_keep, tree) = planted(&[("crates/a/src/b/mod.rs", "")]);
        assert_eq!(check(&tree).unwrap().len(), 1);
    }
}
