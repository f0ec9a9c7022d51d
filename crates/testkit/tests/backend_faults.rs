//! Faults of a backend that metering keeps away from packages; each was found by comparing the
//! backends on generated modules.

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_meter::{Imports, MeteredModule, Options, Profile, exports, meter};

fn metered(text: &str) -> MeteredModule {
    let options = Options { imports: Imports::Any, ..Options::new(Profile::Integer1) };
    meter(&wat::parse_str(text).unwrap(), &options).unwrap()
}

/// Calls `f` with one argument in the metered module.
fn call(module: &MeteredModule, backend: Backend, argument: RawValue) -> Vec<RawValue> {
    let mut instance =
        RawModule::compile(module.bytes(), backend).unwrap().instantiate(&[]).unwrap();
    instance.set_global(exports::FUEL, RawValue::I64(1_000)).unwrap();
    instance.call("f", &[argument]).unwrap()
}

/// Seed 313: a `select` whose condition compares a local with zero took the wrong side.
#[test]
fn a_select_on_a_comparison_with_zero_takes_the_right_side() {
    let conditions = [
        ("local.get 0 i32.eqz", [1, 2]),
        ("local.get 0 i32.const 0 i32.eq", [1, 2]),
        ("i32.const 0 local.get 0 i32.eq", [1, 2]),
        ("local.get 0 i32.const 0 i32.ne", [2, 1]),
        ("local.get 0 i32.eqz i32.eqz", [2, 1]),
        ("local.get 0 i32.const 0 i32.ne i32.eqz", [1, 2]),
        ("local.get 0 i32.const 7 i32.and i32.eqz", [1, 2]),
        ("local.get 0 i64.extend_i32_u i64.eqz", [1, 2]),
        ("local.get 0", [2, 1]),
    ];
    for (condition, [at_zero, at_five]) in conditions {
        let text = format!(
            r#"(module (func (export "f") (param i32) (result i32)
                i32.const 1 i32.const 2 {condition} select))"#
        );
        let module = metered(&text);
        for backend in Backend::ALL {
            for (argument, expect) in [(0, at_zero), (5, at_five)] {
                let found = call(&module, *backend, RawValue::I32(argument));
                assert_eq!(found, [RawValue::I32(expect)], "{backend}: {condition}, {argument}");
            }
        }
    }
}

/// Seed 19840: a local that lay on the operand stack below a block with parameters was lost where
/// a branch left that block before another one opened in it.
#[test]
fn operands_below_a_block_with_parameters_survive_it() {
    let openings = [
        "block (param i32 i32) br_if 0 local.set 1 block end end",
        "block (param i32 i32) br_if 0 local.set 1 loop end end",
        "i32.const 1 if (param i32 i32) br_if 0 local.set 1 block end else drop drop end",
        "loop (param i32 i32) drop local.set 1 block end end",
    ];
    for opening in openings {
        let text = format!(
            r#"(module (memory 1) (func (export "f") (param i32) (result i32) (local i32)
                local.get 0 i64.const 9 memory.size memory.size {opening} drop))"#
        );
        let module = metered(&text);
        for backend in Backend::ALL {
            let found = call(&module, *backend, RawValue::I32(5));
            assert_eq!(found, [RawValue::I32(5)], "{backend}: {opening}");
        }
    }
}

/// Seed 82987: the compiler of the interpreter panicked at an integer store whose address and
/// value are one register and whose offset does not fit in 16 bits.
#[test]
fn a_far_store_of_its_own_address_compiles() {
    let stores = [
        ("", "i32.store"),
        ("", "i32.store8"),
        ("", "i32.store16"),
        ("i64.extend_i32_u", "i64.store"),
        ("i64.extend_i32_u", "i64.store8"),
        ("i64.extend_i32_u", "i64.store16"),
        ("i64.extend_i32_u", "i64.store32"),
    ];
    for (widen, store) in stores {
        let text = format!(
            r#"(module (memory 2) (func (export "f") (param i32) (result i32)
                local.get 0 i32.const 3 i32.add local.tee 0 local.get 0 {widen}
                {store} offset=65536
                i32.const 8 i32.load8_u offset=65536))"#
        );
        let module = metered(&text);
        for backend in Backend::ALL {
            let found = call(&module, *backend, RawValue::I32(5));
            assert_eq!(found, [RawValue::I32(8)], "{backend}: {store}");
        }
    }
}
