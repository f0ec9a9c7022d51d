//! Reads a program as far as the adapter needs to know it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};
use wasmparser::{
    DataSectionReader, ElementSectionReader, ExternalKind, FuncType, FunctionBody,
    GlobalSectionReader, MemorySectionReader, Parser, Payload, TableSectionReader, TypeRef,
    TypeSectionReader, Validator, WasmFeatures,
};

use crate::WasiError;
use crate::table::{self, Call, NAMESPACE};

/// Export that begins a command.
const START: &str = "_start";

/// What a program may use; a module's profile is narrower, and the meter enforces it.
const FEATURES: WasmFeatures = WasmFeatures::WASM1
    .union(WasmFeatures::FLOATS)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG);

/// A program, validated.
#[derive(Default)]
pub(crate) struct Program<'a> {
    pub(crate) type_section: Option<TypeSectionReader<'a>>,
    pub(crate) types: Vec<FuncType>,
    /// What each import is, with its type.
    pub(crate) imports: Vec<(&'static Call, u32)>,
    /// Type of each function of the program's own.
    pub(crate) functions: Vec<u32>,
    pub(crate) tables: Option<TableSectionReader<'a>>,
    pub(crate) memories: Option<MemorySectionReader<'a>>,
    pub(crate) globals: Option<GlobalSectionReader<'a>>,
    /// Index of `_start`.
    pub(crate) start: u32,
    /// The function of the start section, which runs before every entry.
    pub(crate) initial: Option<u32>,
    pub(crate) elements: Option<ElementSectionReader<'a>>,
    pub(crate) data: Option<DataSectionReader<'a>>,
    pub(crate) data_count: Option<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
}

impl Program<'_> {
    /// Returns the number of imports.
    pub(crate) fn import_count(&self) -> u32 {
        self.imports.len() as u32
    }

    /// Returns the type of a function.
    pub(crate) fn type_of(&self, function: u32) -> &FuncType {
        let own = function.checked_sub(self.import_count());
        let index = match own {
            Some(own) => self.functions[own as usize],
            None => self.imports[function as usize].1,
        };
        &self.types[index as usize]
    }
}

/// Validates and reads a program.
pub(crate) fn read(wasm: &[u8]) -> Result<Program<'_>, WasiError> {
    let validity = Validator::new_with_features(FEATURES).validate_all(wasm);
    if guard!("wasi.program.valid", validity.is_err()) {
        validity?;
    }
    let mut program = Program::default();
    let mut start = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section.clone().into_iter_err_on_gc_types() {
                    program.types.push(group?);
                }
                program.type_section = Some(section);
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    program.imports.push(known(&program.types, &import)?);
                }
            }
            Payload::FunctionSection(section) => {
                for index in section {
                    program.functions.push(index?);
                }
            }
            Payload::TableSection(section) => program.tables = Some(section),
            Payload::MemorySection(section) => program.memories = Some(section),
            Payload::GlobalSection(section) => program.globals = Some(section),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func && export.name == START {
                        start = Some(export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => program.initial = Some(func),
            Payload::ElementSection(section) => program.elements = Some(section),
            Payload::DataCountSection { count, .. } => program.data_count = Some(count),
            Payload::DataSection(section) => program.data = Some(section),
            Payload::CodeSectionEntry(body) => program.bodies.push(body),
            // The meter drops custom sections too.
            _ => {}
        }
    }
    program.start = checked_start(&program, start)?;
    Ok(program)
}

/// Returns what an import is, if it is one that the adapter answers.
fn known(
    types: &[FuncType],
    import: &wasmparser::Import<'_>,
) -> Result<(&'static Call, u32), WasiError> {
    let refused = |why: &str| {
        let detail = format!("import {:?} {:?} {why}", import.module, import.name);
        Err(WasiError::new(ErrorCode::ImportRefused, detail))
    };
    let TypeRef::Func(index) = import.ty else { return refused("is not a function") };
    if guard!("wasi.import.namespace", import.module != NAMESPACE) {
        return refused(&format!("is outside the namespace {NAMESPACE:?}"));
    }
    let Some(call) = table::find(import.name) else {
        return refused("is no function of that namespace");
    };
    let found = types.get(index as usize);
    if guard!("wasi.import.type", !found.is_some_and(|found| call.has_type(found))) {
        return refused("has another type than the function of that name");
    }
    Ok((call, index))
}

/// Returns the index of `_start`, if the program is a command.
fn checked_start(program: &Program<'_>, start: Option<u32>) -> Result<u32, WasiError> {
    let missing = |detail: String| Err(WasiError::new(ErrorCode::EntryNotFound, detail));
    let Some(start) = start else {
        return missing(format!("no exported function {START}: a command has one"));
    };
    let found = program.type_of(start);
    if guard!("wasi.start.type", !found.params().is_empty() || !found.results().is_empty()) {
        return missing(format!("{START} has parameters or results"));
    }
    Ok(start)
}
