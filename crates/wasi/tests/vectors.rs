//! Runs `spec/vectors/wasi/reject`; `accept` runs in the tests of the command, on both engines.

use std::path::Path;

use kapsule_wasi::{Options, adapt};
use toml::Table;

fn texts(vector: &Table, name: &str) -> Vec<String> {
    let values = vector.get(name).and_then(|value| value.as_array()).cloned().unwrap_or_default();
    values.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[test]
fn rejects_name_the_code_and_what_was_found() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/wasi/reject");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let vector: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let wasm = wat::parse_str(vector["wat"].as_str().unwrap()).unwrap();
        let mut args = texts(&vector, "args");
        // One argument of this many bytes, which would be long to write down.
        if let Some(bytes) = vector.get("arg_bytes") {
            args.push("x".repeat(usize::try_from(bytes.as_integer().unwrap()).unwrap()));
        }
        let options = Options { args, env: texts(&vector, "env"), clock: false };
        let error = adapt(&wasm, &options).expect_err(&path.display().to_string());
        let found = format!("{}: {error}", error.code);
        let expect = vector["expect"].as_str().unwrap();
        assert!(found.starts_with(expect), "{}: {found}", path.display());
        count += 1;
    }
    assert!(count >= 10, "only {count} vectors");
}
