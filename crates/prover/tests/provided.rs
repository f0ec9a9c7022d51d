//! What the tables that only answer have rows for, worked out without the tables.

use kapsule_lower::LProgram;
use kapsule_lower::isa::PC_CODE;
use kapsule_proof::field::F;
use kapsule_proof::tables::{poseidon2, range};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

/// Returns whether some row of the program, of a table that is the same for every program, or of
/// Poseidon2 is this tuple.
pub(crate) fn provided(program: &LProgram, bus: &str, tuple: &[u32]) -> bool {
    match (bus, tuple) {
        ("PROG", [pc, op, a, b, c @ .., cost]) => {
            let position = pc.checked_sub(PC_CODE).map(|position| position as usize);
            position.and_then(|position| program.code.get(position)).is_some_and(|instr| {
                (*op, *a, *b) == (instr.op as u32, instr.a, instr.b)
                    && c == instr.c.map(u32::from)
                    && *cost == u32::from(instr.cost)
            })
        }
        ("P2", [..]) => {
            let input = core::array::from_fn(|index| F::from_u32(tuple[index]));
            let output = &poseidon2::row(input, 0).end[48..56];
            output.iter().zip(&tuple[16..]).all(|(one, other)| one.as_canonical_u32() == *other)
        }
        _ => fixed(bus, tuple) == Some(true),
    }
}

/// Returns whether a table that is the same for every program has the tuple, or `None` for a bus
/// that none of them answers.
pub(crate) fn fixed(bus: &str, tuple: &[u32]) -> Option<bool> {
    let byte = |value: u32| u8::try_from(value).ok();
    match (bus, tuple) {
        ("RNG", [x, bits]) => Some(range::position(*x, *bits).is_some()),
        ("BYTE2", [x, y]) => Some(byte(*x).is_some() && byte(*y).is_some()),
        ("AND", [x, y, and]) => Some(byte(*x).is_some() && byte(*y).is_some() && x & y == *and),
        ("CNT", [x, leading, trailing, set]) => Some(byte(*x).is_some_and(|x| {
            [x.leading_zeros(), x.trailing_zeros(), x.count_ones()] == [*leading, *trailing, *set]
        })),
        _ => None,
    }
}
