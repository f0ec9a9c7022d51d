//! What `kapsule_v1` asks of a module's imports and exports.

use alloc::format;
use kapsule_abi::{
    ABI_VERSION, EXPORT_ABI_VERSION, EXPORT_MEMORY, ErrorCode, Hostcall, IMPORT_NAMESPACE,
    ValueType, guard,
};
use wasmparser::{FuncType, ValType};

use crate::MeterError;
use crate::scan::{ExportKind, ImportedFunction, Scan};

/// Checks imports, memory export and ABI version.
pub(crate) fn check(scan: &Scan) -> Result<(), MeterError> {
    for import in &scan.imports {
        check_import(scan, import)?;
    }
    let exports_memory = scan
        .exports
        .iter()
        .any(|export| export.kind == ExportKind::Memory && export.name == EXPORT_MEMORY);
    if guard!("meter.abi.memory", !exports_memory) {
        return Err(missing(&format!("no exported memory named {EXPORT_MEMORY:?}")));
    }
    check_version(scan)
}

fn check_import(scan: &Scan, import: &ImportedFunction) -> Result<(), MeterError> {
    let refused = |detail| Err(MeterError::new(ErrorCode::ImportRefused, detail).at(import.offset));
    let (module, name) = (&import.module, &import.name);
    if guard!("meter.abi.namespace", module != IMPORT_NAMESPACE) {
        return refused(format!(
            "import {module:?} {name:?} is outside the namespace {IMPORT_NAMESPACE:?}"
        ));
    }
    let Some(hostcall) = Hostcall::from_name(name) else {
        return refused(format!("import {name:?} is not a hostcall of {IMPORT_NAMESPACE}"));
    };
    let found = scan.types.get(import.type_index as usize);
    if guard!("meter.abi.signature", !found.is_some_and(|found| has_signature(found, hostcall))) {
        return refused(format!("import {name:?} has another type than the hostcall"));
    }
    Ok(())
}

fn has_signature(found: &FuncType, hostcall: &Hostcall) -> bool {
    let params = hostcall.params.iter().map(|param| wasm_type(param.value_type()));
    let results = hostcall.result.into_iter().map(wasm_type);
    found.params().iter().copied().eq(params) && found.results().iter().copied().eq(results)
}

fn wasm_type(value: ValueType) -> ValType {
    match value {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}

/// Reads the ABI version without running anything: the export's body is one constant.
fn check_version(scan: &Scan) -> Result<(), MeterError> {
    let export = scan
        .exports
        .iter()
        .find(|export| export.kind == ExportKind::Function && export.name == EXPORT_ABI_VERSION)
        .ok_or_else(|| missing(&format!("no exported function {EXPORT_ABI_VERSION}() -> i32")))?;
    let constant = (export.index as usize)
        .checked_sub(scan.imports.len())
        .and_then(|index| scan.bodies.get(index))
        .and_then(|body| body.constant);
    let is_entry_type = scan.function_type(export.index).is_some_and(is_entry);
    let Some(version) = constant.filter(|_| is_entry_type) else {
        return Err(missing(&format!("{EXPORT_ABI_VERSION} does not return one i32 constant")));
    };
    if guard!("meter.abi.version", version.cast_unsigned() != ABI_VERSION) {
        let detail = format!("ABI version {version} is unknown; {ABI_VERSION} is supported");
        return Err(MeterError::new(ErrorCode::VersionUnsupported, detail));
    }
    Ok(())
}

fn missing(detail: &str) -> MeterError {
    MeterError::new(ErrorCode::EntryNotFound, detail)
}

/// Tells whether a function can be run as an entry: `fn() -> i32`.
pub(crate) fn is_entry(function: &FuncType) -> bool {
    function.params().is_empty() && function.results() == [ValType::I32]
}
