//! wasmtime as its documentation says to embed it, with and without its own fuel.

use std::time::Duration;

use ::wasmtime::{Config, Engine, Instance, Module, Store};

use crate::program::Program;
use crate::{Code, FUEL, Subject, timed};

/// wasmtime, with its own fuel or plain.
pub(crate) struct Wasmtime {
    pub(crate) fuel: bool,
}

impl Subject for Wasmtime {
    fn name(&self) -> &'static str {
        if self.fuel { "wasmtime, fuel" } else { "wasmtime" }
    }

    fn compile(&self, program: &Program) -> Result<Box<dyn Code>, String> {
        let mut config = Config::new();
        config.consume_fuel(self.fuel);
        let engine = Engine::new(&config).map_err(|error| error.to_string())?;
        let module = Module::new(&engine, program.module()?);
        Ok(Box::new(Compiled {
            fuel: self.fuel,
            module: module.map_err(|error| error.to_string())?,
        }))
    }
}

struct Compiled {
    fuel: bool,
    module: Module,
}

impl Code for Compiled {
    fn call(&self, argument: i32) -> Result<(Duration, i32), String> {
        let mut store = Store::new(self.module.engine(), ());
        if self.fuel {
            store.set_fuel(FUEL).map_err(|error| error.to_string())?;
        }
        let instance = Instance::new(&mut store, &self.module, &[]);
        let instance = instance.map_err(|error| error.to_string())?;
        let bench = instance.get_typed_func::<i32, i32>(&mut store, "bench");
        let bench = bench.map_err(|error| error.to_string())?;
        timed(|| bench.call(&mut store, argument).map_err(|error| error.to_string()))
    }
}
