//! How many wasm instructions a run executed.
//!
//! The metering plan knows the cost of every block and the lowered program carries it, so no wasm
//! is interpreted for this: an instruction costs 1, those that only structure control cost nothing,
//! and the few that cost more are taken back to 1.

use kapsule_lower::isa::Op;
use kapsule_lower::{Lowered, Origin};
use kapsule_prover::exec::{Access, Step, Tracer};

/// Cost of a `call` above 1, whatever it calls.
const CALL_EXTRA: u64 = 2;
/// Cost of a `call_indirect`, a `memory.grow`, a `memory.fill` and a `memory.copy` above 1.
const ROUTINE_EXTRA: u64 = 3;
/// Cost of a `br_table` above 1.
const TABLE_EXTRA: u64 = 1;

/// Counts the wasm instructions of a run that completes.
pub(super) struct Counter {
    /// By program counter: is the instruction lowered from a function, and of which kind is it?
    kinds: Vec<Option<u64>>,
    /// Cost of the instructions of functions.
    cost: u64,
    /// What of it is above 1 for each instruction.
    extra: u64,
}

impl Counter {
    pub(super) fn new(lowered: &Lowered) -> Self {
        let end = lowered.pieces.iter().map(|piece| piece.end).max().unwrap_or_default();
        let mut origins = vec![None; end as usize];
        for piece in &lowered.pieces {
            origins[piece.start as usize..piece.end as usize].fill(Some(piece.origin));
        }
        let routine = |pc: u32| origins.get(pc as usize) == Some(&Some(Origin::Routine));
        let first = kapsule_lower::isa::PC_CODE;
        let mut kinds = vec![None; end as usize];
        for (pc, instr) in (first..).zip(&lowered.program.code) {
            if matches!(origins.get(pc as usize), Some(Some(Origin::Function(_)))) {
                kinds[pc as usize] = Some(match instr.op {
                    Op::Call if routine(instr.a) => ROUTINE_EXTRA,
                    Op::Call => CALL_EXTRA,
                    Op::Calli | Op::Mgrow => ROUTINE_EXTRA,
                    Op::Brtab => TABLE_EXTRA,
                    _ => 0,
                });
            }
        }
        Self { kinds, cost: 0, extra: 0 }
    }

    /// Returns the number of instructions but `nop drop block loop else end return unreachable`.
    pub(super) const fn instructions(&self) -> u64 {
        self.cost - self.extra
    }
}

impl Tracer for Counter {
    fn step(&mut self, step: &Step) {
        if let Some(Some(extra)) = self.kinds.get(step.pc as usize) {
            self.cost += u64::from(step.instr.cost);
            self.extra += extra;
        }
    }

    fn access(&mut self, _: &Access) {}
}

#[cfg(test)]
mod tests {
    use kapsule_lower::{Options, lower};
    use kapsule_prover::exec::{Bounds, Machine, Recorded};

    use super::*;

    fn count(body: &str) -> u64 {
        let text = format!(
            "(module (memory (export \"memory\") 1) (table 1 funcref) (elem (i32.const 0) $one)
               (func (export \"kapsule_abi_version\") (result i32) i32.const 1)
               (func $one (result i32) i32.const 1)
               (func (export \"run\") (result i32) {body}))"
        );
        let lowered = lower(&wat::parse_str(text).unwrap(), &Options::new(2)).unwrap();
        let mut counter = Counter::new(&lowered);
        let bounds = Bounds { fuel: 1 << 20, steps: 1 << 20 };
        let pc = lowered.program.entries["run"].pc;
        let mut machine = Machine::new(&lowered.program).unwrap();
        machine.run(pc, bounds, &mut Recorded::default(), &mut counter).unwrap();
        counter.instructions()
    }

    #[test]
    fn each_instruction_counts_once() {
        let cases = [
            ("i32.const 1", 1),
            ("nop block nop end i32.const 1", 1),
            ("i32.const 1 i32.const 2 i32.add", 3),
            // A call, and one instruction in what it calls.
            ("call $one", 2),
            ("i32.const 0 call_indirect (result i32)", 3),
            ("block i32.const 0 br_table 0 0 end i32.const 1", 3),
            ("i32.const 1 memory.grow", 2),
            ("i32.const 0 i32.const 0 i32.const 9 memory.fill i32.const 1", 5),
            ("i32.const 8 i32.const 0 i32.const 9 memory.copy i32.const 1", 5),
        ];
        for (body, expect) in cases {
            assert_eq!(count(body), expect, "{body}");
        }
    }
}
