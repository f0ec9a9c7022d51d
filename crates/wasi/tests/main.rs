//! What becomes a module and what does not; the programs run in the tests of the command.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test reads the vectors")]

mod vectors;

use kapsule_wasi::{Options, adapt, names};
use wasmparser::{Parser, Payload, Validator};

/// A program that imports a function with these types and calls it from its start.
fn program(name: &str, params: &str, result: &str) -> String {
    let zeros: String = params
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(|word| format!("({word}.const 0) "))
        .collect();
    let drop = if result.is_empty() { "" } else { "drop" };
    format!(
        "(module (import \"wasi_snapshot_preview1\" \"{name}\" (func $f (param {params}) \
         {result})) (memory (export \"memory\") 1) (func (export \"_start\") {zeros} (call $f) \
         {drop}))"
    )
}

fn imports(module: &[u8]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            for import in section.into_imports() {
                let import = import.unwrap();
                found.push((import.module.to_owned(), import.name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_function_of_the_namespace_is_answered_under_its_type_alone() {
    let mut count = 0;
    for name in names() {
        // The published interface has at most nine parameters, of them at most two of 64 bits.
        let types = (0..=9u32).flat_map(|arity| (0..1u32 << arity).map(move |bits| (arity, bits)));
        let types = types.filter(|(_, bits)| bits.count_ones() <= 2);
        let matching = types.filter(|(arity, bits)| {
            let words = (0..*arity).map(|at| if bits >> at & 1 == 1 { "i64" } else { "i32" });
            let params = words.collect::<Vec<_>>().join(" ");
            let result = if name == "proc_exit" { "" } else { "(result i32)" };
            let wasm = wat::parse_str(program(name, &params, result)).unwrap();
            match adapt(&wasm, &Options::default()) {
                Ok(module) => {
                    Validator::new().validate_all(&module).unwrap();
                    assert!(imports(&module).iter().all(|(space, _)| space == "kapsule_v1"));
                    true
                }
                Err(error) => {
                    assert!(error.detail.contains("has another type"), "{name}: {error}");
                    false
                }
            }
        });
        assert_eq!(matching.count(), 1, "{name} has one type");
        count += 1;
    }
    assert_eq!(count, 46);
}

#[test]
fn only_what_is_needed_is_imported() {
    let needs = |name: &str, params: &str, clock: bool| {
        let wasm = wat::parse_str(program(name, params, "(result i32)")).unwrap();
        let module = adapt(&wasm, &Options { clock, ..Options::default() }).unwrap();
        imports(&module).into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(needs("fd_write", "i32 i32 i32 i32", true), ["output_write", "log"]);
    assert_eq!(needs("clock_time_get", "i32 i64 i32", false), [""; 0]);
    assert_eq!(needs("clock_time_get", "i32 i64 i32", true), ["now"]);
    assert_eq!(needs("args_get", "i32 i32", true), [""; 0]);
}

#[test]
fn the_same_program_gives_the_same_module() {
    let wasm = wat::parse_str(program("args_get", "i32 i32", "(result i32)")).unwrap();
    let options = Options { args: vec!["a".into()], env: vec!["K=V".into()], clock: false };
    assert_eq!(adapt(&wasm, &options), adapt(&wasm, &options));
    assert_ne!(adapt(&wasm, &options), adapt(&wasm, &Options::default()));
}

#[test]
fn damaged_programs_are_refused_and_never_panic() {
    let wasm = wat::parse_str(program("fd_read", "i32 i32 i32 i32", "(result i32)")).unwrap();
    let check = |damaged: &[u8]| {
        if let Ok(module) = adapt(damaged, &Options::default()) {
            Validator::new().validate_all(damaged).expect("an accepted program is valid");
            Validator::new().validate_all(&module).expect("what comes out is valid");
        }
    };
    (0..wasm.len()).for_each(|end| check(&wasm[..end]));
    for at in 0..wasm.len() {
        for byte in [0x00, 0x7f, 0xff] {
            let mut damaged = wasm.clone();
            damaged[at] = byte;
            check(&damaged);
        }
    }
}
