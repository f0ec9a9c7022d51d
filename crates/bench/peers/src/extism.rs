//! extism, whose functions take bytes and give bytes, with its fuel limit.

use std::time::Duration;

use ::extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};

use crate::program::Program;
use crate::{Code, FUEL, Subject, timed};

/// What a plugin imports to read its input and to write its output.
const IMPORTS: &str = r#"
    (import "extism:host/env" "input_load_u64" (func $input (param i64) (result i64)))
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "store_u64" (func $store (param i64 i64)))
    (import "extism:host/env" "output_set" (func $output (param i64 i64)))"#;

/// Reads eight bytes, calls the program, writes eight bytes.
const RUN: &str = r#"
    (func (export "run") (result i32) (local $at i64)
      (local.set $at (call $alloc (i64.const 8)))
      (call $store (local.get $at)
        (i64.extend_i32_s (call $bench (i32.wrap_i64 (call $input (i64.const 0))))))
      (call $output (local.get $at) (i64.const 8))
      (i32.const 0))"#;

/// extism with a fuel limit.
pub(crate) struct Extism;

impl Subject for Extism {
    fn name(&self) -> &'static str {
        "extism, fuel"
    }

    fn compile(&self, program: &Program) -> Result<Box<dyn Code>, String> {
        let manifest = Manifest::new([Wasm::data(program.wrapped(IMPORTS, RUN)?)]);
        let builder = PluginBuilder::new(manifest).with_fuel_limit(FUEL).with_cache_disabled();
        let compiled = builder.compile().map_err(|error| format!("{error:#}"))?;
        Ok(Box::new(Compiled(compiled)))
    }
}

struct Compiled(CompiledPlugin);

impl Code for Compiled {
    fn call(&self, argument: i32) -> Result<(Duration, i32), String> {
        let mut plugin =
            Plugin::new_from_compiled(&self.0).map_err(|error| format!("{error:#}"))?;
        let input = i64::from(argument).to_le_bytes();
        let call = || {
            let output = plugin.call::<&[u8], &[u8]>("run", &input[..]);
            let output = output.map_err(|error| format!("{error:#}"))?;
            let bytes = <[u8; 8]>::try_from(output).map_err(|error| error.to_string())?;
            i32::try_from(i64::from_le_bytes(bytes)).map_err(|error| error.to_string())
        };
        timed(call)
    }
}
