//! Runs `spec/vectors/module`: each accept file fixes a plan, each reject file a code and a text.

use std::path::{Path, PathBuf};

use kapsule_meter::{FunctionPlan, Imports, Limits, MeteredModule, Options, StubPlan, meter};
use toml::{Table, Value};

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/module").join(kind);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> Table {
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn wasm(vector: &Table) -> Vec<u8> {
    if let Some(text) = vector.get("wat") {
        return wat::parse_str(text.as_str().unwrap()).unwrap();
    }
    let hex = vector["bytes"].as_str().unwrap();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn options(vector: &Table) -> Options {
    let profile = vector["profile"].as_str().unwrap().parse().unwrap();
    let abi = vector.get("abi").is_some_and(|abi| abi.as_bool().unwrap());
    let imports = if abi { Imports::Kapsule } else { Imports::Any };
    let mut limits = Limits::default();
    let table = vector.get("limits").map(|limits| limits.as_table().unwrap().clone());
    for (name, value) in table.unwrap_or_default() {
        let value = u32::try_from(value.as_integer().unwrap()).unwrap();
        match name.as_str() {
            "module_bytes" => limits.module_bytes = u64::from(value),
            "functions" => limits.functions = value,
            "locals" => limits.locals = value,
            "locals_total" => limits.locals_total = value,
            "globals" => limits.globals = value,
            "frame_weight" => limits.frame_weight = value,
            "nesting" => limits.nesting = value,
            "branch_targets" => limits.branch_targets = value,
            other => panic!("unknown limit {other}"),
        }
    }
    Options { profile, limits, imports }
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_integer().unwrap()).unwrap()
}

fn check_function(name: &str, expected: &Table, found: &FunctionPlan) {
    assert_eq!(number(&expected["weight"]), found.weight, "{name}: weight");
    assert_eq!(expected["calls"].as_bool().unwrap(), found.calls, "{name}: calls");
    let charges: Vec<(u32, u32)> = expected["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (number(&pair[0]), number(&pair[1])))
        .collect();
    let found: Vec<(u32, u32)> =
        found.charges.iter().map(|charge| (charge.operator, u32::from(charge.cost))).collect();
    assert_eq!(charges, found, "{name}: charges");
}

fn check_stub(name: &str, expected: &Table, found: &StubPlan) {
    assert_eq!(expected["name"].as_str().unwrap(), found.hostcall.name, "{name}");
    assert_eq!(number(&expected["weight"]), found.weight, "{name}");
    assert_eq!(number(&expected["block_cost"]), u32::from(found.block_cost), "{name}");
    assert_eq!(number(&expected["fixed_units"]), found.fixed_units, "{name}");
    assert_eq!(number(&expected["factor"]), found.factor, "{name}");
}

fn array<'a>(vector: &'a Table, name: &str) -> &'a [Value] {
    vector.get(name).map_or(&[], |value| value.as_array().unwrap().as_slice())
}

/// Checks that the metered module is valid wasm of the same profile.
fn check_metered(name: &str, metered: &MeteredModule) {
    wasmparser::Validator::new()
        .validate_all(metered.bytes())
        .unwrap_or_else(|error| panic!("{name}: metered module: {error}"));
}

#[test]
fn accepted_modules_have_the_listed_plan() {
    let files = files("accept");
    assert!(files.len() >= 20, "found {} accept vectors", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let vector = load(&path);
        let metered = meter(&wasm(&vector), &options(&vector))
            .unwrap_or_else(|error| panic!("{name}: {}: {error}", error.code));
        let functions = array(&vector, "functions");
        assert_eq!(functions.len(), metered.plan().functions.len(), "{name}");
        for (expected, found) in functions.iter().zip(&metered.plan().functions) {
            check_function(name, expected.as_table().unwrap(), found);
        }
        let stubs = array(&vector, "stubs");
        assert_eq!(stubs.len(), metered.plan().stubs.len(), "{name}");
        for (expected, found) in stubs.iter().zip(&metered.plan().stubs) {
            check_stub(name, expected.as_table().unwrap(), found);
        }
        check_metered(name, &metered);
    }
}

#[test]
fn rejected_modules_name_code_and_reason() {
    let files = files("reject");
    assert!(files.len() >= 40, "found {} reject vectors", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let vector = load(&path);
        let expected = vector["expect"].as_str().unwrap();
        match meter(&wasm(&vector), &options(&vector)) {
            Ok(_) => panic!("{name}: accepted, expected {expected}"),
            Err(error) => {
                let found = format!("{}: {error}", error.code);
                assert!(found.starts_with(expected), "{name}: {found}, expected {expected}");
            }
        }
    }
}
