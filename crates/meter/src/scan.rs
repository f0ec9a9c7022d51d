//! Reads a module once: validation, limits, plan and the places that the rewriting pass edits.

mod body;
mod event;
mod sections;
mod step;
mod visit;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use wasmparser::{FuncType, FuncValidatorAllocations, GlobalType, Parser, Payload, Validator};

pub(crate) use body::Body;
pub(crate) use event::{Event, EventKind};

use crate::plan::{Block, FunctionPlan};
use crate::{MeterError, Options, Profile, profile};

/// An imported function.
#[derive(Clone, Debug)]
pub(crate) struct ImportedFunction {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) type_index: u32,
    pub(crate) offset: u64,
}

/// What an export names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportKind {
    Function,
    Table,
    Memory,
    Global,
}

/// One export.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) name: String,
    pub(crate) kind: ExportKind,
    pub(crate) index: u32,
}

/// One active element segment on table 0.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) offset: i32,
    pub(crate) functions: Vec<u32>,
}

/// A section whose content is carried over: byte range and where its first item starts.
#[derive(Clone, Debug)]
pub(crate) struct RawSection {
    pub(crate) content: Range<usize>,
    pub(crate) items: usize,
    pub(crate) count: u32,
}

/// Everything that the later steps need to know of a module.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imports: Vec<ImportedFunction>,
    /// Type index of each defined function.
    pub(crate) functions: Vec<u32>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) plans: Vec<FunctionPlan>,
    pub(crate) notes: Notes,
    /// Declared locals of all bodies so far.
    pub(crate) locals_total: u64,
    pub(crate) globals: Vec<GlobalType>,
    pub(crate) exports: Vec<Export>,
    pub(crate) elements: Vec<Element>,
    pub(crate) start: Option<u32>,
    /// Initial and declared maximal pages.
    pub(crate) memory: Option<(u32, Option<u32>)>,
    pub(crate) table_entries: Option<u32>,
    /// Sections carried over, by section id.
    pub(crate) raw: BTreeMap<u8, RawSection>,
}

/// What was noted of all bodies, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The metering blocks, those that cost nothing included.
    pub(crate) blocks: Vec<Block>,
    pub(crate) events: Vec<Event>,
}

impl Notes {
    /// Makes room for what most modules of this many bytes need, three times their length.
    fn for_module(bytes: usize) -> Self {
        Self { blocks: Vec::with_capacity(bytes / 32), events: Vec::with_capacity(bytes / 8) }
    }
}

impl Scan {
    /// Returns the metering blocks of a body.
    pub(crate) fn blocks(&self, body: &Body) -> &[Block] {
        &self.notes.blocks[body.blocks.clone()]
    }

    /// Returns what the rewriting pass edits in a body, in the order of its operators.
    pub(crate) fn events(&self, body: &Body) -> &[Event] {
        &self.notes.events[body.events.clone()]
    }

    /// Returns the type of a function in the function index space.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.types.get(self.function_type_index(function)? as usize)
    }

    /// Returns the type index of a function in the function index space.
    pub(crate) fn function_type_index(&self, function: u32) -> Option<u32> {
        let index = function as usize;
        match index.checked_sub(self.imports.len()) {
            None => self.imports.get(index).map(|import| import.type_index),
            Some(defined) => self.functions.get(defined).copied(),
        }
    }

    pub(crate) fn import_count(&self) -> u32 {
        u32::try_from(self.imports.len()).expect("wasmparser bounds the import count")
    }
}

/// Validates a module and collects its facts, naming the feature where one is refused.
pub(crate) fn scan(wasm: &[u8], options: &Options) -> Result<Scan, MeterError> {
    let length = wasm.len() as u64;
    if kapsule_abi::guard!("meter.limit.module", length > options.limits.module_bytes) {
        return Err(MeterError::limit("module length", length, options.limits.module_bytes));
    }
    scan_sections(wasm, options).map_err(|error| match error.code {
        kapsule_abi::ErrorCode::ModuleInvalid => profile::explain(wasm, options.profile, error),
        _ => error,
    })
}

fn scan_sections(wasm: &[u8], options: &Options) -> Result<Scan, MeterError> {
    let features = options.profile.features();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut validator = Validator::new_with_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut scan = Scan::default();
    let mut notes = Notes::for_module(wasm.len());
    for payload in parser.parse_all(wasm) {
        let payload = payload?;
        sections::check_count(&payload, &options.limits)?;
        match validator.payload(&payload)? {
            wasmparser::ValidPayload::Func(function, body) => {
                let index = function.index;
                let mut function = function.into_validator(core::mem::take(&mut allocations));
                let params = function.len_locals();
                let (body, plan) =
                    body::scan_body(&scan, options, &body, &mut function, &mut notes)
                        .map_err(|error| error.in_function(index))?;
                scan.locals_total += u64::from(body.locals - params);
                scan.bodies.push(body);
                scan.plans.push(plan);
                allocations = function.into_allocations();
            }
            _ => sections::read(&mut scan, &payload, options)?,
        }
    }
    scan.notes = notes;
    Ok(scan)
}

/// Refuses a value type outside the profile.
fn check_feature(
    feature: Option<&'static str>,
    profile: Profile,
    offset: u64,
) -> Result<(), MeterError> {
    match feature {
        Some(feature) => Err(MeterError::feature(feature, profile).at(offset)),
        None => Ok(()),
    }
}

fn raw_section<T>(payload: &wasmparser::SectionLimited<'_, T>) -> RawSection {
    let range = payload.range();
    RawSection {
        content: to_usize(range.start)..to_usize(range.end),
        items: to_usize(payload.original_position()),
        count: payload.count(),
    }
}

/// Narrows an offset within a module.
fn to_u32(offset: u64) -> u32 {
    // Bounded by the module limit, far below 2^32.
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Converts an offset within a buffer that is in memory.
pub(crate) fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("the offset lies within a buffer in memory")
}

/// Tells sections that are carried over; the others are read and written anew.
fn is_carried(payload: &Payload<'_>) -> Option<(u8, RawSection)> {
    Some(match payload {
        Payload::TypeSection(reader) => (1, raw_section(reader)),
        Payload::ImportSection(reader) => (2, raw_section(reader)),
        Payload::TableSection(reader) => (4, raw_section(reader)),
        Payload::MemorySection(reader) => (5, raw_section(reader)),
        Payload::GlobalSection(reader) => (6, raw_section(reader)),
        Payload::DataSection(reader) => (11, raw_section(reader)),
        _ => return None,
    })
}
