//! One module of the suite on the executor of lowered programs.

use std::collections::BTreeMap;

use kapsule_engine::raw::{RawError, RawValue};
use kapsule_lower::{LowerError, Lowered, Options, Passes, Reason, lower};
use kapsule_meter::Imports;
use kapsule_prover::exec::{Bounds, End, Machine, NoTrace, Recorded};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

/// Fuel and steps of one call; no assertion of the suite takes as many.
const BOUNDS: Bounds = Bounds { fuel: 1 << 40, steps: 1 << 32 };
/// Pages that modules may have, as many as metering accepts.
const PAGES: u32 = 1_024;

/// A lowered module with its cells.
pub(crate) struct Program {
    lowered: Lowered,
    machine: Machine,
    facts: Facts,
}

/// What calling a module by name takes.
#[derive(Default)]
struct Facts {
    types: Vec<FuncType>,
    functions: Vec<u32>,
    globals: Vec<ValType>,
    exports: BTreeMap<String, (ExternalKind, u32)>,
    start: Option<u32>,
}

impl Facts {
    fn read(wasm: &[u8]) -> Self {
        let mut facts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.unwrap() {
                Payload::TypeSection(reader) => {
                    facts.types = reader.into_iter_err_on_gc_types().map(Result::unwrap).collect();
                }
                Payload::ImportSection(reader) => {
                    facts.functions.extend(reader.into_imports().map(|import| {
                        match import.unwrap().ty {
                            TypeRef::Func(index) => index,
                            other => panic!("the meter refuses {other:?}"),
                        }
                    }));
                }
                Payload::FunctionSection(reader) => {
                    facts.functions.extend(reader.into_iter().map(Result::unwrap));
                }
                Payload::GlobalSection(reader) => {
                    facts.globals =
                        reader.into_iter().map(|global| global.unwrap().ty.content_type).collect();
                }
                Payload::ExportSection(reader) => {
                    for export in reader {
                        let export = export.unwrap();
                        facts.exports.insert(export.name.into(), (export.kind, export.index));
                    }
                }
                Payload::StartSection { func, .. } => facts.start = Some(func),
                _ => {}
            }
        }
        facts
    }

    fn function(&self, index: u32) -> &FuncType {
        &self.types[self.functions[index as usize] as usize]
    }
}

impl Program {
    /// Lowers a module and runs its start function; `Err` holds what is outside.
    pub(crate) fn load(wasm: &[u8]) -> Result<Result<Self, RawError>, String> {
        let options = Options { imports: Imports::Any, passes: Passes::ALL, ..Options::new(PAGES) };
        let lowered = match lower(wasm, &options) {
            Ok(lowered) => lowered,
            Err(LowerError::Unprovable { reason: Reason::Import, .. }) => {
                return Err("import that is no hostcall".into());
            }
            Err(error) => return Ok(Err(RawError::Backend(error.to_string()))),
        };
        let machine = Machine::new(&lowered.program).unwrap();
        let mut program = Self { lowered, machine, facts: Facts::read(wasm) };
        let started = program.facts.start.map_or(Ok(Vec::new()), |start| program.enter(start, &[]));
        Ok(started.map(|_| program))
    }

    pub(crate) fn call(
        &mut self,
        name: &str,
        args: &[RawValue],
    ) -> Result<Vec<RawValue>, RawError> {
        match self.facts.exports.get(name) {
            Some((ExternalKind::Func, index)) => self.enter(*index, args),
            _ => Err(RawError::Usage(format!("no function {name:?}"))),
        }
    }

    pub(crate) fn global(&self, name: &str) -> Result<RawValue, RawError> {
        match self.facts.exports.get(name) {
            Some((ExternalKind::Global, index)) => {
                let index = *index as usize;
                Ok(value(self.facts.globals[index], self.machine.globals()[index]))
            }
            _ => Err(RawError::Usage(format!("no global {name:?}"))),
        }
    }

    fn enter(&mut self, function: u32, args: &[RawValue]) -> Result<Vec<RawValue>, RawError> {
        let args: Vec<u64> = args.iter().map(|arg| bits(*arg)).collect();
        let pc = self.lowered.function_pc(function).unwrap();
        let (mut words, mut trace) = (Recorded::default(), NoTrace);
        let ended = self.machine.call(pc, &args, BOUNDS, (&mut words, &mut trace)).unwrap();
        match ended.end {
            End::Completed => Ok((1..)
                .zip(self.facts.function(function).results())
                .map(|(slot, kind)| value(*kind, self.machine.slot(slot)))
                .collect()),
            End::Trap(trap) => Err(RawError::Trap(trap)),
            other => panic!("fuel is abundant and nothing is denied: {other:?}"),
        }
    }
}

fn bits(value: RawValue) -> u64 {
    match value {
        RawValue::I32(value) => u64::from(value.cast_unsigned()),
        RawValue::I64(value) => value.cast_unsigned(),
        RawValue::F32(_) | RawValue::F64(_) => panic!("no float has a lowering"),
    }
}

fn value(kind: ValType, cell: u64) -> RawValue {
    match kind {
        ValType::I32 => {
            RawValue::I32(u32::try_from(cell).expect("an i32 is zero-extended").cast_signed())
        }
        ValType::I64 => RawValue::I64(cell.cast_signed()),
        other => panic!("no {other} has a lowering"),
    }
}
