//! Rows of `BOUNDARY` and `CONNECTOR`.

use std::collections::HashMap;

use kapsule_lower::isa::{FUEL_DYN, PC_CODE};
use kapsule_lower::{Instr, LProgram};
use kapsule_proof::SegmentPublic;
use kapsule_proof::field::{F, element, limbs};
use kapsule_proof::machine::Columns;
use kapsule_proof::publics::{TIED, TIED_FIRST};
use kapsule_proof::tables::{boundary, connector};
use p3_field::PrimeCharacteristicRing;

use super::record::{Log, since};

/// What became of a cell.
struct Life {
    image: bool,
    initial: u64,
    last: u64,
    ts: u32,
}

/// Returns the cells of both tables.
pub(super) fn cells(
    program: &LProgram,
    log: &Log,
    end: &SegmentPublic,
    publics: &[F],
) -> [Vec<F>; 2] {
    let mut lives: HashMap<u32, Life> = program
        .image()
        .map(|(addr, value)| (addr, Life { image: true, initial: value, last: value, ts: 0 }))
        .collect();
    for (ts, access) in log.accesses() {
        let life = lives.entry(access.addr).or_insert(Life {
            image: false,
            initial: access.old,
            last: 0,
            ts: 0,
        });
        (life.last, life.ts) = (access.new, ts);
    }
    let fuel = lives.entry(FUEL_DYN).or_insert(Life { image: false, initial: 0, last: 0, ts: 0 });
    let access = since(end.ts_out, fuel.ts);
    fuel.ts = end.ts_out;
    [boundary_cells(&lives), connector_cells(program, end, publics, access)]
}

/// Returns the rows by address, of which a verifier demands the order.
fn boundary_cells(lives: &HashMap<u32, Life>) -> Vec<F> {
    let mut cells = Vec::with_capacity(lives.len() * 20);
    let mut lives: Vec<(&u32, &Life)> = lives.iter().collect();
    lives.sort_unstable_by_key(|(addr, _)| **addr);
    let next = lives.iter().skip(1).map(|(addr, _)| Some(*addr)).chain([None]);
    for (&(addr, life), next) in lives.iter().zip(next) {
        let gap = next.map_or(0, |next| next - addr - 1);
        boundary::Row {
            valid: F::ONE,
            image: F::from_bool(life.image),
            more: F::from_bool(next.is_some()),
            addr: element(*addr),
            addr_low: element(addr & 0x3fff),
            gap_low: element(gap & 0x3fff),
            gap_high: element(gap >> 14),
            initial: limbs(life.initial),
            last: limbs(life.last),
            ts: element(life.ts),
        }
        .write(&mut cells);
    }
    cells
}

fn connector_cells(
    program: &LProgram,
    end: &SegmentPublic,
    publics: &[F],
    fuel: kapsule_proof::machine::Access<F>,
) -> Vec<F> {
    let tied = &publics[TIED_FIRST..TIED_FIRST + TIED];
    let short = end.oof_cost.and_then(|_| program.code.get((end.pc_out - PC_CODE) as usize));
    let instr = short.map_or([F::ZERO; 7], |instr: &Instr| {
        let [c0, c1, c2, c3] = instr.c.map(F::from_u16);
        let [op, a, b] = [instr.op as u32, instr.a, instr.b].map(element);
        [op, a, b, c0, c1, c2, c3]
    });
    let row = connector::Row {
        live: F::ONE,
        public: connector::Public::read(&mut tied.iter()),
        tx_none: F::from_bool(end.tx_events == 0),
        instr,
        fuel,
    };
    let mut cells = Vec::new();
    row.write(&mut cells);
    cells
}
