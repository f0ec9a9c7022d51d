//! One module of the suite on one backend.

use kapsule_abi::{ErrorCode, Trap};
use kapsule_engine::Backend;
use kapsule_engine::raw::{
    RawError, RawFunction, RawInstance, RawModule, RawValue, spectest_prints,
};
use kapsule_meter::tables::stack_1;
use kapsule_meter::{Imports, MeterError, MeteredModule, Options, Profile, exports, meter};
use wasmparser::{Parser, Payload, TypeRef};

use super::lowered::Program;

/// How modules are run; in every mode the meter says which ones are inside the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// The original module, as `float-1` accepts it.
    Plain,
    /// The rewritten module under this profile.
    Metered(Profile),
    /// The lowered program; the same whichever backend is asked.
    Lowered,
    /// The lowered program, and every so many calls of it in the tables of the circuit.
    Traced,
}

impl Mode {
    const fn profile(self) -> Profile {
        match self {
            Self::Plain => Profile::Float1,
            Self::Metered(profile) => profile,
            Self::Lowered | Self::Traced => Profile::Integer1,
        }
    }
}

/// What becomes of a module.
pub(crate) enum Loaded {
    /// It is set up.
    Ready(Machine),
    /// It is outside the profile for this reason.
    Outside(String),
    /// It is invalid.
    Invalid(MeterError),
    /// It trapped while it was set up, or a backend refused what the meter accepted.
    Failed(RawError),
}

/// A module that was set up.
pub(crate) enum Machine {
    /// On a backend; metered or not.
    Engine(RawInstance, bool),
    /// On the executor.
    Lowered(Box<Program>),
}

/// Checks a module as the meter does, with every function import allowed.
pub(crate) fn check(wasm: &[u8], mode: Mode) -> Result<MeteredModule, MeterError> {
    meter(wasm, &Options { imports: Imports::Any, ..Options::new(mode.profile()) })
}

/// Returns why a module is outside the profile, or `None` if it is invalid.
pub(crate) fn reason_outside(error: &MeterError) -> Option<String> {
    let detail = error.detail.as_str();
    match error.code {
        ErrorCode::ModuleFeatureRefused => {
            let feature = detail.strip_prefix("feature ").unwrap_or(detail);
            let feature = feature.split(' ').next().unwrap_or_default();
            assert!(!feature.is_empty(), "the refused feature has a name: {detail}");
            Some(format!("feature {feature}"))
        }
        ErrorCode::ImportRefused => Some("import that is not a function".into()),
        ErrorCode::LimitExceeded => Some("limit".into()),
        _ => None,
    }
}

/// Meters, compiles and instantiates a module.
pub(crate) fn load(wasm: &[u8], backend: Backend, mode: Mode) -> Loaded {
    let metered = match check(wasm, mode) {
        Ok(metered) => metered,
        Err(error) => {
            return match reason_outside(&error) {
                Some(reason) => Loaded::Outside(reason),
                None => Loaded::Invalid(error),
            };
        }
    };
    let prints = spectest_prints();
    if imports_another_module(wasm, &prints) {
        return Loaded::Outside("import from another module of the script".into());
    }
    let bytes = match mode {
        Mode::Plain => wasm,
        Mode::Metered(_) => metered.bytes(),
        Mode::Lowered | Mode::Traced => {
            return match Program::load(wasm, mode == Mode::Traced) {
                Ok(Ok(program)) => Loaded::Ready(Machine::Lowered(Box::new(program))),
                Ok(Err(error)) => Loaded::Failed(error),
                Err(reason) => Loaded::Outside(reason),
            };
        }
    };
    match set_up(bytes, &prints, backend, mode, metered.has_start()) {
        Ok(machine) => Loaded::Ready(machine),
        Err(error) => Loaded::Failed(error),
    }
}

fn set_up(
    bytes: &[u8],
    prints: &[RawFunction],
    backend: Backend,
    mode: Mode,
    has_start: bool,
) -> Result<Machine, RawError> {
    let instance = RawModule::compile(bytes, backend)?.instantiate(prints)?;
    let metered = mode != Mode::Plain;
    let mut instance = instance;
    if metered {
        instance.set_global(exports::FUEL, RawValue::I64(i64::MAX))?;
    }
    let mut machine = Machine::Engine(instance, metered);
    if metered && has_start {
        machine.call(exports::START, &[])?;
    }
    Ok(machine)
}

fn imports_another_module(wasm: &[u8], prints: &[RawFunction]) -> bool {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Ok(Payload::ImportSection(reader)) = payload {
            for import in reader.into_imports() {
                let import = import.unwrap();
                assert!(matches!(import.ty, TypeRef::Func(_)), "the meter refuses other imports");
                names.push((import.module, import.name));
            }
        }
    }
    names.iter().any(|(module, name)| {
        !prints.iter().any(|print| print.module == *module && print.name == *name)
    })
}

/// Returns the module names that a module imports from, as far as it can be read.
pub(crate) fn import_modules(wasm: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        if let Payload::ImportSection(reader) = payload {
            let imports = reader.into_imports().map_while(Result::ok);
            names.extend(imports.map(|import| import.module.to_owned()));
        }
    }
    names
}

impl Machine {
    /// Calls an export; a metered module reports its own stack rule as the trap it stands for.
    pub(crate) fn call(
        &mut self,
        name: &str,
        args: &[RawValue],
    ) -> Result<Vec<RawValue>, RawError> {
        let instance = match self {
            Self::Lowered(program) => return program.call(name, args),
            Self::Engine(instance, false) => return instance.call(name, args),
            Self::Engine(instance, true) => instance,
        };
        instance.set_global(exports::STACK, RawValue::I32(0))?;
        let called = instance.call(name, args);
        if called == Err(RawError::Trap(Trap::Unreachable)) {
            let height = instance.global(exports::STACK)?;
            let highest = stack_1::HEIGHT_MAX.cast_signed();
            if matches!(height, RawValue::I32(height) if height > highest) {
                return Err(RawError::Trap(Trap::StackExhausted));
            }
            let fuel = instance.global(exports::FUEL)?;
            assert!(matches!(fuel, RawValue::I64(fuel) if fuel > 0), "fuel is abundant: {fuel:?}");
        }
        called
    }

    /// Reads an exported global.
    pub(crate) fn global(&mut self, name: &str) -> Result<RawValue, RawError> {
        match self {
            Self::Engine(instance, _) => instance.global(name),
            Self::Lowered(program) => program.global(name),
        }
    }
}
