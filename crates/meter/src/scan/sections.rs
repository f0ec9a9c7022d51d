//! Everything of a module but its function bodies.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use kapsule_abi::{ErrorCode, PAGE_BYTES, RESERVED_EXPORT_PREFIX, guard};
use wasmparser::{
    ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, Operator, Payload, TypeRef,
};

use super::{Element, Export, ExportKind, ImportedFunction, Scan, check_feature};
use crate::{Limits, MeterError, Options, profile};

/// Refuses sections with more items than allowed, before they are read.
pub(super) fn check_count(payload: &Payload<'_>, limits: &Limits) -> Result<(), MeterError> {
    match payload {
        Payload::FunctionSection(reader) => {
            let count = reader.count();
            if guard!("meter.limit.functions", count > limits.functions) {
                return Err(limit_at("functions", count, limits.functions, reader.range().start));
            }
        }
        Payload::GlobalSection(reader) => {
            let count = reader.count();
            if guard!("meter.limit.globals", count > limits.globals) {
                return Err(limit_at("globals", count, limits.globals, reader.range().start));
            }
        }
        _ => {}
    }
    Ok(())
}

fn limit_at(what: &str, found: u32, allowed: u32, offset: u64) -> MeterError {
    MeterError::limit(what, u64::from(found), u64::from(allowed)).at(offset)
}

/// Reads one validated section into `scan`.
pub(super) fn read(
    scan: &mut Scan,
    payload: &Payload<'_>,
    options: &Options,
) -> Result<(), MeterError> {
    if let Some((id, raw)) = super::is_carried(payload) {
        scan.raw.insert(id, raw);
    }
    match payload {
        Payload::TypeSection(reader) => read_types(scan, reader.clone(), options),
        Payload::ImportSection(reader) => read_imports(scan, reader.clone()),
        Payload::FunctionSection(reader) => {
            scan.functions = reader.clone().into_iter().collect::<Result<_, _>>()?;
            Ok(())
        }
        Payload::TableSection(reader) => read_table(scan, reader.clone(), &options.limits),
        Payload::MemorySection(reader) => read_memory(scan, reader.clone(), &options.limits),
        Payload::GlobalSection(reader) => read_globals(scan, reader.clone()),
        Payload::ExportSection(reader) => read_exports(scan, reader.clone(), options),
        Payload::StartSection { func, .. } => {
            scan.start = Some(*func);
            Ok(())
        }
        Payload::ElementSection(reader) => read_elements(scan, reader.clone(), options),
        Payload::DataSection(reader) => read_data(scan, reader.clone(), options),
        _ => Ok(()),
    }
}

fn read_types(
    scan: &mut Scan,
    reader: wasmparser::TypeSectionReader<'_>,
    options: &Options,
) -> Result<(), MeterError> {
    for group in reader.into_iter_with_offsets() {
        let (offset, group) = group?;
        for sub in group.types() {
            let wasmparser::CompositeInnerType::Func(func) = &sub.composite_type.inner else {
                return Err(MeterError::feature("gc", options.profile).at(offset));
            };
            for value in func.params().iter().chain(func.results()) {
                let feature = profile::value_feature(*value, options.profile);
                check_feature(feature, options.profile, offset)?;
            }
            scan.types.push(func.clone());
        }
    }
    Ok(())
}

fn read_imports(
    scan: &mut Scan,
    reader: wasmparser::ImportSectionReader<'_>,
) -> Result<(), MeterError> {
    for import in reader.into_imports_with_offsets() {
        let (offset, import) = import?;
        let (module, name) = (import.module.to_string(), import.name.to_string());
        match import.ty {
            TypeRef::Func(type_index) => {
                scan.imports.push(ImportedFunction { module, name, type_index, offset });
            }
            _ => {
                let detail = format!(
                    "import {module:?} {name:?} is not a function; only functions may be imported"
                );
                return Err(MeterError::new(ErrorCode::ImportRefused, detail).at(offset));
            }
        }
    }
    Ok(())
}

fn read_table(
    scan: &mut Scan,
    reader: wasmparser::TableSectionReader<'_>,
    limits: &Limits,
) -> Result<(), MeterError> {
    for table in reader.into_iter_with_offsets() {
        let (offset, table) = table?;
        let entries = table.ty.initial;
        let allowed = u64::from(limits.table_entries);
        if guard!("meter.limit.table", entries > allowed) {
            return Err(MeterError::limit("table entries", entries, allowed).at(offset));
        }
        scan.table_entries = u32::try_from(entries).ok();
    }
    Ok(())
}

fn read_memory(
    scan: &mut Scan,
    reader: wasmparser::MemorySectionReader<'_>,
    limits: &Limits,
) -> Result<(), MeterError> {
    let allowed = u64::from(limits.pages);
    for memory in reader.into_iter_with_offsets() {
        let (offset, memory) = memory?;
        if guard!("meter.limit.pages", memory.initial > allowed) {
            return Err(
                MeterError::limit("initial memory pages", memory.initial, allowed).at(offset)
            );
        }
        let maximum = memory.maximum.unwrap_or(allowed);
        if guard!("meter.limit.pages-max", maximum > allowed) {
            return Err(MeterError::limit("declared memory pages", maximum, allowed).at(offset));
        }
        let pages = |pages: u64| u32::try_from(pages).unwrap_or(u32::MAX);
        scan.memory = Some((pages(memory.initial), memory.maximum.map(pages)));
    }
    Ok(())
}

fn read_globals(
    scan: &mut Scan,
    reader: wasmparser::GlobalSectionReader<'_>,
) -> Result<(), MeterError> {
    for global in reader {
        scan.globals.push(global?.ty);
    }
    Ok(())
}

fn read_exports(
    scan: &mut Scan,
    reader: wasmparser::ExportSectionReader<'_>,
    options: &Options,
) -> Result<(), MeterError> {
    for export in reader.into_iter_with_offsets() {
        let (offset, export) = export?;
        let kind = match export.kind {
            ExternalKind::Func => ExportKind::Function,
            ExternalKind::Table => ExportKind::Table,
            ExternalKind::Memory => ExportKind::Memory,
            ExternalKind::Global => ExportKind::Global,
            ExternalKind::Tag | ExternalKind::FuncExact => {
                return Err(MeterError::feature("exceptions", options.profile).at(offset));
            }
        };
        let is_mutable_global = kind == ExportKind::Global
            && scan.globals.get(export.index as usize).is_some_and(|global| global.mutable);
        if guard!("meter.export.mutable-global", is_mutable_global) {
            return Err(MeterError::feature("mutable-global-export", options.profile).at(offset));
        }
        if guard!("meter.export.reserved", export.name.starts_with(RESERVED_EXPORT_PREFIX)) {
            let detail = format!(
                "export {:?} starts with the reserved prefix {RESERVED_EXPORT_PREFIX:?}",
                export.name
            );
            return Err(MeterError::invalid(detail).at(offset));
        }
        scan.exports.push(Export { name: export.name.to_string(), kind, index: export.index });
    }
    Ok(())
}

fn read_elements(
    scan: &mut Scan,
    reader: wasmparser::ElementSectionReader<'_>,
    options: &Options,
) -> Result<(), MeterError> {
    for element in reader.into_iter_with_offsets() {
        let (at, element) = element?;
        let ElementKind::Active { offset_expr, .. } = element.kind else {
            return Err(MeterError::feature("passive-elements", options.profile).at(at));
        };
        let ElementItems::Functions(items) = element.items else {
            return Err(MeterError::feature("reference-types", options.profile).at(at));
        };
        let functions = items.into_iter().collect::<Result<Vec<u32>, _>>()?;
        let offset = constant_offset(&offset_expr)?;
        let end = u64::from(offset.cast_unsigned()).saturating_add(functions.len() as u64);
        let entries = u64::from(scan.table_entries.unwrap_or(0));
        if guard!("meter.segment.element", end > entries) {
            let detail = format!("element segment ends at {end} in a table of {entries} entries");
            return Err(MeterError::invalid(detail).at(at));
        }
        scan.elements.push(Element { offset, functions });
    }
    Ok(())
}

fn read_data(
    scan: &Scan,
    reader: wasmparser::DataSectionReader<'_>,
    options: &Options,
) -> Result<(), MeterError> {
    for data in reader.into_iter_with_offsets() {
        let (at, data) = data?;
        let DataKind::Active { offset_expr, .. } = data.kind else {
            return Err(MeterError::feature("passive-data", options.profile).at(at));
        };
        let offset = constant_offset(&offset_expr)?;
        let end = u64::from(offset.cast_unsigned()).saturating_add(data.data.len() as u64);
        let pages = scan.memory.map_or(0, |(initial, _)| initial);
        let bytes = u64::from(pages) * u64::from(PAGE_BYTES);
        if guard!("meter.segment.data", end > bytes) {
            let detail = format!("data segment ends at {end} in a memory of {bytes} bytes");
            return Err(MeterError::invalid(detail).at(at));
        }
    }
    Ok(())
}

/// Evaluates the offset of a segment, which validation has reduced to one constant.
fn constant_offset(expression: &ConstExpr<'_>) -> Result<i32, MeterError> {
    let mut reader = expression.get_operators_reader();
    let (operator, offset) = reader.read_with_offset()?;
    match operator {
        Operator::I32Const { value } => Ok(value),
        _ => Err(MeterError::invalid("segment offset is not an i32 constant").at(offset)),
    }
}
