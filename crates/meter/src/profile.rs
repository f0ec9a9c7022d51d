//! The closed set of wasm features that a module may use.

use alloc::format;
use core::fmt;
use core::str::FromStr;
use kapsule_abi::ErrorCode;
use wasmparser::{
    CompositeInnerType, DataKind, ElementItems, ElementKind, Operator, Parser, Payload, TypeRef,
    ValType, WasmFeatures,
};

use crate::MeterError;

/// Which wasm is accepted.
///
/// # Spec
/// `spec/profile.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Integers only; provable.
    Integer1,
    /// [`Profile::Integer1`] plus floats with canonical NaNs; replayable, not provable.
    Float1,
}

impl Profile {
    /// Returns the name that manifests and receipts carry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer1 => "integer-1",
            Self::Float1 => "float-1",
        }
    }

    pub(crate) fn features(self) -> WasmFeatures {
        let integer = WasmFeatures::GC_TYPES
            | WasmFeatures::MUTABLE_GLOBAL
            | WasmFeatures::SIGN_EXTENSION
            | WasmFeatures::MULTI_VALUE
            | WasmFeatures::BULK_MEMORY
            | WasmFeatures::CALL_INDIRECT_OVERLONG;
        match self {
            Self::Integer1 => integer,
            Self::Float1 => integer | WasmFeatures::FLOATS | WasmFeatures::SATURATING_FLOAT_TO_INT,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = MeterError;

    fn from_str(text: &str) -> Result<Self, MeterError> {
        [Self::Integer1, Self::Float1].into_iter().find(|p| p.name() == text).ok_or_else(|| {
            MeterError::new(
                ErrorCode::VersionUnsupported,
                format!("profile {text:?} is unknown; integer-1 and float-1 are supported"),
            )
        })
    }
}

/// The proposals that the profiles take operators from, and the others by name.
#[derive(Clone, Copy)]
pub(crate) enum Proposal {
    Integer,
    Float,
    BulkMemory,
    ReferenceTypes,
    Other(&'static str),
}

impl Proposal {
    /// Sorts an operator by the names of its proposal and its visitor; evaluated while compiling,
    /// since it would cost more than validating the operator.
    pub(crate) const fn of(proposal: &'static str, visitor: &str) -> Self {
        match proposal.as_bytes() {
            b"mvp" if contains(visitor, b"_f32") || contains(visitor, b"_f64") => Self::Float,
            b"mvp" | b"sign_extension" => Self::Integer,
            b"saturating_float_to_int" => Self::Float,
            b"bulk_memory" => Self::BulkMemory,
            b"reference_types" => Self::ReferenceTypes,
            _ => Self::Other(proposal),
        }
    }

    /// Returns the feature that an operator of this proposal belongs to, or `None` if the profile
    /// has it.
    ///
    /// Where the proposal is known while compiling, so is in most cases whether it is refused, and
    /// what would follow for an operator that is not takes no space.
    #[inline(always)]
    pub(crate) fn feature_of(
        self,
        operator: &Operator<'_>,
        profile: Profile,
    ) -> Option<&'static str> {
        match self {
            Self::Integer => typed_block_feature(operator, profile),
            Self::Float => outside("float", profile),
            Self::BulkMemory => match operator {
                Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => None,
                Operator::MemoryInit { .. } | Operator::DataDrop { .. } => Some("passive-data"),
                _ => Some("table-mutation"),
            },
            Self::ReferenceTypes => match operator {
                Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. } => Some("table-mutation"),
                _ => Some("reference-types"),
            },
            Self::Other(name) => Some(proposal_name(name)),
        }
    }
}

const fn contains(text: &str, part: &[u8; 4]) -> bool {
    let text = text.as_bytes();
    let mut start = 0;
    while start + part.len() <= text.len() {
        let mut matched = 0;
        while matched < part.len() && text[start + matched] == part[matched] {
            matched += 1;
        }
        if matched == part.len() {
            return true;
        }
        start += 1;
    }
    false
}

#[inline]
fn typed_block_feature(operator: &Operator<'_>, profile: Profile) -> Option<&'static str> {
    match operator {
        Operator::Block { blockty: wasmparser::BlockType::Type(value) }
        | Operator::Loop { blockty: wasmparser::BlockType::Type(value) }
        | Operator::If { blockty: wasmparser::BlockType::Type(value) } => {
            value_feature(*value, profile)
        }
        _ => None,
    }
}

fn proposal_name(proposal: &'static str) -> &'static str {
    match proposal {
        "threads" | "shared_everything_threads" | "acquire_release_atomics" => "threads",
        "tail_call" => "tail-call",
        "exceptions" | "legacy_exceptions" => "exceptions",
        "gc" | "custom_descriptors" => "gc",
        "function_references" => "function-references",
        "relaxed_simd" => "simd",
        "memory_control" => "memory-control",
        "stack_switching" => "stack-switching",
        "wide_arithmetic" => "wide-arithmetic",
        other => other,
    }
}

macro_rules! define_proposal_of {
    ($( @$proposal:ident $op:ident $({ $($field:ident: $field_type:ty),* })?
        => $visit:ident ($($annotation:tt)*) )*) => {
        /// Returns the proposal of an operator.
        fn proposal_of(operator: &Operator<'_>) -> Proposal {
            match operator {
                $(Operator::$op { .. } => {
                    const { Proposal::of(stringify!($proposal), stringify!($visit)) }
                })*
                _ => Proposal::Other("unknown"),
            }
        }
    };
}

wasmparser::for_each_operator!(define_proposal_of);

fn outside(feature: &'static str, profile: Profile) -> Option<&'static str> {
    (feature != "float" || profile == Profile::Integer1).then_some(feature)
}

/// Returns the feature that a value type needs, or `None` if the profile has it.
pub(crate) fn value_feature(value: ValType, profile: Profile) -> Option<&'static str> {
    match value {
        ValType::I32 | ValType::I64 => None,
        ValType::F32 | ValType::F64 => outside("float", profile),
        ValType::V128 => Some("simd"),
        ValType::Ref(_) => Some("reference-types"),
    }
}

/// Names the first feature outside the profile in a module that was refused.
///
/// Runs only after a refusal: it reads the module again with every feature on, and falls back to
/// `error` where nothing outside the profile comes first.
pub(crate) fn explain(wasm: &[u8], profile: Profile, error: MeterError) -> MeterError {
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all());
    for payload in parser.parse_all(wasm) {
        let Ok(payload) = payload else { return error };
        match payload_feature(&payload, profile) {
            Ok(None) => {}
            Ok(Some((feature, offset))) => return MeterError::feature(feature, profile).at(offset),
            Err(cause) => return explain_unread(wasm, profile, &cause).unwrap_or(error),
        }
    }
    error
}

/// Names vector instructions, which are left out of this build of the reader, by their prefix.
fn explain_unread(wasm: &[u8], profile: Profile, cause: &wasmparser::Error) -> Option<MeterError> {
    const VECTOR_PREFIX: u8 = 0xfd;
    let offset = usize::try_from(cause.offset()).ok()?;
    let found = *wasm.get(offset)? == VECTOR_PREFIX;
    found.then(|| MeterError::feature("simd", profile).at(cause.offset()))
}

type Finding = Result<Option<(&'static str, u64)>, wasmparser::Error>;

fn payload_feature(payload: &Payload<'_>, profile: Profile) -> Finding {
    Ok(match payload {
        Payload::Version { encoding: wasmparser::Encoding::Component, range, .. } => {
            Some(("component-model", range.start))
        }
        Payload::TypeSection(reader) => return types_feature(reader.clone(), profile),
        Payload::ImportSection(reader) => return imports_feature(reader.clone(), profile),
        Payload::TableSection(reader) => return tables_feature(reader.clone()),
        Payload::MemorySection(reader) => return memories_feature(reader.clone()),
        Payload::TagSection(reader) => Some(("exceptions", reader.range().start)),
        Payload::GlobalSection(reader) => return globals_feature(reader.clone(), profile),
        Payload::ElementSection(reader) => return elements_feature(reader.clone()),
        Payload::DataSection(reader) => return data_feature(reader.clone()),
        Payload::CodeSectionEntry(body) => return body_feature(body, profile),
        _ => None,
    })
}

fn types_feature(reader: wasmparser::TypeSectionReader<'_>, profile: Profile) -> Finding {
    for group in reader.into_iter_with_offsets() {
        let (offset, group) = group?;
        if group.is_explicit_rec_group() {
            return Ok(Some(("gc", offset)));
        }
        for sub in group.types() {
            let CompositeInnerType::Func(func) = &sub.composite_type.inner else {
                return Ok(Some(("gc", offset)));
            };
            if !sub.is_final || !sub.supertype_idxs.is_empty() {
                return Ok(Some(("gc", offset)));
            }
            let values = func.params().iter().chain(func.results());
            if let Some(feature) = values.copied().find_map(|value| value_feature(value, profile)) {
                return Ok(Some((feature, offset)));
            }
        }
    }
    Ok(None)
}

fn imports_feature(reader: wasmparser::ImportSectionReader<'_>, profile: Profile) -> Finding {
    let (mut memories, mut tables) = (0, 0);
    for import in reader.into_imports_with_offsets() {
        let (offset, import) = import?;
        let feature = match import.ty {
            TypeRef::Tag(_) => Some("exceptions"),
            TypeRef::FuncExact(_) => Some("gc"),
            TypeRef::Func(_) => None,
            TypeRef::Global(global) => value_feature(global.content_type, profile),
            TypeRef::Memory(memory) => {
                memories += 1;
                memory_feature(&memory).or((memories > 1).then_some("multi-memory"))
            }
            TypeRef::Table(table) => {
                tables += 1;
                table_feature(&table).or((tables > 1).then_some("reference-types"))
            }
        };
        if let Some(feature) = feature {
            return Ok(Some((feature, offset)));
        }
    }
    Ok(None)
}

fn tables_feature(reader: wasmparser::TableSectionReader<'_>) -> Finding {
    for (position, table) in reader.into_iter_with_offsets().enumerate() {
        let (offset, table) = table?;
        let plain = matches!(table.init, wasmparser::TableInit::RefNull);
        let beyond_one = (position > 0 || !plain).then_some("reference-types");
        if let Some(feature) = table_feature(&table.ty).or(beyond_one) {
            return Ok(Some((feature, offset)));
        }
    }
    Ok(None)
}

fn table_feature(table: &wasmparser::TableType) -> Option<&'static str> {
    match table {
        t if t.table64 => Some("memory64"),
        t if t.shared => Some("threads"),
        t if t.element_type != wasmparser::RefType::FUNCREF => Some("reference-types"),
        _ => None,
    }
}

fn memory_feature(memory: &wasmparser::MemoryType) -> Option<&'static str> {
    match memory {
        m if m.memory64 => Some("memory64"),
        m if m.shared => Some("threads"),
        m if m.page_size_log2.is_some() => Some("custom-page-sizes"),
        _ => None,
    }
}

fn memories_feature(reader: wasmparser::MemorySectionReader<'_>) -> Finding {
    for (position, memory) in reader.into_iter_with_offsets().enumerate() {
        let (offset, memory) = memory?;
        if let Some(feature) = memory_feature(&memory) {
            return Ok(Some((feature, offset)));
        }
        if position > 0 {
            return Ok(Some(("multi-memory", offset)));
        }
    }
    Ok(None)
}

fn globals_feature(reader: wasmparser::GlobalSectionReader<'_>, profile: Profile) -> Finding {
    for global in reader.into_iter_with_offsets() {
        let (offset, global) = global?;
        if let Some(feature) = value_feature(global.ty.content_type, profile) {
            return Ok(Some((feature, offset)));
        }
        if let Some(found) = constant_feature(&global.init_expr)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Names what a constant expression has beyond one constant.
///
/// Reading a global is among that: imported globals are refused, and the module's own ones can be
/// read in constant expressions only since they were extended.
fn constant_feature(expression: &wasmparser::ConstExpr<'_>) -> Finding {
    for operator in expression.get_operators_reader().into_iter_with_offsets() {
        let (operator, offset) = operator?;
        let plain = matches!(
            operator,
            Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }
                | Operator::End
        );
        if !plain {
            return Ok(Some(("extended-const", offset)));
        }
    }
    Ok(None)
}

fn elements_feature(reader: wasmparser::ElementSectionReader<'_>) -> Finding {
    for element in reader.into_iter_with_offsets() {
        let (offset, element) = element?;
        match &element.kind {
            ElementKind::Active { offset_expr, .. } => {
                if let Some(found) = constant_feature(offset_expr)? {
                    return Ok(Some(found));
                }
            }
            ElementKind::Passive | ElementKind::Declared => {
                return Ok(Some(("passive-elements", offset)));
            }
        }
        if matches!(element.items, ElementItems::Expressions(..)) {
            return Ok(Some(("reference-types", offset)));
        }
    }
    Ok(None)
}

fn data_feature(reader: wasmparser::DataSectionReader<'_>) -> Finding {
    for data in reader.into_iter_with_offsets() {
        let (offset, data) = data?;
        match &data.kind {
            DataKind::Passive => return Ok(Some(("passive-data", offset))),
            DataKind::Active { offset_expr, .. } => {
                if let Some(found) = constant_feature(offset_expr)? {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}

fn body_feature(body: &wasmparser::FunctionBody<'_>, profile: Profile) -> Finding {
    let mut locals = body.get_locals_reader()?;
    for _ in 0..locals.get_count() {
        let offset = locals.original_position();
        let (_, value) = locals.read()?;
        if let Some(feature) = value_feature(value, profile) {
            return Ok(Some((feature, offset)));
        }
    }
    for operator in body.get_operators_reader()?.into_iter_with_offsets() {
        let (operator, offset) = operator?;
        if let Some(feature) = proposal_of(&operator).feature_of(&operator, profile) {
            return Ok(Some((feature, offset)));
        }
    }
    Ok(None)
}
