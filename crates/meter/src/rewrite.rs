//! Emits the metered module that every backend runs.
//!
//! The pass copies the original bytes and places only what the plan lists, so what is not named
//! here is the author's code byte for byte.

mod body;
mod code;
mod layout;
mod routines;
mod types;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use kapsule_abi::{EXPORT_ABI_VERSION, Hostcall, ValueType};
use wasm_encoder::{
    BlockType, ConstExpr, ElementSection, Elements, Encode, ExportKind as WasmExport,
    ExportSection, Module, RawSection,
};
use wasmparser::ValType;

use crate::plan::{Plan, StubPlan};
use crate::scan::{ExportKind, Scan};
use crate::{Imports, MeterError, abi_rules};
use body::Function;
use layout::{Layout, Passing};
use types::Types;

/// Names of the exports that metering adds.
pub mod exports {
    /// Mutable i64: fuel that is left; the host sets it before a run; negative once it ran out.
    pub const FUEL: &str = "__kapsule_fuel";
    /// Mutable i32: stack height in slots; the host sets it to 0 before each call; above
    /// `stack_1::HEIGHT_MAX` once the stack is exhausted.
    pub const STACK: &str = "__kapsule_stack";
    /// Mutable i32: memory maximum in force, in pages; the host sets it before a run.
    pub const PAGES_MAX: &str = "__kapsule_pages_max";
    /// Mutable i32: 1 once the host failed to grow memory although the rule allowed it.
    pub const HOST_SHORT: &str = "__kapsule_host_short";
    /// The module's start function, to be called before the entry.
    pub const START: &str = "__kapsule_start";
    /// Prefix of the exported mutable globals, followed by the global index.
    pub const GLOBAL_PREFIX: &str = "__kapsule_g";
}

/// Shape of the linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryShape {
    /// Initial size in pages.
    pub pages_min: u32,
    /// Declared maximum in pages, or the limit of the profile.
    pub pages_max: u32,
}

/// A mutable global of the module that metering made observable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalExport {
    /// Export name.
    pub name: String,
    /// Width of the value: i32 also for f32, i64 also for f64.
    pub width: ValueType,
}

/// A validated, planned and rewritten module.
#[derive(Clone, Debug)]
pub struct MeteredModule {
    bytes: Vec<u8>,
    plan: Plan,
    imports: Vec<&'static Hostcall>,
    entries: BTreeMap<String, u32>,
    memory: Option<MemoryShape>,
    mutable_globals: Vec<GlobalExport>,
    has_start: bool,
}

impl MeteredModule {
    /// Returns the rewritten wasm.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the metering plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the imported hostcalls in import order; empty under [`Imports::Any`].
    #[must_use]
    pub fn imports(&self) -> &[&'static Hostcall] {
        &self.imports
    }

    /// Returns the exported functions of type `fn() -> i32` with their function index, the ABI
    /// version left out.
    #[must_use]
    pub fn entries(&self) -> &BTreeMap<String, u32> {
        &self.entries
    }

    /// Returns the shape of the memory, or `None` if the module has none.
    #[must_use]
    pub fn memory(&self) -> Option<MemoryShape> {
        self.memory
    }

    /// Returns the module's own mutable globals in index order.
    #[must_use]
    pub fn mutable_globals(&self) -> &[GlobalExport] {
        &self.mutable_globals
    }

    /// Tells whether [`exports::START`] is to be called before the entry.
    #[must_use]
    pub fn has_start(&self) -> bool {
        self.has_start
    }
}

/// Rewrites a scanned module.
///
/// # Errors
/// None at present: what `scan` accepted can be rewritten.
pub(crate) fn rewrite(
    wasm: &[u8],
    mut scan: Scan,
    imports: Imports,
) -> Result<MeteredModule, MeterError> {
    let plan = plan_of(&mut scan, imports);
    let mut types = Types::new(&scan.types);
    let layout = Layout::new(&scan, &plan, &mut types);
    let code = code_section(wasm, &scan, &plan, &layout, &mut types);
    let mutable_globals = mutable_globals(&scan);
    let bytes = assemble(wasm, &scan, &layout, &types, &code);
    Ok(MeteredModule {
        bytes,
        imports: plan.stubs.iter().map(|stub| stub.hostcall).collect(),
        plan,
        entries: entries(&scan),
        memory: scan.memory.map(|(pages_min, declared)| MemoryShape {
            pages_min,
            pages_max: declared.unwrap_or(PAGES_MAX_DEFAULT),
        }),
        mutable_globals,
        has_start: scan.start.is_some(),
    })
}

/// Memory maximum of a module that declares none, in pages: the limit of the profile.
const PAGES_MAX_DEFAULT: u32 = 1_024;

fn plan_of(scan: &mut Scan, imports: Imports) -> Plan {
    let stubs = match imports {
        Imports::Any => Vec::new(),
        Imports::Kapsule => scan
            .imports
            .iter()
            .map(|import| Hostcall::from_name(&import.name).expect("abi_rules checked the name"))
            .map(StubPlan::new)
            .collect(),
    };
    Plan { functions: core::mem::take(&mut scan.plans), stubs }
}

fn entries(scan: &Scan) -> BTreeMap<String, u32> {
    scan.exports
        .iter()
        .filter(|export| export.kind == ExportKind::Function && export.name != EXPORT_ABI_VERSION)
        .filter(|export| scan.function_type(export.index).is_some_and(abi_rules::is_entry))
        .map(|export| (export.name.clone(), export.index))
        .collect()
}

fn mutable_globals(scan: &Scan) -> Vec<GlobalExport> {
    let width = |value| match value {
        ValType::I64 | ValType::F64 => ValueType::I64,
        _ => ValueType::I32,
    };
    scan.globals
        .iter()
        .enumerate()
        .filter(|(_, global)| global.mutable)
        .map(|(index, global)| GlobalExport {
            name: format!("{}{index}", exports::GLOBAL_PREFIX),
            width: width(global.content_type),
        })
        .collect()
}

fn code_section(
    wasm: &[u8],
    scan: &Scan,
    plan: &Plan,
    layout: &Layout,
    types: &mut Types,
) -> Vec<u8> {
    // Rewritten code has about one and a half times the length.
    let mut code = Vec::with_capacity(2 * wasm.len());
    layout.function_count().encode(&mut code);
    let mut bytes = Vec::new();
    let imports = scan.import_count();
    let bodies = scan.bodies.iter().zip(&plan.functions);
    for ((index, (body, plan)), type_index) in (imports..).zip(bodies).zip(&scan.functions) {
        let results =
            if body.branches_out { types.block_type(*type_index) } else { BlockType::Empty };
        let passing = layout.passing(*type_index);
        let params = types.params(*type_index);
        let function = Function { wasm, scan, body, plan, layout, params, passing, results };
        bytes.clear();
        function.emit(layout.bare(index), &mut bytes);
        bytes.encode(&mut code);
    }
    let globals = &layout.globals;
    match plan.stubs.is_empty() {
        false => {
            for (index, stub) in (0_u32..).zip(&plan.stubs) {
                routines::stub(index, stub, globals).encode(&mut code);
            }
        }
        true => {
            for (index, import) in (0_u32..).zip(&scan.imports) {
                let passing = layout.passing(import.type_index);
                let params = types.params(import.type_index);
                routines::free_stub(index, params, passing, globals).encode(&mut code);
            }
        }
    }
    layout.routines.emit(&mut code, globals);
    let params = |function| scan.function_type_index(function).map_or(0, |kind| types.params(kind));
    for function in layout.doors.keys() {
        let bare = layout.bare(*function).expect("only a bare function has a door");
        routines::door(*function, bare, params(*function), globals).encode(&mut code);
    }
    for function in layout.gates.keys() {
        routines::gate(layout.in_table(*function), params(*function), globals).encode(&mut code);
    }
    code
}

fn assemble(wasm: &[u8], scan: &Scan, layout: &Layout, types: &Types, code: &[u8]) -> Vec<u8> {
    let mut module = Module::new();
    let mut section = |id: u8, extra_count: u32, extra: &[u8]| {
        if let Some(data) = extended(wasm, scan, id, extra_count, extra) {
            module.section(&RawSection { id, data: &data });
        }
    };
    section(1, types.added_count(), &types.encode_added());
    section(2, 0, &[]);
    let functions = function_types(scan, layout);
    section(3, u32::try_from(functions.len()).unwrap_or(u32::MAX), &encode_indices(&functions));
    section(4, 0, &[]);
    section(5, 0, &[]);
    let pages_max = scan.memory.and_then(|(_, max)| max).unwrap_or(PAGES_MAX_DEFAULT);
    section(6, code::GLOBAL_COUNT, &code::encode_globals(pages_max));
    module.section(&export_section(scan, layout));
    if !scan.elements.is_empty() {
        module.section(&element_section(scan, layout));
    }
    module.section(&RawSection { id: 10, data: code });
    if let Some(data) = extended(wasm, scan, 11, 0, &[]) {
        module.section(&RawSection { id: 11, data: &data });
    }
    module.finish()
}

/// Returns the content of a carried section with items appended, or `None` if it stays absent.
fn extended(wasm: &[u8], scan: &Scan, id: u8, extra_count: u32, extra: &[u8]) -> Option<Vec<u8>> {
    let raw = scan.raw.get(&id);
    let count = raw.map_or(0, |raw| raw.count) + extra_count;
    if count == 0 {
        return None;
    }
    let mut data = Vec::new();
    count.encode(&mut data);
    if let Some(raw) = raw {
        data.extend_from_slice(&wasm[raw.items..raw.content.end]);
    }
    data.extend_from_slice(extra);
    Some(data)
}

fn encode_indices(indices: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for index in indices {
        index.encode(&mut bytes);
    }
    bytes
}

/// Returns the type indices of all defined functions.
fn function_types(scan: &Scan, layout: &Layout) -> Vec<u32> {
    let passed = |type_index: u32| match layout.passing(type_index) {
        Passing::Carried(carried) => carried,
        Passing::Global => type_index,
    };
    let type_of = |function: &u32| {
        scan.function_type_index(*function).expect("validated with the export or the element")
    };
    let own = (scan.import_count()..).zip(&scan.functions).map(|(index, type_index)| {
        if layout.bare(index).is_some() { *type_index } else { passed(*type_index) }
    });
    let stubs = scan.imports.iter().map(|import| passed(import.type_index));
    let doors = layout.doors.keys().map(|function| passed(type_of(function)));
    let gates = layout.gates.keys().map(type_of);
    own.chain(stubs).chain(layout.routines.type_indices()).chain(doors).chain(gates).collect()
}

fn export_section(scan: &Scan, layout: &Layout) -> ExportSection {
    let mut section = ExportSection::new();
    for export in &scan.exports {
        let (kind, index) = match export.kind {
            ExportKind::Function => (WasmExport::Func, layout.exported(export.index)),
            ExportKind::Table => (WasmExport::Table, export.index),
            ExportKind::Memory => (WasmExport::Memory, export.index),
            ExportKind::Global => (WasmExport::Global, export.index),
        };
        section.export(&export.name, kind, index);
    }
    let globals = &layout.globals;
    section.export(exports::FUEL, WasmExport::Global, globals.fuel);
    section.export(exports::STACK, WasmExport::Global, globals.stack);
    section.export(exports::PAGES_MAX, WasmExport::Global, globals.pages_max);
    section.export(exports::HOST_SHORT, WasmExport::Global, globals.host_short);
    for (index, global) in (0_u32..).zip(&scan.globals) {
        if global.mutable {
            let name = exports::GLOBAL_PREFIX.to_string() + &index.to_string();
            section.export(&name, WasmExport::Global, index);
        }
    }
    if let Some(start) = scan.start {
        section.export(exports::START, WasmExport::Func, layout.exported(start));
    }
    section
}

fn element_section(scan: &Scan, layout: &Layout) -> ElementSection {
    let mut section = ElementSection::new();
    for element in &scan.elements {
        let functions: Vec<u32> =
            element.functions.iter().map(|function| layout.in_table(*function)).collect();
        let offset = ConstExpr::i32_const(element.offset);
        section.active(None, &offset, Elements::Functions(functions.into()));
    }
    section
}
