//! Plain instances, without metering.

use std::sync::{Arc, Mutex};

use kapsule_abi::Trap;
use kapsule_engine::Backend;
use kapsule_engine::raw::{
    RawError, RawFunction, RawInstance, RawModule, RawType, RawValue, spectest_prints,
};

fn instance(backend: Backend, wat: &str, functions: &[RawFunction]) -> RawInstance {
    let wasm = wat::parse_str(wat).expect("wat");
    let module = RawModule::compile(&wasm, backend).expect("a module");
    module.instantiate(functions).expect("all imports are given")
}

#[test]
fn values_of_every_type_pass_through() {
    let values = [
        RawValue::I32(-5),
        RawValue::I64(i64::MIN),
        RawValue::F32(0x7f80_0001),
        RawValue::F64(0xfff0_0000_0000_0001),
    ];
    for backend in Backend::ALL {
        let mut instance = instance(
            *backend,
            "(module (func (export \"pass\") (param i32 i64 f32 f64) (result i32 i64 f32 f64)
                (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
            &[],
        );
        assert_eq!(instance.call("pass", &values), Ok(values.to_vec()), "{backend}");
        assert!(instance.call("pass", &values[..3]).is_err(), "{backend}");
        let absent = RawError::Usage("export function \"none\" is absent".into());
        assert_eq!(instance.call("none", &[]), Err(absent));
    }
}

#[test]
fn globals_and_memory_are_open() {
    for backend in Backend::ALL {
        let mut instance = instance(
            *backend,
            "(module (memory (export \"m\") 1) (global (export \"g\") (mut i64) (i64.const 5))
                (global (export \"c\") i32 (i32.const 6))
                (func (export \"load\") (result i32) (i32.load (i32.const 8))))",
            &[],
        );
        assert_eq!(instance.global("g"), Ok(RawValue::I64(5)));
        instance.set_global("g", RawValue::I64(-1)).unwrap();
        assert_eq!(instance.global("g"), Ok(RawValue::I64(-1)));
        assert!(matches!(instance.set_global("g", RawValue::I32(1)), Err(RawError::Usage(_))));
        assert!(matches!(instance.set_global("c", RawValue::I32(1)), Err(RawError::Usage(_))));
        instance.memory("m").unwrap()[8] = 77;
        assert_eq!(instance.call("load", &[]), Ok(vec![RawValue::I32(77)]));
        assert!(instance.memory("g").is_err());
    }
}

#[test]
fn imported_functions_are_closures() {
    for backend in Backend::ALL {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut functions = spectest_prints();
        let sink = Arc::clone(&seen);
        functions.push(RawFunction {
            module: "host".into(),
            name: "take".into(),
            params: vec![RawType::I32],
            results: vec![RawType::I64],
            body: Arc::new(move |_, args| {
                sink.lock().unwrap().extend_from_slice(args);
                match args {
                    [RawValue::I32(0)] => Err("zero".into()),
                    _ => Ok(vec![RawValue::I64(8)]),
                }
            }),
        });
        let mut instance = instance(
            *backend,
            "(module (import \"host\" \"take\" (func $take (param i32) (result i64)))
                (import \"spectest\" \"print_i32\" (func $print (param i32)))
                (func (export \"f\") (param i32) (result i64)
                    (call $print (local.get 0)) (call $take (local.get 0))))",
            &functions,
        );
        assert_eq!(instance.call("f", &[RawValue::I32(3)]), Ok(vec![RawValue::I64(8)]));
        let ended = instance.call("f", &[RawValue::I32(0)]);
        assert_eq!(ended, Err(RawError::Function("zero".into())));
        assert_eq!(*seen.lock().unwrap(), [RawValue::I32(3), RawValue::I32(0)]);
        // An instance stays usable after a call that failed.
        assert_eq!(instance.call("f", &[RawValue::I32(3)]), Ok(vec![RawValue::I64(8)]));
    }
}

#[test]
fn traps_and_native_stack_are_told_apart() {
    for backend in Backend::ALL {
        let mut instance = instance(
            *backend,
            "(module (func $f (export \"deep\") (call $f))
                (func (export \"trap\") unreachable))",
            &[],
        );
        assert_eq!(instance.call("trap", &[]), Err(RawError::Trap(Trap::Unreachable)));
        assert_eq!(instance.call("deep", &[]), Err(RawError::NativeStack), "{backend}");
        let missing = wat::parse_str("(module (import \"a\" \"b\" (func)))").unwrap();
        let module = RawModule::compile(&missing, *backend).unwrap();
        assert!(matches!(module.instantiate(&[]), Err(RawError::Backend(_))));
        assert!(matches!(RawModule::compile(b"\0asm", *backend), Err(RawError::Backend(_))));
    }
}
