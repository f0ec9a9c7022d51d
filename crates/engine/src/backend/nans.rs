//! Canonical NaNs for the compiler, checked only where their bits can be seen.
//!
//! Arithmetic that gives a NaN leaves its sign and payload to the processor.
//! Which NaN is the operand of more arithmetic, of a comparison or of a conversion to an integer
//! shows in no result, so a value goes through a check only if something else may see it: a store,
//! a reinterpretation, a call, a global, or the end of a block.
//! The interpreter checks every result, and both give the same bits
//! (`docs/decisions/0071-nans-where-they-show.md`).

mod flow;

use alloc::borrow::Cow;
use alloc::vec::Vec;

use flow::Flow;
use wasm_encoder::{BlockType, CodeSection, Encode, Ieee32, Ieee64, InstructionSink, ValType};
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, FunctionBody, Operator, Parser, ValidPayload,
    Validator, ValidatorResources,
};

use super::recode::{relative, with_code};

/// The NaN of the profile: quiet, positive, with an empty payload.
const NAN_32: Ieee32 = Ieee32::new(0x7fc0_0000);
const NAN_64: Ieee64 = Ieee64::new(0x7ff8_0000_0000_0000);

/// Width of a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    F32,
    F64,
}

/// Returns the module with checks, or as it is if nothing in it needs one.
///
/// # Errors
/// What is not valid in the module.
pub(super) fn canonical(wasm: &[u8]) -> wasmparser::Result<Cow<'_, [u8]>> {
    let mut validator = Validator::new();
    let mut allocations = FuncValidatorAllocations::default();
    let mut code = CodeSection::new();
    let mut changed = false;
    for payload in Parser::new(0).parse_all(wasm) {
        let ValidPayload::Func(function, body) = validator.payload(&payload?)? else { continue };
        let written = match calculates(&body)? {
            true => checked(function, &body, &mut allocations)?,
            false => None,
        };
        changed |= written.is_some();
        code.raw(written.as_deref().unwrap_or(body.as_bytes()));
    }
    Ok(if changed { Cow::Owned(with_code(wasm, &code)?) } else { Cow::Borrowed(wasm) })
}

/// Tells whether a body has arithmetic in floats, without validating it.
fn calculates(body: &FunctionBody<'_>) -> wasmparser::Result<bool> {
    let mut reader = body.get_operators_reader()?;
    while !reader.eof() {
        if result(&reader.read()?).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the width of the result if that may be a NaN that the processor chose.
fn result(operator: &Operator<'_>) -> Option<Width> {
    use Operator as Op;
    match operator {
        Op::F32Add | Op::F32Sub | Op::F32Mul | Op::F32Div | Op::F32Min | Op::F32Max => {
            Some(Width::F32)
        }
        Op::F32Ceil | Op::F32Floor | Op::F32Trunc | Op::F32Nearest | Op::F32Sqrt => {
            Some(Width::F32)
        }
        Op::F64Add | Op::F64Sub | Op::F64Mul | Op::F64Div | Op::F64Min | Op::F64Max => {
            Some(Width::F64)
        }
        Op::F64Ceil | Op::F64Floor | Op::F64Trunc | Op::F64Nearest | Op::F64Sqrt => {
            Some(Width::F64)
        }
        Op::F32DemoteF64 => Some(Width::F32),
        Op::F64PromoteF32 => Some(Width::F64),
        _ => None,
    }
}

/// A result in a body, with where its operator ends.
struct Calculated {
    end: usize,
    width: Width,
    node: flow::Node,
}

/// Returns a body with checks, or `None` if no NaN of it can be seen.
fn checked(
    function: FuncToValidate<ValidatorResources>,
    body: &FunctionBody<'_>,
    allocations: &mut FuncValidatorAllocations,
) -> wasmparser::Result<Option<Vec<u8>>> {
    let mut validator = function.into_validator(core::mem::take(allocations));
    validator.read_locals(&mut body.get_binary_reader())?;
    let mut reader = body.get_operators_reader()?;
    let locals = validator.len_locals();
    let mut flow = Flow::new(locals);
    let mut calculated = Vec::new();
    while !reader.eof() {
        let at = reader.original_position();
        let operator = reader.read()?;
        let node = flow.step(&operator, &mut validator, at)?;
        let end = relative(body, reader.original_position());
        let found = node.zip(result(&operator));
        calculated.extend(found.map(|(node, width)| Calculated { end, width, node }));
    }
    *allocations = validator.into_allocations();
    let seen = flow.seen();
    calculated.retain(|result| seen.contains(result.node));
    if calculated.is_empty() {
        return Ok(None);
    }
    write(body, locals, &calculated).map(Some)
}

/// Writes the body with two more locals and a check behind each of the results.
fn write(
    body: &FunctionBody<'_>,
    locals: u32,
    calculated: &[Calculated],
) -> wasmparser::Result<Vec<u8>> {
    let bytes = body.as_bytes();
    let mut groups = body.get_binary_reader();
    let count = groups.read_var_u32()?;
    let groups_start = relative(body, groups.original_position());
    let operators = body.get_operators_reader()?;
    let mut copied = relative(body, operators.original_position());
    let mut written = Vec::with_capacity(bytes.len() + 16 * calculated.len());
    (count + 2).encode(&mut written);
    written.extend_from_slice(&bytes[groups_start..copied]);
    for local in [ValType::F32, ValType::F64] {
        1_u32.encode(&mut written);
        local.encode(&mut written);
    }
    for result in calculated {
        written.extend_from_slice(&bytes[copied..result.end]);
        copied = result.end;
        check(&mut InstructionSink::new(&mut written), result.width, locals);
    }
    written.extend_from_slice(&bytes[copied..]);
    Ok(written)
}

/// Writes the replacement of a NaN on the stack.
///
/// A branch that is never taken costs less than a choice between both, for which every operation
/// that follows would wait, and x >= x is one branch on x86-64 where x != x is two.
fn check(sink: &mut InstructionSink<'_>, width: Width, locals: u32) {
    let held = match width {
        Width::F32 => locals,
        Width::F64 => locals + 1,
    };
    sink.local_tee(held).local_get(held);
    match width {
        Width::F32 => sink.f32_ge(),
        Width::F64 => sink.f64_ge(),
    };
    sink.if_(BlockType::Empty).else_();
    match width {
        Width::F32 => sink.f32_const(NAN_32),
        Width::F64 => sink.f64_const(NAN_64),
    };
    sink.local_set(held).end().local_get(held);
}
