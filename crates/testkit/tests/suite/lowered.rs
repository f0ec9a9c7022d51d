//! One module of the suite on the executor of lowered programs, and in the circuit's tables.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use kapsule_engine::raw::{RawError, RawValue};
use kapsule_lower::isa::{Op, PC_CODE, TAG_OUT};
use kapsule_lower::words::Event;
use kapsule_lower::{
    EntryStub, Instr, LProgram, LowerError, Lowered, Options, Passes, Reason, limbs, lower,
};
use kapsule_meter::Imports;
use kapsule_prover::exec::{Bounds, End, Machine, NoTrace, Recorded};
use kapsule_testkit::traced::{Circuit, Granted};
use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType};

/// Fuel and steps of one call; no assertion of the suite takes as many.
const BOUNDS: Bounds = Bounds { fuel: 1 << 40, steps: 1 << 32 };
/// Pages that modules may have, as many as metering accepts.
const PAGES: u32 = 1_024;

/// Of the calls of a module, the first and every so many after it are traced; a soak says fewer.
const TRACED_ONE_IN: u64 = 16;
/// Of the calls that are traced, the first and every so many after it are proven.
const PROVEN_ONE_IN: u64 = 400;

/// What was traced by all tests of this process.
pub(crate) static TRACED: Counts =
    Counts { calls: AtomicU64::new(0), steps: AtomicU64::new(0), proofs: AtomicU64::new(0) };

/// Counts of calls in the circuit's tables.
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) steps: AtomicU64,
    pub(crate) proofs: AtomicU64,
}

/// A lowered module with its cells.
pub(crate) struct Program {
    lowered: Lowered,
    machine: Machine,
    facts: Facts,
    /// Calls so far, of which every so many are traced; none without tracing.
    calls: Option<u64>,
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
    pub(crate) fn load(wasm: &[u8], traced: bool) -> Result<Result<Self, RawError>, String> {
        let options = Options { imports: Imports::Any, passes: Passes::ALL, ..Options::new(PAGES) };
        let lowered = match lower(wasm, &options) {
            Ok(lowered) => lowered,
            Err(LowerError::Unprovable { reason: Reason::Import, .. }) => {
                return Err("import that is no hostcall".into());
            }
            Err(error) => return Ok(Err(RawError::Backend(error.to_string()))),
        };
        let machine = Machine::new(&lowered.program).unwrap();
        let calls = traced.then_some(0);
        let mut program = Self { lowered, machine, facts: Facts::read(wasm), calls };
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
        let as_entry = self.is_traced().then(|| self.as_entry(pc, function, &args));
        let ended = self.machine.call(pc, &args, BOUNDS, (&mut words, &mut trace)).unwrap();
        if let Some(program) = as_entry {
            self.trace(program, function, ended.end).map_err(RawError::Backend)?;
        }
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

/// The circuit proves runs of entries from the initial state of a program, so a call becomes one.
impl Program {
    /// Counts a call and returns whether it is traced.
    fn is_traced(&mut self) -> bool {
        let Some(calls) = &mut self.calls else { return false };
        *calls += 1;
        (*calls - 1).is_multiple_of(traced_one_in())
    }

    /// Returns a program that starts in the machine's state and whose entry makes the call and
    /// gives its results as words.
    fn as_entry(&self, pc: u32, function: u32, args: &[u64]) -> LProgram {
        let mut program = self.lowered.program.clone();
        program.globals = self.machine.globals().to_vec();
        let cells = (0..).zip(self.machine.memory().iter().copied());
        program.data = cells.filter(|(_, value)| *value != 0).collect();
        program.memory.pages_initial = self.machine.pages();
        let first = PC_CODE + program.code.len() as u32;
        let mut push = |op, [a, b]: [u32; 2], c| {
            program.code.push(Instr { op, a, b, c: limbs(c), cost: 0 });
            PC_CODE + program.code.len() as u32
        };
        let mut here = first;
        for (slot, arg) in (1..).zip(args) {
            here = push(Op::Const, [slot, 0], *arg);
        }
        // The frame of the call is that of the entry, which has no slots of its own.
        push(Op::Call, [pc, 0], u64::from(here + 1));
        for (slot, _) in (1..).zip(self.facts.function(function).results()) {
            push(Op::Out, [0, slot], 0);
        }
        push(Op::Jmp, [0, 0], 0);
        let stub = EntryStub { index: 0, pc: first, salted_pc: first };
        program.entries = [("call".to_owned(), stub)].into();
        program
    }

    /// Checks the call in the tables, where it must end as it just did.
    fn trace(&self, program: LProgram, function: u32, end: End) -> Result<(), String> {
        let word = |slot| Event { tag: TAG_OUT, word: self.machine.slot(slot) };
        let results = self.facts.function(function).results();
        let events: Vec<Event> = match end {
            End::Completed => (1..).zip(results).map(|(slot, _)| word(slot)).collect(),
            _ => Vec::new(),
        };
        let circuit = Circuit::new(program);
        let granted = Granted { entry: "call".into(), fuel: BOUNDS.fuel, words: Vec::new() };
        // A call that fills the stack may take more steps than a segment has.
        let Some(traced) = circuit.trace(granted, &events)? else { return Ok(()) };
        let found = traced.witness.execution;
        if found.end != end || found.pages != self.machine.pages() {
            return Err(format!("the executor ends with {end:?}, a traced run with {found:?}"));
        }
        let before = TRACED.calls.fetch_add(1, Ordering::Relaxed);
        TRACED.steps.fetch_add(found.steps, Ordering::Relaxed);
        // Which calls these are depends on the threads; that their proofs hold does not.
        if before.is_multiple_of(PROVEN_ONE_IN) {
            circuit.prove(&traced)?;
            TRACED.proofs.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn traced_one_in() -> u64 {
    match std::env::var_os(SOAK) {
        Some(_) => 1,
        None => TRACED_ONE_IN,
    }
}

/// The variable that names the file for the report of a soak.
pub(crate) const SOAK: &str = "KAPSULE_SOAK_SUITE";

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
