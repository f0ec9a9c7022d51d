//! One function body: validation, limits, metering blocks, and what the rewriting pass edits.

use alloc::vec::Vec;
use core::ops::Range;
use kapsule_abi::guard;
use wasmparser::{BlockType, FuncValidator, FunctionBody, ValType, WasmModuleResources};

use super::event::{Event, EventKind};
use super::step::{Act, Effect, Step};
use super::{Notes, Scan, check_feature, to_u32, to_usize, visit};
use crate::plan::{FunctionPlan, Partition, Position};
use crate::tables::stack_1;
use crate::{MeterError, Options, profile};

/// What is known of one body.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Bytes of the local declarations after their count.
    pub(crate) local_groups: Range<usize>,
    pub(crate) local_group_count: u32,
    /// Bytes of all operators, the last `end` included.
    pub(crate) operators: Range<usize>,
    /// Parameters and declared locals.
    pub(crate) locals: u32,
    /// Its metering blocks among those of the module.
    pub(crate) blocks: Range<usize>,
    /// Its events among those of the module.
    pub(crate) events: Range<usize>,
    /// Whether live code calls through the table.
    pub(crate) calls_indirect: bool,
    /// Whether live code grows, fills or copies memory.
    pub(crate) calls_routines: bool,
    /// Whether a live operator may trap.
    pub(crate) traps: bool,
    /// Whether a live branch leaves the function.
    pub(crate) branches_out: bool,
    /// The value, if the body does nothing but return one i32 constant.
    pub(crate) constant: Option<i32>,
}

/// Validates one body and plans it.
pub(super) fn scan_body<R: WasmModuleResources>(
    scan: &Scan,
    options: &Options,
    body: &FunctionBody<'_>,
    validator: &mut FuncValidator<R>,
    notes: &mut Notes,
) -> Result<(Body, FunctionPlan), MeterError> {
    let params = validator.len_locals();
    let (local_groups, local_group_count) = define_locals(scan, options, body, validator)?;
    let locals = validator.len_locals();
    let range = body.range();
    let mut reader = body.get_binary_reader_for_operators()?;
    let start = reader.original_position();
    let first_event = notes.events.len();
    let mut walk = Walk::new(scan, options, to_u32(start), params, notes);
    let mut at = to_u32(start);
    while !reader.eof() {
        let step = visit::next(&mut reader, validator, options.profile)?;
        let next = to_u32(reader.original_position());
        walk.step(step, at..next, validator.operand_stack_height())?;
        at = next;
    }
    visit::finish(&reader, validator)?;
    let weight = stack_1::frame_weight(params, locals.saturating_sub(params), walk.height);
    if guard!("meter.limit.frame-weight", weight > options.limits.frame_weight) {
        let allowed = u64::from(options.limits.frame_weight);
        return Err(MeterError::limit("frame weight", u64::from(weight), allowed).at(range.start));
    }
    let plan = FunctionPlan { weight, calls: walk.calls, charges: Vec::new() };
    let mut body = Body {
        local_groups,
        local_group_count,
        operators: to_usize(start)..to_usize(range.end),
        locals,
        blocks: 0..0,
        events: 0..0,
        calls_indirect: walk.calls_indirect,
        calls_routines: walk.calls_routines,
        traps: walk.traps,
        branches_out: walk.branches_out,
        constant: walk.constant(),
    };
    let (charges, blocks) = walk.partition.finish();
    body.blocks = blocks;
    body.events = first_event..notes.events.len();
    Ok((body, FunctionPlan { charges, ..plan }))
}

fn define_locals<R: WasmModuleResources>(
    scan: &Scan,
    options: &Options,
    body: &FunctionBody<'_>,
    validator: &mut FuncValidator<R>,
) -> Result<(Range<usize>, u32), MeterError> {
    let mut reader = body.get_locals_reader()?;
    let groups = reader.get_count();
    let start = to_usize(reader.original_position());
    let mut total = 0_u64;
    for _ in 0..groups {
        let offset = reader.original_position();
        let (count, value): (u32, ValType) = reader.read()?;
        check_feature(profile::value_feature(value, options.profile), options.profile, offset)?;
        total += u64::from(count);
        if guard!("meter.limit.locals", total > u64::from(options.limits.locals)) {
            let allowed = u64::from(options.limits.locals);
            return Err(MeterError::limit("locals", total, allowed).at(offset));
        }
        let module_total = scan.locals_total + total;
        let allowed = u64::from(options.limits.locals_total);
        if guard!("meter.limit.locals-total", module_total > allowed) {
            let what = "locals of all functions";
            return Err(MeterError::limit(what, module_total, allowed).at(offset));
        }
        validator.define_locals(offset, count, value)?;
    }
    Ok((start..to_usize(reader.original_position()), groups))
}

/// Follows the operators of one body.
struct Walk<'a> {
    scan: &'a Scan,
    options: &'a Options,
    params: u32,
    frames: Vec<Frame>,
    /// Whether control can reach the next operator, by structure alone.
    live: bool,
    /// Where the operators start that control cannot reach, while `live` is false.
    dead_from: u32,
    operator: u32,
    height: u32,
    calls: bool,
    calls_indirect: bool,
    calls_routines: bool,
    /// A trap of the current block was noted, and the counter has not changed since.
    trap_noted: bool,
    traps: bool,
    branches_out: bool,
    partition: Partition<'a>,
    events: &'a mut Vec<Event>,
    constant: Constant,
}

/// One open block.
#[derive(Clone, Copy)]
struct Frame {
    /// Whether control can reach its start.
    live: bool,
    /// The quiet metering block that ended with this `if`.
    quiet_before: Option<u32>,
}

/// Progress of recognising `i32.const n; return?; end`.
#[derive(Clone, Copy)]
enum Constant {
    Start,
    Value(i32),
    Ended(i32),
    Other,
}

impl<'a> Walk<'a> {
    fn new(
        scan: &'a Scan,
        options: &'a Options,
        start: u32,
        params: u32,
        notes: &'a mut Notes,
    ) -> Self {
        let Notes { blocks, events } = notes;
        events.push(Event::new(start..start, EventKind::Block(0)));
        Self {
            scan,
            options,
            params,
            frames: Vec::new(),
            live: true,
            dead_from: start,
            operator: 0,
            height: 0,
            calls: false,
            calls_indirect: false,
            calls_routines: false,
            trap_noted: false,
            traps: false,
            branches_out: false,
            partition: Partition::new(blocks, Position { offset: start, ..Position::default() }),
            events,
            constant: Constant::Start,
        }
    }

    /// Takes one validated operator; `height` is the operand height after it.
    fn step(&mut self, step: Step, bytes: Range<u32>, height: u32) -> Result<(), MeterError> {
        self.watch_constant(step.act);
        // Most operators only compute.
        let computes = matches!((step.act, step.effect), (Act::Plain, Effect::None));
        if computes && self.live && self.partition.add(step.cost) {
            self.operator += 1;
            self.height = self.height.max(height);
            return Ok(());
        }
        if self.live {
            if !self.partition.add(step.cost) {
                self.split(bytes.start, None);
                self.partition.add(step.cost);
            }
            self.note(step, bytes.clone());
        }
        self.operator += 1;
        match step.act {
            Act::BranchTable { targets, .. } => self.check_targets(targets, bytes.start)?,
            Act::Block(_) => self.open(bytes.start, None)?,
            Act::Loop(_) => {
                self.open(bytes.start, None)?;
                self.split(bytes.end, None);
            }
            Act::If(_) => {
                let quiet = self.live && self.partition.last().quiet;
                let quiet_before = quiet.then_some(self.partition.current());
                self.open(bytes.start, quiet_before)?;
                self.split(bytes.end, quiet_before);
            }
            Act::Else => {
                let frame = self.frames.last().copied();
                self.revive(frame.is_none_or(|frame| frame.live), bytes.start);
                let quiet_before = frame.and_then(|frame| frame.quiet_before);
                if let Some(index) = quiet_before {
                    self.partition.block(index).defers = true;
                }
                self.split(bytes.end, quiet_before);
            }
            Act::End => {
                let frame = self.frames.pop();
                self.revive(frame.is_none_or(|frame| frame.live), bytes.start);
                // Nothing follows the end of the function.
                if frame.is_some() {
                    self.split(bytes.end, None);
                }
            }
            _ => {}
        }
        if self.live {
            self.height = self.height.max(height);
        }
        let leaves = matches!(
            step.act,
            Act::Branch(_) | Act::BranchTable { .. } | Act::Return | Act::Unreachable
        );
        if leaves && self.live {
            self.live = false;
            self.dead_from = bytes.end;
        }
        Ok(())
    }

    /// Goes on, behind an `else` or `end` at byte `at`, with what its construct was reached with.
    fn revive(&mut self, live: bool, at: u32) {
        if live && !self.live && self.dead_from < at {
            self.events.push(Event::new(self.dead_from..at, EventKind::Dead));
        }
        self.live = live;
    }

    fn open(&mut self, offset: u32, quiet_before: Option<u32>) -> Result<(), MeterError> {
        self.frames.push(Frame { live: self.live, quiet_before });
        let nesting = self.frames.len() as u64;
        let allowed = u64::from(self.options.limits.nesting);
        if guard!("meter.limit.nesting", nesting > allowed) {
            return Err(MeterError::limit("nested blocks", nesting, allowed).at(u64::from(offset)));
        }
        Ok(())
    }

    fn check_targets(&self, found: u32, offset: u32) -> Result<(), MeterError> {
        let allowed = self.options.limits.branch_targets;
        if guard!("meter.limit.branch-targets", found > allowed) {
            let (found, allowed) = (u64::from(found), u64::from(allowed));
            return Err(
                MeterError::limit("branch table targets", found, allowed).at(u64::from(offset))
            );
        }
        Ok(())
    }

    /// Starts a block with the operator that follows, at byte `next`.
    fn split(&mut self, next: u32, arm_of: Option<u32>) {
        if self.live {
            let depth = self.depth();
            let position = Position { operator: self.operator, offset: next, depth };
            self.partition.split(position, arm_of);
            self.note_block(next);
        }
    }

    fn note_block(&mut self, at: u32) {
        let index = self.partition.current();
        self.events.push(Event::new(at..at, EventKind::Block(index)));
        self.trap_noted = false;
    }

    /// Notes what a live operator does, and that it is to be edited.
    fn note(&mut self, step: Step, bytes: Range<u32>) {
        let Step { effect, act, .. } = step;
        if matches!(effect, Effect::Trap | Effect::TrapOrCall) && !self.trap_noted {
            self.events.push(Event::new(bytes.start..bytes.start, EventKind::MayTrap));
            self.trap_noted = true;
            self.traps = true;
        }
        if let Some(kind) = self.edit(act) {
            self.events.push(Event::new(bytes, kind));
        }
        if effect == Effect::None {
            return;
        }
        if matches!(effect, Effect::Call | Effect::TrapOrCall) {
            self.trap_noted = false;
        }
        self.note_branch(act);
        let block = self.partition.last();
        if let (Act::Call(function), true) = (act, block.quiet) {
            block.first_call = Some(function);
        }
        block.quiet = false;
    }

    fn note_branch(&mut self, act: Act) {
        let outermost = match act {
            Act::Branch(depth) | Act::BranchIf(depth) => depth,
            Act::BranchTable { outermost, .. } => outermost,
            _ => return,
        };
        self.branches_out |= outermost == self.depth();
    }

    /// Returns how the rewriting pass treats a live operator that it does not just copy.
    fn edit(&mut self, act: Act) -> Option<EventKind> {
        Some(match act {
            Act::LocalGet(local) if local >= self.params => EventKind::LocalGet(local),
            Act::LocalSet(local) if local >= self.params => EventKind::LocalSet(local),
            Act::LocalTee(local) if local >= self.params => EventKind::LocalTee(local),
            Act::Return => EventKind::Return,
            Act::Grow => self.routine(EventKind::Grow),
            Act::Fill => self.routine(EventKind::Fill),
            Act::Copy => self.routine(EventKind::Copy),
            Act::Select => EventKind::Select,
            Act::FarStore => EventKind::Separate,
            Act::Block(kind) | Act::Loop(kind) | Act::If(kind) if self.has_params(kind) => {
                EventKind::Separate
            }
            Act::CallIndirect(type_index) => {
                self.calls = true;
                self.calls_indirect = true;
                EventKind::CallIndirect(type_index)
            }
            Act::Call(function) => {
                self.calls = true;
                // Bounded by the nesting limit, far below 2^16.
                EventKind::Call(function, u16::try_from(self.depth()).unwrap_or(u16::MAX))
            }
            _ => return None,
        })
    }

    fn routine(&mut self, kind: EventKind) -> EventKind {
        self.calls_routines = true;
        kind
    }

    /// Returns how many blocks are open.
    fn depth(&self) -> u32 {
        u32::try_from(self.frames.len()).unwrap_or(u32::MAX)
    }

    fn has_params(&self, block: BlockType) -> bool {
        match block {
            BlockType::FuncType(index) => {
                self.scan.types.get(index as usize).is_some_and(|kind| !kind.params().is_empty())
            }
            BlockType::Empty | BlockType::Type(_) => false,
        }
    }

    fn watch_constant(&mut self, act: Act) {
        self.constant = match (self.constant, act) {
            (Constant::Start, Act::Constant(value)) => Constant::Value(value),
            (Constant::Value(value), Act::Return) => Constant::Value(value),
            (Constant::Value(value), Act::End) => Constant::Ended(value),
            _ => Constant::Other,
        };
    }

    fn constant(&self) -> Option<i32> {
        match self.constant {
            Constant::Ended(value) => Some(value),
            _ => None,
        }
    }
}
