//! Every committed module is within its profile and has the shape of ABI version 1.
#![expect(clippy::disallowed_methods, reason = "a test reads the committed files")]

use std::path::{Path, PathBuf};

use kapsule_abi::{EXPORT_ABI_VERSION, EXPORT_MEMORY, Hostcall, IMPORT_NAMESPACE};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef, Validator, WasmFeatures};

/// What `integer-1` accepts of the features that the validator knows; no floats among them.
const INTEGER_1: WasmFeatures = WasmFeatures::WASM1
    .difference(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG);

/// The same with floats, as `float-1` has it.
const FLOAT_1: WasmFeatures = INTEGER_1.union(WasmFeatures::FLOATS);

/// Artifacts of profile `float-1`; every other one is of `integer-1`.
const FLOAT_ARTIFACTS: [&str; 1] = ["regression.wasm"];

fn artifacts() -> Vec<(PathBuf, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/artifacts");
    let entries = std::fs::read_dir(directory).expect("the artifacts are committed");
    let paths = entries.map(|entry| entry.expect("the directory can be read").path());
    let wasm = paths.filter(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    let found: Vec<_> = wasm
        .map(|path| (path.clone(), std::fs::read(path).expect("an artifact can be read")))
        .collect();
    assert!(!found.is_empty(), "no artifact");
    found
}

fn payloads(wasm: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    Parser::new(0).parse_all(wasm).map(|payload| payload.expect("an artifact is wasm"))
}

#[test]
fn modules_use_integers_only_unless_they_are_listed() {
    let mut floating = 0;
    for (path, wasm) in artifacts() {
        let fault = |features| Validator::new_with_features(features).validate_all(&wasm).err();
        let listed = FLOAT_ARTIFACTS.iter().any(|name| path.ends_with(name));
        assert_eq!(fault(INTEGER_1).is_some(), listed, "{}", path.display());
        assert!(fault(FLOAT_1).is_none(), "{}", path.display());
        floating += usize::from(listed);
    }
    assert_eq!(floating, FLOAT_ARTIFACTS.len(), "a listed artifact is not there");
}

#[test]
fn a_module_with_a_float_would_be_found() {
    // (module (type (func (param f32))))
    let wasm = b"\0asm\x01\0\0\0\x01\x05\x01\x60\x01\x7d\x00";
    assert!(Validator::new_with_features(INTEGER_1).validate_all(wasm).is_err());
}

#[test]
fn modules_import_hostcalls_only() {
    for (path, wasm) in artifacts() {
        for payload in payloads(&wasm) {
            let Payload::ImportSection(imports) = payload else { continue };
            for import in imports.into_imports() {
                let import = import.unwrap();
                assert_eq!(import.module, IMPORT_NAMESPACE, "{}", path.display());
                assert!(matches!(import.ty, TypeRef::Func(_)), "{}", import.name);
                assert!(Hostcall::from_name(import.name).is_some(), "{}", import.name);
            }
        }
    }
}

#[test]
fn modules_export_memory_entry_and_version() {
    for (path, wasm) in artifacts() {
        let mut exports = Vec::new();
        for payload in payloads(&wasm) {
            if let Payload::ExportSection(section) = payload {
                exports.extend(section.into_iter().map(|export| export.unwrap()));
            }
        }
        let kind = |name| exports.iter().find(|export| export.name == name).map(|e| e.kind);
        assert_eq!(kind(EXPORT_MEMORY), Some(ExternalKind::Memory), "{}", path.display());
        assert_eq!(kind("run"), Some(ExternalKind::Func), "{}", path.display());
        assert_eq!(kind(EXPORT_ABI_VERSION), Some(ExternalKind::Func), "{}", path.display());
    }
}

#[test]
fn the_version_is_a_constant() {
    for (path, wasm) in artifacts() {
        let (mut imports, mut version, mut bodies) = (0, None, Vec::new());
        for payload in payloads(&wasm) {
            match payload {
                Payload::ImportSection(section) => imports = section.into_imports().count(),
                Payload::ExportSection(section) => {
                    let mut exports = section.into_iter().map(|export| export.unwrap());
                    let export = exports.find(|export| export.name == EXPORT_ABI_VERSION);
                    version = export.map(|export| export.index as usize);
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => (),
            }
        }
        let body = &bodies[version.expect("the version is exported") - imports];
        assert_eq!(body.get_locals_reader().unwrap().get_count(), 0);
        let operators: Vec<Operator<'_>> =
            body.get_operators_reader().unwrap().into_iter().map(|op| op.unwrap()).collect();
        let expect = [Operator::I32Const { value: 1 }, Operator::End];
        assert_eq!(operators, expect, "{}", path.display());
    }
}
