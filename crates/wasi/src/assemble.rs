//! Puts the module together: hostcalls, the program's functions, the answering functions, the
//! entry.

use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_abi::{
    ABI_VERSION, EXPORT_ABI_VERSION, EXPORT_MEMORY, Hostcall, IMPORT_NAMESPACE, ValueType,
};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataCountSection, DataSection, ElementSection, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    MemorySection, Module, StartSection, TableSection, TypeSection, ValType,
};
use wasmparser::{FunctionBody, Operator};

use crate::program::Program;
use crate::reach::MayExit;
use crate::shims::{Needed, Places, needed};
use crate::{Options, WasiError};

/// Name of the entry.
const ENTRY: &str = "run";

/// Where a function of the program is in the module: hostcalls first, then the program's own, then
/// the answers to its imports.
struct Map {
    imports: u32,
    own: u32,
    hostcalls: u32,
}

impl Map {
    const fn function(&self, index: u32) -> u32 {
        match index.checked_sub(self.imports) {
            Some(own) => self.hostcalls + own,
            None => self.hostcalls + self.own + index,
        }
    }
}

impl Reencode for Map {
    type Error = Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, reencode::Error> {
        Ok(self.function(index))
    }
}

/// Writes the module.
pub(crate) fn assemble(
    program: &Program<'_>,
    may_exit: &MayExit,
    options: &Options,
) -> Result<Vec<u8>, WasiError> {
    let mut hostcalls: Vec<Needed> = program
        .imports
        .iter()
        .flat_map(|(call, _)| needed(call.answer, options))
        .copied()
        .collect();
    hostcalls.sort_unstable();
    hostcalls.dedup();
    let own = program.functions.len() as u32;
    let mut map = Map { imports: program.import_count(), own, hostcalls: hostcalls.len() as u32 };
    let globals = program.globals.as_ref().map_or(0, |section| section.count());
    let places = Places {
        hostcalls: &hostcalls,
        cursor: globals,
        exiting: globals + 1,
        code: globals + 2,
        options,
    };
    let mut module = Module::new();
    head(&mut module, program, &mut map, &hostcalls)?;
    state(&mut module, program, &mut map)?;
    exports(&mut module, program, &map);
    if let Some(elements) = &program.elements {
        let mut section = ElementSection::new();
        map.parse_element_section(&mut section, elements.clone())?;
        module.section(&section);
    }
    if let Some(count) = program.data_count {
        module.section(&DataCountSection { count });
    }
    module.section(&code(program, &mut map, may_exit, &places)?);
    if let Some(data) = &program.data {
        let mut section = DataSection::new();
        map.parse_data_section(&mut section, data.clone())?;
        module.section(&section);
    }
    Ok(module.finish())
}

/// Writes types, imports and functions.
fn head(
    module: &mut Module,
    program: &Program<'_>,
    map: &mut Map,
    hostcalls: &[Needed],
) -> Result<(), WasiError> {
    let mut types = TypeSection::new();
    if let Some(section) = &program.type_section {
        map.parse_type_section(&mut types, section.clone())?;
    }
    let mut imports = ImportSection::new();
    for (needed, index) in hostcalls.iter().zip(types.len()..) {
        let hostcall = Hostcall::from_name(needed.name()).expect("the hostcall is in the table");
        let params = hostcall.params.iter().map(|param| wasm_type(param.value_type()));
        types.ty().function(params, hostcall.result.map(wasm_type));
        imports.import(IMPORT_NAMESPACE, hostcall.name, EntityType::Function(index));
    }
    let entry = types.len();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    for index in &program.functions {
        functions.function(*index);
    }
    for (_, index) in &program.imports {
        functions.function(*index);
    }
    functions.function(entry).function(entry);
    module.section(&types).section(&imports).section(&functions);
    Ok(())
}

const fn wasm_type(value: ValueType) -> ValType {
    match value {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}

/// Writes tables, memories and globals, with the adapter's own: cursor, ended, exit code.
fn state(module: &mut Module, program: &Program<'_>, map: &mut Map) -> Result<(), WasiError> {
    if let Some(tables) = &program.tables {
        let mut section = TableSection::new();
        map.parse_table_section(&mut section, tables.clone())?;
        module.section(&section);
    }
    if let Some(memories) = &program.memories {
        let mut section = MemorySection::new();
        map.parse_memory_section(&mut section, memories.clone())?;
        module.section(&section);
    }
    let mut globals = GlobalSection::new();
    if let Some(section) = &program.globals {
        map.parse_global_section(&mut globals, section.clone())?;
    }
    let of = |val_type| GlobalType { val_type, mutable: true, shared: false };
    globals.global(of(ValType::I64), &ConstExpr::i64_const(0));
    globals.global(of(ValType::I32), &ConstExpr::i32_const(0));
    globals.global(of(ValType::I32), &ConstExpr::i32_const(0));
    module.section(&globals);
    Ok(())
}

/// Writes exports and start; of the program's own exports only the memory stays.
fn exports(module: &mut Module, program: &Program<'_>, map: &Map) {
    let entry = map.hostcalls + map.own + map.imports;
    let mut exports = ExportSection::new();
    if program.memories.is_some() {
        exports.export(EXPORT_MEMORY, ExportKind::Memory, 0);
    }
    exports.export(ENTRY, ExportKind::Func, entry);
    exports.export(EXPORT_ABI_VERSION, ExportKind::Func, entry + 1);
    module.section(&exports);
    if let Some(initial) = program.initial {
        module.section(&StartSection { function_index: map.function(initial) });
    }
}

/// Writes the bodies in the order of [`Map`], then the entry and the ABI version.
fn code(
    program: &Program<'_>,
    map: &mut Map,
    may_exit: &MayExit,
    places: &Places<'_>,
) -> Result<CodeSection, WasiError> {
    let mut code = CodeSection::new();
    for (body, index) in program.bodies.iter().zip(map.imports..) {
        let results = program.type_of(index).results();
        code.function(&rewritten(body, results, map, may_exit, places)?);
    }
    for (call, _) in &program.imports {
        code.function(&places.answer(call));
    }
    let mut entry = Function::new([]);
    let mut sink = entry.instructions();
    // A start function may have ended the program before.
    sink.global_get(places.exiting).i32_eqz().if_(BlockType::Empty);
    sink.call(map.function(program.start)).end().global_get(places.code).end();
    code.function(&entry);
    let mut version = Function::new([]);
    version.instructions().i32_const(ABI_VERSION.cast_signed()).end();
    code.function(&version);
    Ok(code)
}

/// Copies a body; behind each call that may have ended the program it returns.
fn rewritten(
    body: &FunctionBody<'_>,
    results: &[wasmparser::ValType],
    map: &mut Map,
    may_exit: &MayExit,
    places: &Places<'_>,
) -> Result<Function, WasiError> {
    let mut locals = Vec::new();
    for local in body.get_locals_reader()? {
        let (count, val_type) = local?;
        locals.push((count, map.val_type(val_type)?));
    }
    let mut function = Function::new(locals);
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        let ends = match operator {
            Operator::Call { function_index } => may_exit.has(function_index),
            Operator::CallIndirect { .. } => may_exit.indirect,
            _ => false,
        };
        function.instruction(&map.instruction(operator)?);
        if ends {
            leave(&mut function, results, places);
        }
    }
    Ok(function)
}

/// Returns zeros if the program ended; whoever gets them returns in turn.
fn leave(function: &mut Function, results: &[wasmparser::ValType], places: &Places<'_>) {
    let mut sink = function.instructions();
    sink.global_get(places.exiting).if_(BlockType::Empty);
    for result in results {
        match result {
            wasmparser::ValType::I64 => sink.i64_const(0),
            wasmparser::ValType::F32 => sink.f32_const(0.0.into()),
            wasmparser::ValType::F64 => sink.f64_const(0.0.into()),
            // Validation allows no other type.
            _ => sink.i32_const(0),
        };
    }
    sink.return_().end();
}
