//! Rows of `ABSORB` and `POSEIDON2`.

use std::collections::BTreeMap;

use kapsule_lower::isa::{Op, TAG_IN, TAG_OUT};
use kapsule_proof::field::{F, element, limbs};
use kapsule_proof::machine::Columns;
use kapsule_proof::tables::absorb::{Event, Row};
use kapsule_proof::tables::{HEIGHT_MIN, poseidon2};
use kapsule_proof::{Compression, half_block};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::record::Log;

/// One event with its time.
struct Timed {
    ts: u32,
    tag: u8,
    word: u64,
}

/// Returns the cells of both tables; empty ones if there are no events.
pub(super) fn cells(log: &Log, start: [u32; 8]) -> [Vec<F>; 2] {
    let events: Vec<Timed> = log
        .records()
        .filter_map(|record| {
            let tag = match record.instr().op {
                Op::In => TAG_IN,
                Op::Out => TAG_OUT,
                _ => return None,
            };
            Some(Timed { ts: record.step.ts, tag, word: record.cell(0).written })
        })
        .collect();
    let hash = Compression::new();
    let (mut absorb, mut blocks) = (Vec::new(), BTreeMap::<[u32; 16], u32>::new());
    let mut before = start.map(element);
    let pairs = events.chunks(2).len();
    for (index, pair) in events.chunks(2).enumerate() {
        let half = |event: Option<&Timed>| {
            event.map_or([F::ZERO; 4], |event| half_block(event.tag, event.word))
        };
        let (one, two) = (half(pair.first()), half(pair.get(1)));
        let after = hash.absorb(before, one, two);
        let mut input = [F::ZERO; 16];
        input[..8].copy_from_slice(&before);
        input[8..12].copy_from_slice(&one);
        input[12..].copy_from_slice(&two);
        *blocks.entry(input.map(|element| element.as_canonical_u32())).or_default() += 1;
        let next = events.get(2 * index + 2);
        let row = row(pair, next, [before, after], [index, pairs]);
        row.write(&mut absorb);
        before = after;
    }
    let mut poseidon2 = Vec::new();
    for (input, count) in blocks {
        poseidon2::row(input.map(element), count).write(&mut poseidon2);
    }
    fill(&mut poseidon2);
    [absorb, poseidon2]
}

/// Fills `POSEIDON2`, whose rows are permutations even where nobody asks for them.
fn fill(cells: &mut Vec<F>) {
    let width = <poseidon2::Row<F> as Columns<F>>::WIDTH;
    if cells.is_empty() {
        return;
    }
    let mut unused = Vec::with_capacity(width);
    poseidon2::row([F::ZERO; 16], 0).write(&mut unused);
    let height = (cells.len() / width).next_power_of_two().max(HEIGHT_MIN);
    while cells.len() < height * width {
        cells.extend_from_slice(&unused);
    }
}

fn row(
    pair: &[Timed],
    next: Option<&Timed>,
    [before, after]: [[F; 8]; 2],
    [index, pairs]: [usize; 2],
) -> Row<F> {
    let event = |event: Option<&Timed>| {
        event.map_or(Event { ts: F::ZERO, tag: F::ZERO, word: [F::ZERO; 4] }, |event| Event {
            ts: element(event.ts),
            tag: F::from_u8(event.tag),
            word: limbs(event.word),
        })
    };
    let split = |gap: u32| [gap & 0x3fff, gap >> 14].map(element);
    let between = |from: Option<&Timed>, to: Option<&Timed>| match (from, to) {
        (Some(from), Some(to)) => split(to.ts - from.ts - 1),
        _ => split(0),
    };
    Row {
        valid: F::ONE,
        pad: F::from_bool(pair.len() == 1),
        first: F::from_bool(index == 0),
        last: F::from_bool(index + 1 == pairs),
        events: F::from_usize(2 * index + pair.len()),
        before,
        one: event(pair.first()),
        two: event(pair.get(1)),
        after,
        inner: between(pair.first(), pair.get(1)),
        outer: between(pair.get(1), next),
    }
}
