//! Fuel counted a second time, without the rewriting pass.
//!
//! The plain module is instrumented in another way than `kapsule-meter` does: every charge of the
//! plan becomes a call of one counting function, placed by operator index instead of byte offset,
//! through a re-encoder instead of spliced bytes.
//! What both count must be equal, wherever the run ends.

use kapsule_abi::{Limit, Outcome, Trap};
use kapsule_engine::Backend;
use kapsule_engine::raw::{RawError, RawInstance, RawModule, RawValue};
use kapsule_meter::{FunctionPlan, Plan};
use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, InstructionSink, Module, RawSection, TypeSection, ValType,
};
use wasmparser::{Operator, Parser, Payload};

use crate::wrap::ENTRY;

/// Export of the counter.
const COUNTER: &str = "left";
/// Export of the start function, which must not run before there is an instance to ask.
const START: &str = "start";

/// How a run ended and what it used, by the second count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recount {
    /// How the run ended.
    pub outcome: Outcome,
    /// Fuel used; the whole grant if it ran out.
    pub fuel: u64,
}

/// Runs a plain module without imports and counts the charges of its plan.
///
/// # Errors
/// A text if the module cannot be instrumented or run at all.
pub fn recount(wasm: &[u8], plan: &Plan, fuel: u64, pages_max: u64) -> Result<Recount, String> {
    let instrumented = instrument(wasm, plan, fuel, pages_max).map_err(|e| format!("{e:?}"))?;
    // The plain module holds what metering keeps away from the interpreter, so it runs on the JIT.
    let module = RawModule::compile(&instrumented, Backend::Jit).map_err(|e| e.to_string())?;
    let mut instance = module.instantiate(&[]).map_err(|error| error.to_string())?;
    let called = match instance.call(START, &[]) {
        Ok(_) | Err(RawError::Usage(_)) => instance.call(ENTRY, &[]),
        Err(error) => Err(error),
    };
    let left = left(&mut instance)?;
    let outcome = match called {
        Ok(results) => match results.as_slice() {
            [RawValue::I32(code)] => Outcome::Completed(code.cast_unsigned()),
            other => return Err(format!("the entry returned {other:?}")),
        },
        Err(RawError::Trap(Trap::Unreachable)) if left < 0 => Outcome::LimitReached(Limit::Fuel),
        Err(RawError::Trap(trap)) => Outcome::Trapped(trap),
        Err(error) => return Err(error.to_string()),
    };
    let fuel = fuel.saturating_sub(u64::try_from(left).unwrap_or(0));
    Ok(Recount { outcome, fuel })
}

fn left(instance: &mut RawInstance) -> Result<i64, String> {
    match instance.global(COUNTER) {
        Ok(RawValue::I64(left)) => Ok(left),
        other => Err(format!("the counter is {other:?}")),
    }
}

/// Keeps every index.
struct Same;

impl Reencode for Same {
    type Error = core::convert::Infallible;
}

/// Indices of what instrumentation adds, all behind what the module has.
#[derive(Clone, Copy, Default)]
struct Added {
    types: u32,
    counter: u32,
    count: u32,
}

impl Added {
    const fn grow(self) -> u32 {
        self.count + 1
    }

    const fn fill(self) -> u32 {
        self.count + 2
    }

    const fn copy(self) -> u32 {
        self.count + 3
    }
}

type Encoded<T> = Result<T, Error<core::convert::Infallible>>;

/// The sections of the instrumented module.
#[derive(Default)]
struct Sections<'a> {
    types: TypeSection,
    functions: FunctionSection,
    globals: GlobalSection,
    exports: ExportSection,
    code: CodeSection,
    /// Sections that stay as they are, by id.
    kept: Vec<(u8, &'a [u8])>,
    /// Declared memory maximum in pages.
    pages_declared: Option<u64>,
}

fn instrument(wasm: &[u8], plan: &Plan, fuel: u64, pages_max: u64) -> Encoded<Vec<u8>> {
    let added = added(wasm)?;
    let mut sections = Sections::default();
    sections.copy(wasm, plan, added)?;
    sections.add(added, fuel, pages_max);
    Ok(sections.finish())
}

impl<'a> Sections<'a> {
    fn copy(&mut self, wasm: &'a [u8], plan: &Plan, added: Added) -> Encoded<()> {
        let mut plans = plan.functions.iter();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::TypeSection(reader) => {
                    Same.parse_type_section(&mut self.types, reader.clone())?;
                }
                Payload::FunctionSection(reader) => {
                    Same.parse_function_section(&mut self.functions, reader.clone())?;
                }
                Payload::GlobalSection(reader) => {
                    Same.parse_global_section(&mut self.globals, reader.clone())?;
                }
                Payload::ExportSection(reader) => {
                    Same.parse_export_section(&mut self.exports, reader.clone())?;
                }
                Payload::StartSection { func, .. } => {
                    self.exports.export(START, ExportKind::Func, *func);
                }
                Payload::CodeSectionEntry(body) => {
                    let plan = plans.next().expect("the plan has every function");
                    self.code.function(&instrument_body(body, plan, added)?);
                }
                Payload::MemorySection(reader) => {
                    for memory in reader.clone() {
                        self.pages_declared = memory?.maximum;
                    }
                    self.kept.extend(raw(wasm, &payload));
                }
                _ => self.kept.extend(raw(wasm, &payload)),
            }
        }
        Ok(())
    }

    /// Appends the counter and the functions that use it.
    fn add(&mut self, added: Added, fuel: u64, pages_max: u64) {
        let i32 = ValType::I32;
        self.types.ty().function([ValType::I64], []);
        self.types.ty().function([i32], [i32]);
        self.types.ty().function([i32, i32, i32], []);
        self.functions.function(added.types).function(added.types + 1);
        self.functions.function(added.types + 2).function(added.types + 2);
        let counter = GlobalType { val_type: ValType::I64, mutable: true, shared: false };
        self.globals.global(counter, &ConstExpr::i64_const(fuel.cast_signed()));
        self.exports.export(COUNTER, ExportKind::Global, added.counter);
        let pages_max = self.pages_declared.unwrap_or(pages_max).min(pages_max);
        self.code.function(&count(added)).function(&grow(added, pages_max));
        let copy = Instruction::MemoryCopy { src_mem: 0, dst_mem: 0 };
        self.code.function(&bulk(added, &Instruction::MemoryFill(0)));
        self.code.function(&bulk(added, &copy));
    }

    fn finish(self) -> Vec<u8> {
        let kept = |module: &mut Module, wanted: u8| {
            for (id, data) in self.kept.iter().filter(|(id, _)| *id == wanted) {
                module.section(&RawSection { id: *id, data });
            }
        };
        let mut module = Module::new();
        module.section(&self.types).section(&self.functions);
        kept(&mut module, 4);
        kept(&mut module, 5);
        module.section(&self.globals).section(&self.exports);
        kept(&mut module, 9);
        module.section(&self.code);
        kept(&mut module, 11);
        module.finish()
    }
}

/// Returns a section as it stands.
fn raw<'a>(wasm: &'a [u8], payload: &Payload<'_>) -> Option<(u8, &'a [u8])> {
    let (id, range) = payload.as_section()?;
    let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
    Some((id, wasm.get(range)?))
}

fn added(wasm: &[u8]) -> Encoded<Added> {
    let mut added = Added::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(reader) => added.types = reader.count(),
            Payload::FunctionSection(reader) => added.count = reader.count(),
            Payload::GlobalSection(reader) => added.counter = reader.count(),
            _ => {}
        }
    }
    Ok(added)
}

/// Copies a body with a call of the counter in front of every operator that the plan names.
fn instrument_body(
    body: &wasmparser::FunctionBody<'_>,
    plan: &FunctionPlan,
    added: Added,
) -> Encoded<Function> {
    let mut function = Same.new_function_with_parsed_locals(body)?;
    let mut charges = plan.charges.iter().peekable();
    for (index, operator) in (0_u32..).zip(body.get_operators_reader()?) {
        if let Some(charge) = charges.next_if(|charge| charge.operator == index) {
            function.instruction(&Instruction::I64Const(i64::from(charge.cost)));
            function.instruction(&Instruction::Call(added.count));
        }
        let instruction = match operator? {
            Operator::MemoryGrow { .. } => Instruction::Call(added.grow()),
            Operator::MemoryFill { .. } => Instruction::Call(added.fill()),
            Operator::MemoryCopy { .. } => Instruction::Call(added.copy()),
            operator => Same.instruction(operator)?,
        };
        function.instruction(&instruction);
    }
    assert!(charges.next().is_none(), "every charge lies in front of an operator");
    Ok(function)
}

/// Takes an amount off the counter and ends the run if that is more than there is.
fn count(added: Added) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.global_get(added.counter).local_get(0).i64_sub().global_set(added.counter);
    sink.global_get(added.counter).i64_const(0).i64_lt_s();
    sink.if_(wasm_encoder::BlockType::Empty).unreachable().end().end();
    function
}

/// Counts one fuel for each eight units or part of them; the units are an i64 on the stack.
fn count_units(sink: &mut InstructionSink<'_>, added: Added) {
    sink.i64_const(7).i64_add().i64_const(8).i64_div_u().call(added.count);
}

fn grow(added: Added, pages_max: u64) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(0).i32_const(65_536).i32_mul().i64_extend_i32_u();
    count_units(&mut sink, added);
    sink.memory_size(0).i64_extend_i32_u().local_get(0).i64_extend_i32_u().i64_add();
    sink.i64_const(pages_max.cast_signed()).i64_le_u();
    sink.if_(wasm_encoder::BlockType::Result(ValType::I32));
    sink.local_get(0).memory_grow(0).else_().i32_const(-1).end().end();
    function
}

/// Counts the bytes, then fills or copies.
fn bulk(added: Added, act: &Instruction<'_>) -> Function {
    let mut function = Function::new([]);
    let mut sink = function.instructions();
    sink.local_get(2).i64_extend_i32_u();
    count_units(&mut sink, added);
    sink.local_get(0).local_get(1).local_get(2);
    function.instruction(act).instruction(&Instruction::End);
    function
}
