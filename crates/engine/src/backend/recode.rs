//! Metered code as the compiler gets it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use wasm_encoder::{CodeSection, Module, RawSection};
use wasmparser::{FunctionBody, Parser, Payload};

use super::{counting, nans};

/// Returns a module, metered or plain, in the form that is compiled.
///
/// # Errors
/// Says what is not valid in the module.
pub(crate) fn for_compiler(wasm: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let recoded = || {
        Ok(match counting::for_compiler(wasm)? {
            Cow::Borrowed(wasm) => nans::canonical(wasm)?,
            Cow::Owned(wasm) => Cow::Owned(nans::canonical(&wasm)?.into_owned()),
        })
    };
    recoded().map_err(|error: wasmparser::BinaryReaderError| format!("{error}"))
}

/// Returns the module with another code section.
pub(super) fn with_code(wasm: &[u8], code: &CodeSection) -> wasmparser::Result<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if matches!(payload, Payload::CodeSectionStart { .. }) {
            module.section(code);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[within(range)] });
        }
    }
    Ok(module.finish())
}

/// Positions of a module that is in memory fit a `usize`.
fn within(range: Range<u64>) -> Range<usize> {
    let at = |position: u64| usize::try_from(position).expect("a position in memory");
    at(range.start)..at(range.end)
}

/// Returns how far behind the beginning of the body a position is, in bytes.
pub(super) fn relative(body: &FunctionBody<'_>, position: u64) -> usize {
    within(body.range().start..position).len()
}
