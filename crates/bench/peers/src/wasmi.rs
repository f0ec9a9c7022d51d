//! wasmi as its documentation says to embed it, with and without its own fuel.

use std::time::Duration;

use ::wasmi::{Config, Engine, Linker, Module, Store};

use crate::program::Program;
use crate::{Code, FUEL, Subject, timed};

/// wasmi, with its own fuel or plain.
pub(crate) struct Wasmi {
    pub(crate) fuel: bool,
}

impl Subject for Wasmi {
    fn name(&self) -> &'static str {
        if self.fuel { "wasmi, fuel" } else { "wasmi" }
    }

    fn compile(&self, program: &Program) -> Result<Box<dyn Code>, String> {
        let mut config = Config::default();
        config.consume_fuel(self.fuel);
        let engine = Engine::new(&config);
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
        let instance =
            Linker::new(self.module.engine()).instantiate_and_start(&mut store, &self.module);
        let instance = instance.map_err(|error| error.to_string())?;
        let bench = instance.get_typed_func::<i32, i32>(&store, "bench");
        let bench = bench.map_err(|error| error.to_string())?;
        timed(|| bench.call(&mut store, argument).map_err(|error| error.to_string()))
    }
}
