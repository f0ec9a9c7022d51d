//! The entry of a wrapped module.

use wasm_encoder::{Function, Ieee32, Ieee64, InstructionSink, ValType as Wasm};
use wasmparser::{FuncType, ValType};

use super::{Parts, Places};
use crate::Random;

/// Greatest number of calls that an entry makes.
const CALLS_MAX: u64 = 5;

/// Returns a body that calls some generated functions and folds their results into one i32.
pub(super) fn body(parts: &Parts, places: &Places, random: &mut Random) -> Function {
    // Local 0 is the sum so far; the others take a result each while they are folded.
    let floats = [ValType::F32, ValType::F64];
    let has_floats = parts.types.iter().any(|ty| ty.results().iter().any(|r| floats.contains(r)));
    let locals: &[Wasm] = match has_floats {
        true => &[Wasm::I32, Wasm::I32, Wasm::I64, Wasm::F32, Wasm::F64],
        false => &[Wasm::I32, Wasm::I32, Wasm::I64],
    };
    let mut function = Function::new_with_locals_types(locals.iter().copied());
    let mut sink = function.instructions();
    for _ in 0..=random.below(CALLS_MAX) {
        let Some(target) = Target::choose(parts, random) else { continue };
        for _ in 0..target.repeat {
            call(&mut sink, &parts.types[target.type_index as usize], places, &target, random);
        }
    }
    sink.local_get(0).end();
    function
}

/// A function that the entry calls.
struct Target {
    /// Index in the generated module.
    function: u32,
    type_index: u32,
    /// How often it is called in a row, so that limits of hostcalls are reached.
    repeat: u64,
}

impl Target {
    /// Chooses a generated function, or one of the kit, which generated code calls too seldom.
    fn choose(parts: &Parts, random: &mut Random) -> Option<Self> {
        let tools = parts.tools.len();
        if tools > 0 && random.one_in(2) {
            let index = random.index(tools);
            let (_, type_index) = parts.tools[index];
            return Some(Self { function: small(index), type_index, repeat: 1 + random.below(12) });
        }
        let index = random.index(parts.functions.len());
        let type_index = *parts.functions.get(index)?;
        Some(Self { function: small(tools + index), type_index, repeat: 1 })
    }
}

fn small(index: usize) -> u32 {
    u32::try_from(index).expect("a generated module is small")
}

/// Calls a function with constants and folds what it returns.
fn call(
    sink: &mut InstructionSink<'_>,
    ty: &FuncType,
    places: &Places,
    target: &Target,
    random: &mut Random,
) {
    for param in ty.params() {
        constant(sink, *param, random);
    }
    sink.call(places.of(target.function));
    for result in ty.results().iter().rev() {
        fold(sink, *result);
    }
}

/// Returns a body that says which ABI version the module is of.
pub(super) fn version() -> Function {
    let mut function = Function::new([]);
    let version = kapsule_abi::ABI_VERSION.cast_signed();
    function.instructions().i32_const(version).end();
    function
}

/// Pushes a number: small, at the edge of its type, or any.
fn constant(sink: &mut InstructionSink<'_>, ty: ValType, random: &mut Random) {
    const EDGES: [u64; 8] =
        [0, 1, u64::MAX, 1 << 31, (1 << 31) - 1, 1 << 63, 0x7ff8_0000_0000_0001, 65_536];
    let bits = match random.below(3) {
        0 => random.below(64),
        1 => EDGES[random.index(EDGES.len())],
        _ => random.next_u64(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits will do")]
    let low = bits as u32;
    match ty {
        ValType::I64 => sink.i64_const(bits.cast_signed()),
        ValType::F32 => sink.f32_const(Ieee32::new(low)),
        ValType::F64 => sink.f64_const(Ieee64::new(bits)),
        _ => sink.i32_const(low.cast_signed()),
    };
}

/// Takes one value from the operand stack into the sum, floats by their bits.
fn fold(sink: &mut InstructionSink<'_>, ty: ValType) {
    let scratch = match ty {
        ValType::I64 => 2,
        ValType::F32 => 3,
        ValType::F64 => 4,
        _ => 1,
    };
    sink.local_set(scratch);
    sink.local_get(0).i32_const(31).i32_mul();
    sink.local_get(scratch);
    match ty {
        ValType::I64 => fold_halves(sink),
        ValType::F32 => {
            sink.i32_reinterpret_f32();
        }
        ValType::F64 => {
            sink.i64_reinterpret_f64();
            fold_halves(sink);
        }
        _ => {}
    }
    sink.i32_add().local_set(0);
}

/// Turns an i64 into an i32 that depends on both halves.
fn fold_halves(sink: &mut InstructionSink<'_>) {
    sink.local_tee(2).local_get(2).i64_const(32).i64_shr_u().i64_xor().i32_wrap_i64();
}
