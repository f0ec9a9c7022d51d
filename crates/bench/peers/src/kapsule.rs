//! Kapsule's metered module on either of its backends.

use std::time::Duration;

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawModule, RawValue};
use kapsule_meter::{Imports, Options, Profile, exports, meter};

use crate::program::Program;
use crate::{Code, FUEL, Subject, timed};

/// Kapsule on one backend.
pub(crate) struct Kapsule {
    name: &'static str,
    backend: Backend,
}

impl Kapsule {
    pub(crate) const fn jit() -> Self {
        Self { name: "kapsule, JIT", backend: Backend::Jit }
    }

    pub(crate) const fn interpreter() -> Self {
        Self { name: "kapsule, wasmi", backend: Backend::Wasmi }
    }
}

impl Subject for Kapsule {
    fn name(&self) -> &'static str {
        self.name
    }

    fn compile(&self, program: &Program) -> Result<Box<dyn Code>, String> {
        let profile = if program.floats { Profile::Float1 } else { Profile::Integer1 };
        let options = Options { imports: Imports::Any, ..Options::new(profile) };
        let metered = meter(&program.module()?, &options).map_err(|error| error.to_string())?;
        let module = RawModule::compile(metered.bytes(), self.backend);
        Ok(Box::new(Metered(module.map_err(|error| error.to_string())?)))
    }
}

struct Metered(RawModule);

impl Code for Metered {
    fn call(&self, argument: i32) -> Result<(Duration, i32), String> {
        let mut instance = self.0.instantiate(&[]).map_err(|error| error.to_string())?;
        let fuel = RawValue::I64(FUEL.cast_signed());
        instance.set_global(exports::FUEL, fuel).map_err(|error| error.to_string())?;
        let args = [RawValue::I32(argument)];
        let call = || instance.call("bench", &args).map_err(|error| error.to_string());
        match timed(call)? {
            (time, found) => match found[..] {
                [RawValue::I32(result)] => Ok((time, result)),
                _ => Err(format!("found {found:?}, one number is allowed")),
            },
        }
    }
}
