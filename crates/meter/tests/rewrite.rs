//! What the metered module looks like from outside.

use kapsule_abi::ValueType;
use kapsule_meter::{Imports, MeteredModule, Options, Profile, exports, meter};

fn metered(wat: &str, imports: Imports) -> MeteredModule {
    let options = Options { imports, ..Options::new(Profile::Integer1) };
    meter(&wat::parse_str(wat).unwrap(), &options).unwrap()
}

fn export_names(metered: &MeteredModule) -> Vec<String> {
    let mut names = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(metered.bytes()) {
        if let wasmparser::Payload::ExportSection(reader) = payload.unwrap() {
            names.extend(reader.into_iter().map(|export| export.unwrap().name.to_owned()));
        }
    }
    names
}

const FULL: &str = r#"(module
  (import "kapsule_v1" "input_len" (func $len (result i64)))
  (memory (export "memory") 2 5)
  (global $a i32 (i32.const 1))
  (global $b (mut i64) (i64.const 2))
  (global $c (mut i32) (i32.const 3))
  (table 2 funcref)
  (elem (i32.const 0) func $len $s)
  (func $s (global.set $c (i32.const 9)))
  (start $s)
  (func (export "kapsule_abi_version") (result i32) i32.const 1)
  (func (export "run") (result i32)
    (i32.wrap_i64 (call $len)) (drop) (memory.grow (i32.const 1)))
  (func (export "other") (result i64) i64.const 0)
  (export "len" (func $len)))"#;

#[test]
fn facts_of_the_module_are_told() {
    let metered = metered(FULL, Imports::Kapsule);
    let entries: Vec<&String> = metered.entries().keys().collect();
    assert_eq!(entries, ["run"]);
    let memory = metered.memory().unwrap();
    assert_eq!((memory.pages_min, memory.pages_max), (2, 5));
    assert!(metered.has_start());
    let globals: Vec<(&str, ValueType)> =
        metered.mutable_globals().iter().map(|g| (g.name.as_str(), g.width)).collect();
    assert_eq!(globals, [("__kapsule_g1", ValueType::I64), ("__kapsule_g2", ValueType::I32)]);
    assert_eq!(metered.imports().iter().map(|call| call.name).collect::<Vec<_>>(), ["input_len"]);
}

#[test]
fn exports_are_kept_and_the_counters_added() {
    let names = export_names(&metered(FULL, Imports::Kapsule));
    for name in [
        "memory",
        "kapsule_abi_version",
        "run",
        "other",
        "len",
        exports::FUEL,
        exports::STACK,
        exports::PAGES_MAX,
        exports::HOST_SHORT,
        exports::START,
        "__kapsule_g1",
        "__kapsule_g2",
    ] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    assert_eq!(names.len(), 12);
}

#[test]
fn no_start_section_and_no_custom_section_is_left() {
    let metered = metered(FULL, Imports::Kapsule);
    for payload in wasmparser::Parser::new(0).parse_all(metered.bytes()) {
        let payload = payload.unwrap();
        assert!(!matches!(payload, wasmparser::Payload::StartSection { .. }));
        assert!(!matches!(payload, wasmparser::Payload::CustomSection(_)));
    }
}

#[test]
fn an_import_is_reached_only_through_its_stub() {
    let metered = metered(FULL, Imports::Kapsule);
    let mut calls_of_import = Vec::new();
    let mut defined = 1_u32;
    for payload in wasmparser::Parser::new(0).parse_all(metered.bytes()) {
        match payload.unwrap() {
            wasmparser::Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().unwrap() {
                    if let wasmparser::Operator::Call { function_index: 0 } = operator.unwrap() {
                        calls_of_import.push(defined);
                    }
                }
                defined += 1;
            }
            wasmparser::Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export.unwrap();
                    assert!(export.kind != wasmparser::ExternalKind::Func || export.index != 0);
                }
            }
            wasmparser::Payload::ElementSection(reader) => {
                for element in reader {
                    let wasmparser::ElementItems::Functions(items) = element.unwrap().items else {
                        panic!("elements are function indices");
                    };
                    assert!(items.into_iter().all(|index| index.unwrap() != 0));
                }
            }
            _ => {}
        }
    }
    // One import, four functions of the module, then the stub as function 5.
    assert_eq!(calls_of_import, [5]);
}

#[test]
fn metering_is_a_pure_function_of_the_module() {
    let first = metered(FULL, Imports::Kapsule);
    let second = metered(FULL, Imports::Kapsule);
    assert_eq!(first.bytes(), second.bytes());
    assert_eq!(first.plan(), second.plan());
}
