//! The programs that metering is measured on.

use std::sync::Arc;

use kapsule_engine::Backend;
use kapsule_engine::raw::{RawFunction, RawType, RawValue};
use kapsule_meter::{Imports, Profile};

use crate::inputs;

/// One program with what it works on.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) wasm: Vec<u8>,
    pub(super) profile: Profile,
    pub(super) imports: Imports,
    pub(super) entry: &'static str,
    pub(super) work: Work,
}

/// What keeps a backend busy.
pub(super) enum Work {
    /// An argument for each backend.
    Argument { wasmi: i32, jit: i32 },
    /// An input of the first `rows` rows for each backend.
    Input { make: MakeInput, wasmi: usize, jit: usize },
}

/// Returns an input of so many rows, and where they are from.
pub(super) type MakeInput = fn(usize) -> Result<(Vec<u8>, &'static str), String>;

/// Arguments and imported functions of one measurement.
pub(super) struct Prepared {
    pub(super) args: Vec<RawValue>,
    pub(super) functions: Vec<RawFunction>,
    /// What the program works on, for people.
    pub(super) what: String,
}

impl Program {
    /// Prepares the work for a backend.
    pub(super) fn prepare(&self, backend: Backend) -> Result<Prepared, String> {
        let interpreted = backend == Backend::Wasmi;
        match self.work {
            Work::Argument { wasmi, jit } => {
                let argument = if interpreted { wasmi } else { jit };
                let args = vec![RawValue::I32(argument)];
                Ok(Prepared { args, functions: Vec::new(), what: format!("n = {argument}") })
            }
            Work::Input { make, wasmi, jit } => {
                let rows = if interpreted { wasmi } else { jit };
                let (input, source) = make(rows)?;
                let what = format!("{} bytes of {source}", input.len());
                Ok(Prepared { args: Vec::new(), functions: host(input), what })
            }
        }
    }
}

/// Returns every program, shortest name first in the order of the report.
pub(super) fn all() -> Result<Vec<Program>, String> {
    let text = |name, text, profile, wasmi, jit| {
        let wasm = wat::parse_str(text).map_err(|error| format!("{name}: {error}"))?;
        let work = Work::Argument { wasmi, jit };
        Ok::<_, String>(Program {
            name,
            wasm,
            profile,
            imports: Imports::Any,
            entry: "bench",
            work,
        })
    };
    let module = |name, wasm: &[u8], make, wasmi, jit| Program {
        name,
        wasm: wasm.to_vec(),
        profile: Profile::Integer1,
        imports: Imports::Kapsule,
        entry: "run",
        work: Work::Input { make, wasmi, jit },
    };
    let integer = Profile::Integer1;
    Ok(vec![
        text("fib", include_str!("../../programs/fib.wat"), integer, 22, 29)?,
        text("sha256", include_str!("../../programs/sha256.wat"), integer, 600, 5_000)?,
        text("sieve", include_str!("../../programs/sieve.wat"), integer, 100_000, 500_000)?,
        text("matrix", include_str!("../../programs/matrix.wat"), integer, 40, 80)?,
        text("nbody", include_str!("../../programs/nbody.wat"), Profile::Float1, 2_000, 8_000)?,
        module(
            "rank",
            include_bytes!("../../../../modules/artifacts/rank.wasm"),
            inputs::rank,
            300,
            3_000,
        ),
        module(
            "trust",
            include_bytes!("../../../../modules/artifacts/trust.wasm"),
            inputs::trust,
            400,
            4_000,
        ),
    ])
}

/// Returns the hostcalls that the standard modules make, answered from one input.
///
/// The metered and the plain module are given the same ones, so they say nothing about their cost.
fn host(input: Vec<u8>) -> Vec<RawFunction> {
    use RawType::{I32, I64};
    let length = input.len();
    let function = |name: &str, params: &[RawType], results: &[RawType], body| RawFunction {
        module: kapsule_abi::IMPORT_NAMESPACE.into(),
        name: name.into(),
        params: params.to_vec(),
        results: results.to_vec(),
        body,
    };
    let input_len = move |_: &mut [u8], _: &[RawValue]| {
        Ok(vec![RawValue::I64(i64::try_from(length).map_err(|error| error.to_string())?)])
    };
    vec![
        function("input_len", &[], &[I64], Arc::new(input_len)),
        function(
            "input_read",
            &[I64, I32, I32],
            &[I32],
            Arc::new(move |memory, args| read(&input, memory, args)),
        ),
        function(
            "output_write",
            &[I32, I32],
            &[I32],
            Arc::new(|_, args| match args {
                [_, length] => Ok(vec![*length]),
                _ => Err("output_write takes two arguments".into()),
            }),
        ),
        RawFunction::sink(kapsule_abi::IMPORT_NAMESPACE, "log", &[I32, I32, I32]),
        // The input holds every statement, so nobody asks for others.
        function(
            "trust_edges",
            &[I64, I32, I32],
            &[I32],
            Arc::new(|_, _| Err("trust_edges is not answered here".into())),
        ),
    ]
}

/// Copies a part of the input into the guest's memory, as `input_read` does.
fn read(input: &[u8], memory: &mut [u8], args: &[RawValue]) -> Result<Vec<RawValue>, String> {
    let [RawValue::I64(offset), RawValue::I32(at), RawValue::I32(length)] = *args else {
        return Err("input_read takes an offset, a pointer and a length".into());
    };
    let offset = usize::try_from(offset).map_err(|error| error.to_string())?;
    let (at, length) = (at.cast_unsigned() as usize, length.cast_unsigned() as usize);
    let rest = input.get(offset..).unwrap_or_default();
    let part = rest.get(..length).unwrap_or(rest);
    let target = memory.get_mut(at..).and_then(|memory| memory.get_mut(..part.len()));
    target.ok_or("a buffer lies outside the memory")?.copy_from_slice(part);
    let count = i32::try_from(part.len()).map_err(|error| error.to_string())?;
    Ok(vec![RawValue::I32(count)])
}
