//! Rows of `LDX` and `STX`.

use kapsule_abi::Trap;
use kapsule_lower::isa::{Op, trap_pc};
use kapsule_proof::chips::span::Span;
use kapsule_proof::chips::{ldx, stx};
use kapsule_proof::field::{F, element, limbs};
use p3_field::PrimeCharacteristicRing;

use super::binary::bytes;
use super::record::Record;

/// Where an access lies.
#[derive(Clone, Copy)]
struct Place {
    /// First byte within its cell.
    byte: u32,
    size: u32,
    outside: bool,
    columns: Span<F>,
}

const fn size(op: Op) -> u32 {
    match op {
        Op::Ld8U | Op::Ld8S32 | Op::Ld8S64 | Op::St8 => 1,
        Op::Ld16U | Op::Ld16S32 | Op::Ld16S64 | Op::St16 => 2,
        Op::Ld32U | Op::Ld32S64 | Op::St32 => 4,
        _ => 8,
    }
}

fn place(record: &Record<'_>) -> Place {
    let (instr, base, pages) = (record.instr(), record.cell(0), record.step.pages);
    let size = size(instr.op);
    let [b0, b1, ..] = kapsule_lower::limbs(base.value).map(u32::from);
    let [c0, c1, ..] = instr.c.map(u32::from);
    let carry = (b0 + c0) >> 16;
    let low = (b0 + c0) & 0xffff;
    let last = low + size - 1;
    let page = b1 + c1 + carry + (last >> 16);
    let outside = page >= pages;
    let distance = if outside { page - pages } else { pages - 1 - page };
    let byte = low & 7;
    let columns = Span {
        base: [b0, b1].map(element),
        read: base.access,
        offset: [c0, c1].map(element),
        carry: element(carry),
        carry_last: element(last >> 16),
        byte: core::array::from_fn(|mark| F::from_bool(mark == byte as usize)),
        outside: F::from_bool(outside),
        two: F::from_bool(!outside && byte + size > 8),
        distance: [distance & 0xffff, distance >> 16].map(element),
    };
    Place { byte, size, outside, columns }
}

/// Returns the next program counter.
fn next(record: &Record<'_>, outside: bool) -> F {
    element(if outside { trap_pc(Trap::MemoryOutOfBounds) } else { record.step.pc + 1 })
}

/// Returns the bytes of two cells.
fn window(first: u64, second: u64) -> [F; 16] {
    let (first, second): ([F; 8], [F; 8]) = (bytes(first), bytes(second));
    core::array::from_fn(|byte| if byte < 8 { first[byte] } else { second[byte - 8] })
}

pub(super) fn load(record: &Record<'_>) -> ldx::Row<F> {
    let instr = record.instr();
    let place = place(record);
    let [first, second, write] = [1, 2, 3].map(|slot| record.cell(slot));
    let cells = u128::from(first.value) | u128::from(second.value) << 64;
    let extends =
        matches!(instr.op, Op::Ld8S32 | Op::Ld8S64 | Op::Ld16S32 | Op::Ld16S64 | Op::Ld32S64);
    // The last byte that is loaded, which holds the sign.
    let last = (cells >> (8 * (place.byte + place.size - 1))) as u8;
    let top = if extends { last } else { 0 };
    ldx::Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(ldx::OPS),
        span: place.columns,
        window: window(first.value, second.value),
        first: first.access,
        second: second.access,
        top: F::from_u8(top),
        sign: F::from_bool(top >= 1 << 7),
        z: write.new,
        old: write.old,
        write: write.access,
        next: next(record, place.outside),
    }
}

pub(super) fn store(record: &Record<'_>) -> stx::Row<F> {
    let instr = record.instr();
    let place = place(record);
    let [value, first, second] = [1, 2, 3].map(|slot| record.cell(slot));
    let mask = u128::from(u64::MAX >> (64 - 8 * place.size)) << (8 * place.byte);
    let cells = u128::from(first.value) | u128::from(second.value) << 64;
    let new = cells & !mask | u128::from(value.value) << (8 * place.byte) & mask;
    stx::Row {
        state: record.state(),
        a: element(instr.a),
        b: element(instr.b),
        cost: F::from_u8(instr.cost),
        selectors: record.selectors(stx::OPS),
        span: place.columns,
        value: bytes(value.value),
        read: value.access,
        window: window(first.value, second.value),
        // Also where nothing is stored, as the constraints do not ask.
        new_first: limbs(new as u64),
        first: first.access,
        new_second: limbs((new >> 64) as u64),
        second: second.access,
        next: next(record, place.outside),
    }
}
