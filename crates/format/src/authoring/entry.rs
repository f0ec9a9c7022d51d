//! The key `entry`, which names the exported function, the payload file, or both.

use alloc::string::String;

use super::table::{Fact, Facts};
use super::{AuthoringError, Place};
use crate::text::{is_entry_name, is_label};

/// Export that is called where the author names a file only.
const DEFAULT_EXPORT: &str = "run";

/// Splits `entry` into `exec.entry` and `exec.binary`.
///
/// A binary without an entry has the default one.
pub(super) fn split(facts: &mut Facts) -> Result<(), AuthoringError> {
    let Some((text, place)) = facts.text("entry").zip(facts.place("entry")) else {
        let Some(place) = facts.place("exec.binary").cloned() else {
            return Ok(());
        };
        return facts.insert("exec.entry", Fact::Text(DEFAULT_EXPORT.into()), place);
    };
    let place = place.clone();
    let (binary, export) = parse(text, &place)?;
    let (binary, export) = (binary.map(String::from), String::from(export));
    if let Some(binary) = binary {
        facts.insert("exec.binary", Fact::Text(binary), place.clone())?;
    }
    facts.insert("exec.entry", Fact::Text(export), place)
}

/// Reads `main.wasm`, `main.wasm#export` or an export name.
fn parse<'a>(text: &'a str, place: &Place) -> Result<(Option<&'a str>, &'a str), AuthoringError> {
    let (binary, export) = match text.split_once('#') {
        Some((binary, export)) => (Some(binary), export),
        None if is_entry_name(text) => (None, text),
        None => (Some(text), DEFAULT_EXPORT),
    };
    if binary.is_none_or(is_label) && is_entry_name(export) {
        return Ok((binary, export));
    }
    let allowed = "allowed `main.wasm`, `main.wasm#export` or an export name";
    Err(place.unit(alloc::format!("found {text:?}, {allowed}")))
}
