//! `lprogram_check`: what must hold of every lowered program, found out without the lowering.
//!
//! It reads the program, the metering plan and the types of the module, and shares no code with
//! the passes, so that a mistake in them does not hide itself.

use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;

use kapsule_abi::Trap;
use wasmparser::Operator;

use crate::isa::{
    A, B, C, DENIED_COUNT, GLOBALS, Op, PAGE_CELLS, PAGES_MAX, PC_CODE, PC_COMPLETED, PC_DENIED,
    PC_TRAP, trap_pc,
};
use crate::module::Module;
use crate::{Instr, LProgram, LowerError, Lowered, Origin, Piece};

/// Greatest value of the fields `a` and `b`, which have 22 bits.
const FIELD_MAX: u32 = (1 << 22) - 1;
/// Slots that a routine has.
const ROUTINE_SLOTS: u32 = 5;
/// Arguments of a routine.
const ROUTINE_PARAMS: u32 = 3;
/// Instructions in front of an entry stub that read the salt.
const SALT_INSTRS: u32 = 4;

/// A rule that a lowered program breaks: a mistake of the lowering, never of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Name of the rule.
    pub rule: &'static str,
    /// Program counter, or 0 where the fault is in no instruction.
    pub pc: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lowered program breaks rule {} at {}", self.rule, self.pc)
    }
}

/// Returns a fault where a condition holds that breaks a rule.
macro_rules! refuse {
    ($name:literal, $pc:expr, $violated:expr) => {
        if $violated {
            return Err(Fault { rule: $name, pc: $pc }.into());
        }
    };
}

/// Checks a lowered program against the module that it was lowered from.
///
/// # Errors
/// [`LowerError::Fault`] with the first rule that is broken; [`LowerError::Module`] if the module
/// cannot be read.
///
/// # Spec
/// `spec/lowering.md` section 10.
pub fn lprogram_check(lowered: &Lowered, wasm: &[u8]) -> Result<(), LowerError> {
    let module = Module::read(wasm)?;
    let checker = Checker::new(lowered, &module);
    checker.pieces()?;
    checker.layout()?;
    checker.entries()?;
    for piece in &lowered.pieces {
        checker.piece(piece)?;
    }
    Ok(())
}

struct Checker<'a> {
    program: &'a LProgram,
    lowered: &'a Lowered,
    module: &'a Module<'a>,
    /// Piece that starts at a program counter.
    starts: BTreeMap<u32, &'a Piece>,
}

/// What a piece may name.
struct Bounds {
    /// Slots of its frame.
    weight: u32,
    /// Arguments or results of any function that it calls.
    outgoing: u32,
}

impl<'a> Checker<'a> {
    fn new(lowered: &'a Lowered, module: &'a Module<'a>) -> Self {
        let starts = lowered.pieces.iter().map(|piece| (piece.start, piece)).collect();
        Self { program: &lowered.program, lowered, module, starts }
    }

    /// Pieces follow each other, and each one's last instruction leads elsewhere.
    fn pieces(&self) -> Result<(), LowerError> {
        let mut next = PC_CODE;
        for piece in &self.lowered.pieces {
            let follows = piece.start == next && piece.end > piece.start;
            refuse!("lower.check.pieces", piece.start, !follows);
            let last = piece.end - 1;
            let leads_on =
                self.program.at(last).is_none_or(|instr| !matches!(instr.op, Op::Jmp | Op::Ret));
            refuse!("lower.check.fall", last, leads_on);
            next = piece.end;
        }
        let end = PC_CODE + self.program.code.len() as u32;
        refuse!("lower.check.pieces", end, next != end);
        Ok(())
    }

    /// Memory, table and globals are what the module says and have their place.
    fn layout(&self) -> Result<(), LowerError> {
        let memory = self.program.memory;
        let room = memory.pages_initial <= memory.pages_max && memory.pages_max <= PAGES_MAX;
        refuse!("lower.check.memory", 0, !room);
        let cells = memory.pages_initial * PAGE_CELLS;
        let data = &self.program.data;
        let ascending = data.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let inside = data.iter().all(|(cell, value)| *cell < cells && *value != 0);
        refuse!("lower.check.data", 0, !ascending || !inside);
        refuse!("lower.check.globals", 0, self.program.globals != self.module.globals);
        let expected = &self.module.table;
        refuse!("lower.check.table", 0, self.program.table.len() != expected.len());
        for (entry, function) in self.program.table.iter().zip(expected) {
            let found = entry.map(|entry| (self.function_at(entry.pc), entry.type_index));
            let expected = function.map(|function| (Some(function), self.type_of(function)));
            refuse!("lower.check.table", entry.map_or(0, |entry| entry.pc), found != expected);
        }
        Ok(())
    }

    /// Entries begin where entry stubs do, and have the numbers of their order.
    fn entries(&self) -> Result<(), LowerError> {
        for (number, stub) in (0..).zip(self.program.entries.values()) {
            let piece = self.starts.get(&stub.salted_pc);
            let is_entry = piece.is_some_and(|piece| piece.origin == Origin::Entry);
            let placed = stub.pc == stub.salted_pc + SALT_INSTRS && stub.index == number;
            refuse!("lower.check.entry", stub.pc, !is_entry || !placed);
        }
        Ok(())
    }

    fn function_at(&self, pc: u32) -> Option<u32> {
        match self.starts.get(&pc)?.origin {
            Origin::Function(index) | Origin::Stub(index) => Some(index),
            Origin::Routine | Origin::Entry => None,
        }
    }

    fn type_of(&self, function: u32) -> u32 {
        let kind = self.module.functions.get(function as usize).copied().unwrap_or(u32::MAX);
        self.module.canonical.get(kind as usize).copied().unwrap_or(u32::MAX)
    }

    /// Returns the greater number of parameters or results of a type.
    fn width(kind: &wasmparser::FuncType) -> u32 {
        kind.params().len().max(kind.results().len()) as u32
    }

    fn piece(&self, piece: &Piece) -> Result<(), LowerError> {
        let bounds = self.bounds(piece);
        self.costs(piece)?;
        let mut traps = 0;
        for pc in piece.start..piece.end {
            let Some(instr) = self.program.at(pc) else { continue };
            let is_entered = matches!(piece.origin, Origin::Function(_) | Origin::Stub(_));
            let enters = is_entered && pc == piece.start;
            refuse!("lower.check.enter", pc, (instr.op == Op::Enter) != enters);
            refuse!("lower.check.weight", pc, enters && instr.a != bounds.weight);
            Self::form(pc, instr)?;
            Self::slots(pc, instr, &bounds)?;
            self.cells(pc, instr)?;
            self.special(pc, instr, piece)?;
            if instr.op.form().0 == A::Target {
                traps += u32::from(self.target(pc, instr, piece)?);
            }
            if matches!(instr.op, Op::Call | Op::Calli) {
                let linked = instr.low() == pc + 1 && instr.high() == bounds.weight;
                refuse!("lower.check.linkage", pc, !linked);
            }
        }
        refuse!("lower.check.unreachable", piece.start, traps > self.unreachable(piece)?);
        Ok(())
    }

    fn bounds(&self, piece: &Piece) -> Bounds {
        match piece.origin {
            Origin::Function(index) => {
                let defined = (index - self.module.imports) as usize;
                let plan = self.program.plan.functions.get(defined);
                let weight = plan.map_or(0, |plan| plan.weight);
                let calls = (piece.start..piece.end).filter_map(|pc| self.callee_width(pc));
                Bounds { weight, outgoing: calls.max().unwrap_or(0) }
            }
            Origin::Stub(index) => {
                let plan = self.program.plan.stubs.get(index as usize);
                Bounds { weight: plan.map_or(0, |plan| plan.weight), outgoing: ROUTINE_PARAMS }
            }
            Origin::Routine => Bounds { weight: ROUTINE_SLOTS + 1, outgoing: 0 },
            // Its frame is empty, and the entry leaves one result behind it.
            Origin::Entry => Bounds { weight: 0, outgoing: 1 },
        }
    }

    /// Returns how many slots behind the frame the instruction at `pc` has a use for.
    fn callee_width(&self, pc: u32) -> Option<u32> {
        let instr = self.program.at(pc)?;
        match instr.op {
            Op::Call => match self.function_at(instr.a) {
                Some(function) => Some(Self::width(self.module.function_type(function))),
                None => Some(ROUTINE_PARAMS),
            },
            Op::Calli => {
                let kind = self.module.canonical.iter().position(|number| *number == instr.a)?;
                self.module.types.get(kind).map(Self::width)
            }
            Op::Mgrow => Some(1),
            _ => None,
        }
    }

    /// The costs of a function are the charges of its plan, in order; a stub pays on entry.
    fn costs(&self, piece: &Piece) -> Result<(), LowerError> {
        let instrs = (piece.start..piece.end).filter_map(|pc| self.program.at(pc));
        let costs = instrs.map(|instr| instr.cost).filter(|cost| *cost > 0);
        let equal = match piece.origin {
            Origin::Function(index) => {
                let defined = (index - self.module.imports) as usize;
                let plan = self.program.plan.functions.get(defined);
                let charges = plan.into_iter().flat_map(|plan| &plan.charges);
                costs.eq(charges.map(|charge| charge.cost))
            }
            Origin::Stub(index) => {
                let plan = self.program.plan.stubs.get(index as usize);
                let paid = self.program.at(piece.start).map(|instr| instr.cost);
                let due = plan.map(|plan| plan.block_cost);
                due == paid && costs.eq(due.filter(|cost| *cost > 0))
            }
            Origin::Routine | Origin::Entry => costs.count() == 0,
        };
        refuse!("lower.check.cost", piece.start, !equal);
        Ok(())
    }

    /// Fields that mean nothing are zero, and the others have their width.
    fn form(pc: u32, instr: &Instr) -> Result<(), LowerError> {
        let (a, b, c) = instr.op.form();
        let [_, c1, c2, c3] = instr.c;
        let unused = (a == A::None && instr.a != 0)
            || (b == B::None && instr.b != 0)
            || match c {
                C::None => instr.imm() != 0,
                C::Slot | C::Pages => (c1, c2, c3) != (0, 0, 0),
                C::Imm32 | C::Slots | C::Offset => (c2, c3) != (0, 0),
                C::Count => (c2, c3) != (0, 0) || instr.low() > FIELD_MAX,
                C::Imm64 | C::Linkage => false,
            };
        let wide = instr.a > FIELD_MAX || instr.b > FIELD_MAX;
        refuse!("lower.check.form", pc, unused || wide);
        Ok(())
    }

    /// Every slot lies in the frame or among arguments and results behind it, and none is linkage.
    fn slots(pc: u32, instr: &Instr, bounds: &Bounds) -> Result<(), LowerError> {
        let (a, b, c) = instr.op.form();
        let [c0, c1, ..] = instr.c.map(u32::from);
        let named = [
            matches!(a, A::Dest | A::Source).then_some(instr.a),
            (b == B::Slot).then_some(instr.b),
            matches!(c, C::Slot | C::Slots).then_some(c0),
            (c == C::Slots).then_some(c1),
        ];
        let inside = |slot: u32| {
            slot != 0 && slot != bounds.weight && slot <= bounds.weight + bounds.outgoing
        };
        refuse!("lower.check.slot", pc, !named.into_iter().flatten().all(inside));
        Ok(())
    }

    /// Globals and types exist, and memory grows to the maximum in force.
    fn cells(&self, pc: u32, instr: &Instr) -> Result<(), LowerError> {
        let (a, b, _) = instr.op.form();
        let globals = GLOBALS..GLOBALS + self.program.globals.len() as u32;
        let named = [(a == A::Global).then_some(instr.a), (b == B::Global).then_some(instr.b)];
        let all = named.into_iter().flatten().all(|cell| globals.contains(&cell));
        refuse!("lower.check.global", pc, !all);
        let unknown = a == A::Type && !self.module.canonical.contains(&instr.a);
        refuse!("lower.check.type", pc, unknown);
        let maximum = u32::from(instr.c[0]) == self.program.memory.pages_max;
        refuse!("lower.check.pages", pc, instr.op == Op::Mgrow && !maximum);
        Ok(())
    }

    /// Words pass only in stubs, routines and entries, and a function charges only for growth.
    fn special(&self, pc: u32, instr: &Instr, piece: &Piece) -> Result<(), LowerError> {
        if !matches!(piece.origin, Origin::Function(_)) {
            return Ok(());
        }
        refuse!("lower.check.words", pc, matches!(instr.op, Op::In | Op::Out));
        let beside = |pc: u32| self.program.at(pc).map(|instr| instr.op);
        let grows = beside(pc + 1) == Some(Op::Mgrow) && beside(pc - 1) == Some(Op::Shl32I);
        refuse!("lower.check.charge", pc, instr.op == Op::Charge && !grows);
        let charged = beside(pc - 1) == Some(Op::Charge);
        refuse!("lower.check.charge", pc, instr.op == Op::Mgrow && !charged);
        Ok(())
    }

    /// Jumps stay in their piece, calls go to the start of another, and reserved program counters
    /// are reached only where the source says so; returns whether this is an `unreachable`.
    fn target(&self, pc: u32, instr: &Instr, piece: &Piece) -> Result<bool, LowerError> {
        let inside = |pc: u32| piece.start <= pc && pc < piece.end;
        let is_unreachable = instr.op == Op::Jmp && instr.a == PC_TRAP;
        let allowed = match instr.op {
            Op::Call => self.starts.get(&instr.a).is_some_and(|to| to.origin != Origin::Entry),
            Op::Brtab if instr.a >= PC_CODE => {
                let last = instr.a + instr.low();
                let rows = instr.a.checked_sub(piece.start).is_some() && inside(last);
                rows && (instr.a..=last)
                    .all(|row| self.program.at(row).is_some_and(|i| i.op == Op::Jmp))
            }
            Op::Brtab => {
                let denied = instr.a == PC_DENIED && instr.low() < DENIED_COUNT;
                denied && matches!(piece.origin, Origin::Stub(_))
            }
            _ if instr.a >= PC_CODE => inside(instr.a),
            Op::Jmp => match piece.origin {
                Origin::Function(_) => is_unreachable,
                Origin::Entry => instr.a == PC_COMPLETED && pc + 1 == piece.end,
                Origin::Stub(_) | Origin::Routine => false,
            },
            _ => self.may_trap(instr.a, piece),
        };
        refuse!("lower.check.jump", pc, !allowed);
        Ok(is_unreachable)
    }

    /// Tells whether a branch of this piece may end in a trap.
    fn may_trap(&self, pc: u32, piece: &Piece) -> bool {
        let violated = pc == trap_pc(Trap::HostContractViolated);
        match piece.origin {
            Origin::Stub(_) => violated,
            Origin::Routine => violated || pc == trap_pc(Trap::MemoryOutOfBounds),
            Origin::Function(_) | Origin::Entry => false,
        }
    }

    /// Returns how often the source of a piece says `unreachable`.
    fn unreachable(&self, piece: &Piece) -> Result<u32, LowerError> {
        let Origin::Function(index) = piece.origin else { return Ok(0) };
        let Some(body) = self.module.bodies.get((index - self.module.imports) as usize) else {
            return Ok(0);
        };
        let mut count = 0;
        for operator in body.get_operators_reader()? {
            count += u32::from(matches!(operator?, Operator::Unreachable));
        }
        Ok(count)
    }
}

/// Returns the opcodes that a program uses, for reports and tests.
#[must_use]
pub fn opcodes(program: &LProgram) -> BTreeSet<Op> {
    program.code.iter().map(|instr| instr.op).collect()
}
