//! Modules that are small to send and long to compile.

use kapsule_abi::{ErrorCode, Outcome};
use kapsule_engine::{Backend, compile};
use kapsule_meter::MeteredModule;
use wasm_encoder::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

use super::{metered, policy, run_both};

/// Builds a module with an entry, the ABI version, and further functions of type `fn()`.
fn module(entry: impl FnOnce(&mut InstructionSink<'_>), others: &[Function]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0).function(0);
    let mut memories = MemorySection::new();
    let memory64 = false;
    let (shared, page_size_log2) = (false, None);
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64, shared, page_size_log2 });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("run", ExportKind::Func, 0);
    exports.export("kapsule_abi_version", ExportKind::Func, 1);
    let mut code = CodeSection::new();
    let mut function = Function::new([]);
    entry(&mut function.instructions());
    code.function(&function);
    let mut version = Function::new([]);
    version.instructions().i32_const(1).end();
    code.function(&version);
    for other in others {
        functions.function(1);
        code.function(other);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports);
    module.section(&code);
    module.finish()
}

fn zero(sink: &mut InstructionSink<'_>) {
    sink.i32_const(0).end();
}

fn empty_function() -> Function {
    let mut function = Function::new([]);
    function.instructions().end();
    function
}

/// Meters a module within the limits, checks that metering did not blow it up, and runs it.
fn check_runs(wasm: &[u8]) -> MeteredModule {
    let metered = metered(wasm).unwrap();
    let (before, after) = (wasm.len(), metered.bytes().len());
    assert!(after <= 24 * before + 4_096, "{before} bytes became {after}");
    let run = run_both(&metered, &policy(|_| ()));
    assert_eq!(run.outcome, Outcome::Completed(0));
    metered
}

fn check_refused(wasm: &[u8], code: ErrorCode, detail: &str) {
    let error = metered(wasm).unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.detail.contains(detail), "{error}");
}

#[test]
fn many_functions() {
    check_runs(&module(zero, &vec![empty_function(); 19_998]));
    let above = module(zero, &vec![empty_function(); 19_999]);
    check_refused(&above, ErrorCode::LimitExceeded, "functions 20001");
}

#[test]
fn a_module_above_the_size_limit() {
    let mut wasm = module(zero, &[]);
    // A custom section fills the file up to one byte above the limit.
    let size = (1 << 22) + 1 - wasm.len() - 1 - 4;
    wasm.push(0);
    wasm.extend([0x80 | (size & 0x7f) as u8, 0x80 | (size >> 7 & 0x7f) as u8]);
    wasm.extend([0x80 | (size >> 14 & 0x7f) as u8, (size >> 21) as u8]);
    wasm.extend(vec![0; size]);
    assert_eq!(wasm.len(), (1 << 22) + 1);
    check_refused(&wasm, ErrorCode::LimitExceeded, "module length 4194305");
}

#[test]
fn a_huge_branch_table() {
    let table = |targets: usize| {
        let entry = |sink: &mut InstructionSink<'_>| {
            sink.block(wasm_encoder::BlockType::Empty).i32_const(5);
            sink.br_table(vec![0; targets], 0).end();
            zero(sink);
        };
        module(entry, &[])
    };
    check_runs(&table(32_768));
    check_refused(&table(32_769), ErrorCode::LimitExceeded, "branch table targets 32769");
    check_refused(&table(1_000_000), ErrorCode::LimitExceeded, "branch table targets 1000000");
}

#[test]
fn many_operands() {
    let operands = |count: u32| {
        let entry = |sink: &mut InstructionSink<'_>| {
            for _ in 0..count {
                sink.i32_const(0);
            }
            for _ in 1..count {
                sink.i32_add();
            }
            sink.end();
        };
        module(entry, &[])
    };
    check_runs(&operands(64_999));
    check_refused(&operands(65_000), ErrorCode::LimitExceeded, "frame weight 65001");
}

#[test]
fn deep_nesting() {
    let nested = |depth: usize| {
        let entry = |sink: &mut InstructionSink<'_>| {
            for _ in 0..depth {
                sink.block(wasm_encoder::BlockType::Empty);
            }
            for _ in 0..depth {
                sink.end();
            }
            zero(sink);
        };
        module(entry, &[])
    };
    check_runs(&nested(1_024));
    check_refused(&nested(1_025), ErrorCode::LimitExceeded, "nested blocks 1025");
    check_refused(&nested(500_000), ErrorCode::LimitExceeded, "nested blocks 1025");
}

#[test]
fn deep_nesting_of_conditions_and_loops() {
    let entry = |sink: &mut InstructionSink<'_>| {
        for depth in 0..1_024 {
            match depth % 2 {
                0 => sink.i32_const(1).if_(wasm_encoder::BlockType::Empty),
                _ => sink.loop_(wasm_encoder::BlockType::Empty),
            };
        }
        for _ in 0..1_024 {
            sink.end();
        }
        zero(sink);
    };
    check_runs(&module(entry, &[]));
}

#[test]
fn many_locals() {
    let with_locals = |count: u32| {
        let mut function = Function::new([(count, ValType::I64)]);
        function.instructions().end();
        function
    };
    check_runs(&module(zero, &vec![with_locals(10_000); 100]));
    let together = module(zero, &vec![with_locals(10_000); 101]);
    check_refused(&together, ErrorCode::LimitExceeded, "locals of all functions 1010000");
    let above = module(zero, &[with_locals(10_001)]);
    check_refused(&above, ErrorCode::LimitExceeded, "locals 10001");
    let billions = module(zero, &[with_locals(u32::MAX)]);
    check_refused(&billions, ErrorCode::LimitExceeded, "locals 4294967295");
}

#[test]
fn a_long_body_without_control_is_compiled_and_charged() {
    let entry = |sink: &mut InstructionSink<'_>| {
        sink.i32_const(0);
        for _ in 0..200_000 {
            sink.i32_const(0).i32_add();
        }
        sink.end();
    };
    check_runs(&module(entry, &[]));
}

#[test]
fn a_module_at_every_limit_at_once() {
    let mut wide = Function::new([]);
    let mut sink = wide.instructions();
    (0..64_999).for_each(|_| {
        sink.i32_const(0);
    });
    (0..64_999).for_each(|_| {
        sink.drop();
    });
    sink.end();
    let mut nested = Function::new([(10_000, ValType::I64)]);
    let mut sink = nested.instructions();
    (0..1_024).for_each(|_| {
        sink.block(wasm_encoder::BlockType::Empty);
    });
    sink.i32_const(9).br_table(vec![1_023; 32_768], 0);
    (0..1_025).for_each(|_| {
        sink.end();
    });
    let mut locals = Function::new([(10_000, ValType::I64)]);
    locals.instructions().end();
    let mut others = vec![wide, nested];
    others.extend(vec![locals; 99]);
    others.extend(vec![empty_function(); 19_998 - others.len()]);
    let entry = |sink: &mut InstructionSink<'_>| {
        sink.call(2).call(3);
        zero(sink);
    };
    check_runs(&module(entry, &others));
}

#[test]
fn every_backend_compiles_a_module_of_the_greatest_size() {
    let mut body = Function::new([(4, ValType::I32)]);
    let mut sink = body.instructions();
    for index in 0..1_000 {
        sink.local_get(index % 4).i32_const(1).i32_add().local_set((index + 1) % 4);
    }
    sink.end();
    let wasm = module(zero, &vec![body; 520]);
    assert!(wasm.len() > 3 << 20 && wasm.len() <= 1 << 22, "{} bytes", wasm.len());
    let metered = metered(&wasm).unwrap();
    for backend in Backend::ALL {
        assert!(compile(&metered, *backend).is_ok(), "{backend}");
    }
}
