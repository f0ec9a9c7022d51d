//! Turns a generated module into one that keeps the ABI.
//!
//! The generator calls functions of a made-up namespace, the kit.
//! Each becomes a function of the module itself, which masks its arguments, so that most buffers
//! lie inside memory and most codes exist, and then makes the hostcall or the memory operation.
//! The entry calls some of the generated functions and folds their results into its own.

mod entry;
mod form;
mod kit;

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{
    CodeSection, DataSection, ElementSection, EntityType, ExportKind, ExportSection,
    FunctionSection, GlobalSection, ImportSection, MemorySection, Module, StartSection,
    TableSection, TypeSection,
};
use wasmparser::{FuncType, Parser, Payload, TypeRef};

use crate::Random;
use kapsule_abi::{EXPORT_ABI_VERSION, EXPORT_MEMORY, IMPORT_NAMESPACE};

use kit::Tool;
pub(crate) use kit::{Family, Kit};

/// Name of the entry of a wrapped module.
pub(crate) const ENTRY: &str = "run";

/// What a generated module consists of, as far as wrapping needs to know.
#[derive(Default)]
struct Parts {
    types: Vec<FuncType>,
    /// Kit functions that the module imports, with their type.
    tools: Vec<(Tool, u32)>,
    /// Type index of each defined function.
    functions: Vec<u32>,
    start: Option<u32>,
}

impl Parts {
    fn read(wasm: &[u8], kit: &Kit) -> Self {
        let mut parts = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.expect("the generator makes valid modules") {
                Payload::TypeSection(reader) => {
                    parts.types = reader
                        .into_iter_err_on_gc_types()
                        .map(|item| item.expect("only function types were generated"))
                        .collect();
                }
                Payload::ImportSection(reader) => {
                    parts.tools = reader
                        .into_imports()
                        .map(|import| {
                            let import = import.expect("valid");
                            let TypeRef::Func(type_index) = import.ty else {
                                unreachable!("the kit offers functions only")
                            };
                            (kit.tool(import.module, import.name), type_index)
                        })
                        .collect();
                }
                Payload::FunctionSection(reader) => {
                    parts.functions = reader.into_iter().map(|item| item.expect("valid")).collect();
                }
                Payload::StartSection { func, .. } => parts.start = Some(func),
                _ => {}
            }
        }
        parts
    }

    /// Returns how many hostcalls the wrapped module imports.
    fn import_count(&self) -> u32 {
        count(self.tools.iter().filter(|(tool, _)| tool.hostcall().is_some()))
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).expect("a generated module is small")
}

/// Moves the generated functions behind the hostcalls, and the kit behind those.
struct Places {
    tools: u32,
    imports: u32,
    defined: u32,
}

impl Places {
    const fn of(&self, generated: u32) -> u32 {
        match generated.checked_sub(self.tools) {
            Some(defined) => self.imports + defined,
            None => self.imports + self.defined + generated,
        }
    }

    const fn entry(&self) -> u32 {
        self.imports + self.defined + self.tools
    }
}

impl Reencode for Places {
    type Error = core::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(self.of(function))
    }
}

/// Wraps a generated module whose imports all come from `kit`.
///
/// # Panics
/// If the module is not one of the generator's.
pub(crate) fn wrap(wasm: &[u8], kit: &Kit, random: &mut Random) -> Vec<u8> {
    let parts = Parts::read(wasm, kit);
    let mut places = Places {
        tools: count(parts.tools.iter()),
        imports: parts.import_count(),
        defined: count(parts.functions.iter()),
    };
    let mut sections = Sections::default();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("the generator makes valid modules");
        sections.copy(&mut places, payload).expect("what was generated can be written again");
    }
    sections.add_kit(&parts);
    sections.add_entry(&parts, &places, random);
    sections.finish(parts.start.map(|start| places.of(start)))
}

/// The sections of the wrapped module.
#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Sections {
    /// Copies what a wrapped module keeps: all but imports, exports and the start section.
    fn copy(
        &mut self,
        places: &mut Places,
        payload: Payload<'_>,
    ) -> Result<(), Error<core::convert::Infallible>> {
        match payload {
            Payload::TypeSection(reader) => places.parse_type_section(&mut self.types, reader),
            Payload::FunctionSection(reader) => {
                places.parse_function_section(&mut self.functions, reader)
            }
            Payload::TableSection(reader) => places.parse_table_section(&mut self.tables, reader),
            Payload::MemorySection(reader) => {
                places.parse_memory_section(&mut self.memories, reader)
            }
            Payload::GlobalSection(reader) => {
                places.parse_global_section(&mut self.globals, reader)
            }
            Payload::ElementSection(reader) => {
                places.parse_element_section(&mut self.elements, reader)
            }
            Payload::CodeSectionEntry(body) => places.parse_function_body(&mut self.code, body),
            Payload::DataSection(reader) => places.parse_data_section(&mut self.data, reader),
            _ => Ok(()),
        }
    }

    /// Imports the hostcalls and defines the kit functions in front of them.
    fn add_kit(&mut self, parts: &Parts) {
        let mut import = 0;
        for (tool, type_index) in &parts.tools {
            self.functions.function(*type_index);
            self.code.function(&tool.body(import));
            if let Some(hostcall) = tool.hostcall() {
                let entity = EntityType::Function(*type_index);
                self.imports.import(IMPORT_NAMESPACE, hostcall.name, entity);
                import += 1;
            }
        }
    }

    /// Defines the entry and the ABI version, and exports what the ABI asks for.
    fn add_entry(&mut self, parts: &Parts, places: &Places, random: &mut Random) {
        let type_index = self.types.len();
        self.types.ty().function([], [wasm_encoder::ValType::I32]);
        self.functions.function(type_index).function(type_index);
        self.code.function(&entry::body(parts, places, random));
        self.code.function(&entry::version());
        self.exports
            .export(EXPORT_MEMORY, ExportKind::Memory, 0)
            .export(ENTRY, ExportKind::Func, places.entry())
            .export(EXPORT_ABI_VERSION, ExportKind::Func, places.entry() + 1);
    }

    fn finish(self, start: Option<u32>) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&self.types);
        if !self.imports.is_empty() {
            module.section(&self.imports);
        }
        module.section(&self.functions);
        if !self.tables.is_empty() {
            module.section(&self.tables);
        }
        module.section(&self.memories);
        module.section(&self.globals);
        module.section(&self.exports);
        if let Some(function_index) = start {
            module.section(&StartSection { function_index });
        }
        module.section(&self.elements).section(&self.code).section(&self.data);
        module.finish()
    }
}
