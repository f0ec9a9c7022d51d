//! What lowering needs of a module that metering has accepted.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FunctionBody, Operator,
    Parser, Payload, TypeRef, ValType,
};

use crate::isa::{GLOBALS_MAX, PAGE_CELLS, TABLE_MAX};
use crate::{LowerError, Reason};

/// A module, read once.
#[derive(Default)]
pub(crate) struct Module<'a> {
    pub(crate) types: Vec<FuncType>,
    /// For each type, the first type of the same parameters and results, counted among those.
    pub(crate) canonical: Vec<u32>,
    /// Type index of each function of the function index space, imports first.
    pub(crate) functions: Vec<u32>,
    pub(crate) imports: u32,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) globals: Vec<u64>,
    /// Function index of each table entry.
    pub(crate) table: Vec<Option<u32>>,
    /// Initial and declared maximal pages.
    pub(crate) memory: Option<(u64, Option<u64>)>,
    pub(crate) exports: BTreeMap<String, u32>,
    pub(crate) start: Option<u32>,
    /// Initial memory, in pieces of [`PIECE`] cells.
    pieces: BTreeMap<u32, Vec<u64>>,
}

/// Cells of one piece of initial memory.
const PIECE: u32 = 512;
const _: () = assert!(PAGE_CELLS.is_multiple_of(PIECE));

impl<'a> Module<'a> {
    /// Reads a module that was validated.
    pub(crate) fn read(wasm: &'a [u8]) -> Result<Self, LowerError> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            module.section(payload?)?;
        }
        Ok(module)
    }

    /// Returns the type of a function.
    pub(crate) fn function_type(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize] as usize]
    }

    /// Returns the non-zero cells of initial memory, ascending.
    pub(crate) fn data(&self) -> Vec<(u32, u64)> {
        let cells = self.pieces.iter().flat_map(|(piece, cells)| (piece * PIECE..).zip(cells));
        cells.filter(|(_, value)| **value != 0).map(|(cell, value)| (cell, *value)).collect()
    }

    fn section(&mut self, payload: Payload<'a>) -> Result<(), LowerError> {
        match payload {
            Payload::TypeSection(reader) => {
                for kind in reader.into_iter_err_on_gc_types() {
                    self.types.push(kind?);
                }
                self.number_types()?;
            }
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    if let TypeRef::Func(type_index) = import?.ty {
                        self.functions.push(type_index);
                        self.imports += 1;
                    }
                }
            }
            Payload::FunctionSection(reader) => {
                for type_index in reader {
                    self.functions.push(type_index?);
                }
            }
            Payload::TableSection(reader) => {
                for table in reader {
                    self.make_table(table?.ty.initial)?;
                }
            }
            Payload::MemorySection(reader) => {
                for memory in reader {
                    let memory = memory?;
                    self.memory = Some((memory.initial, memory.maximum));
                }
            }
            Payload::GlobalSection(reader) => {
                for global in reader {
                    self.globals.push(constant(&global?.init_expr)?);
                }
                too_many("globals", self.globals.len(), GLOBALS_MAX)?;
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exports.insert(export.name.to_string(), export.index);
                    }
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(reader) => self.fill_table(reader)?,
            Payload::DataSection(reader) => self.fill_memory(reader)?,
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    /// Numbers the types so that equal ones share a number.
    fn number_types(&mut self) -> Result<(), LowerError> {
        let mut numbers: BTreeMap<(Vec<u8>, Vec<u8>), u32> = BTreeMap::new();
        let mut next = 0;
        for kind in &self.types {
            let key = (letters(kind.params()), letters(kind.results()));
            let number = *numbers.entry(key).or_insert_with(|| {
                next += 1;
                next - 1
            });
            self.canonical.push(number);
        }
        // A table entry holds the number plus 1 in 16 bits.
        too_many("types", numbers.len(), u32::from(u16::MAX))
    }

    fn make_table(&mut self, entries: u64) -> Result<(), LowerError> {
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        too_many("table entries", entries, TABLE_MAX)?;
        self.table = vec![None; entries];
        Ok(())
    }

    fn fill_table(
        &mut self,
        reader: wasmparser::ElementSectionReader<'a>,
    ) -> Result<(), LowerError> {
        for element in reader {
            let element = element?;
            let ElementKind::Active { offset_expr, .. } = &element.kind else { continue };
            let ElementItems::Functions(items) = element.items else { continue };
            let start = usize::try_from(constant(offset_expr)?).unwrap_or(usize::MAX);
            let places = self.table.iter_mut().skip(start);
            for (place, function) in places.zip(items) {
                *place = Some(function?);
            }
        }
        Ok(())
    }

    fn fill_memory(&mut self, reader: wasmparser::DataSectionReader<'a>) -> Result<(), LowerError> {
        for data in reader {
            let data = data?;
            let DataKind::Active { offset_expr, .. } = &data.kind else { continue };
            // An i32 constant, so every address of a byte has 33 bits at most, and validation has
            // shown that all lie inside the initial memory.
            let start = constant(offset_expr)?;
            for (address, byte) in (start..).zip(data.data) {
                let cell = u32::try_from(address / 8).unwrap_or(u32::MAX);
                let piece =
                    self.pieces.entry(cell / PIECE).or_insert_with(|| vec![0; PIECE as usize]);
                let place = &mut piece[(cell % PIECE) as usize];
                let shift = address % 8 * 8;
                *place = *place & !(0xff << shift) | u64::from(*byte) << shift;
            }
        }
        Ok(())
    }
}

fn too_many(what: &str, found: usize, allowed: u32) -> Result<(), LowerError> {
    if found > allowed as usize {
        let detail = format!("found {found} {what}, allowed are {allowed}");
        return Err(LowerError::unprovable(Reason::TooLarge, detail));
    }
    Ok(())
}

/// Names value types for comparison.
fn letters(types: &[ValType]) -> Vec<u8> {
    let letter = |value: &ValType| match value {
        ValType::I32 => b'i',
        ValType::I64 => b'I',
        ValType::F32 => b'f',
        ValType::F64 => b'F',
        ValType::V128 | ValType::Ref(_) => b'?',
    };
    types.iter().map(letter).collect()
}

/// Evaluates a constant expression, which validation has reduced to one constant, as bits.
fn constant(expression: &ConstExpr<'_>) -> Result<u64, LowerError> {
    let mut reader = expression.get_operators_reader();
    Ok(match reader.read()? {
        Operator::I32Const { value } => u64::from(value.cast_unsigned()),
        Operator::I64Const { value } => value.cast_unsigned(),
        Operator::F32Const { value } => u64::from(value.bits()),
        Operator::F64Const { value } => value.bits(),
        _ => 0,
    })
}
