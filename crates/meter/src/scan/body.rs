//! One function body: validation, limits, metering blocks, and what the rewriting pass edits.

use alloc::vec::Vec;
use core::ops::Range;
use kapsule_abi::guard;
use wasmparser::{BlockType, FuncValidator, FunctionBody, Operator, ValType, WasmModuleResources};

use super::event::{Effect, Event, EventKind};
use super::{Scan, check_feature, to_usize};
use crate::plan::{Block, FunctionPlan, Partition, Position};
use crate::tables::{operator_cost, stack_1};
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
    pub(crate) plan: FunctionPlan,
    /// The metering blocks, those that cost nothing included.
    pub(crate) blocks: Vec<Block>,
    pub(crate) events: Vec<Event>,
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
) -> Result<Body, MeterError> {
    let params = validator.len_locals();
    let (local_groups, local_group_count) = define_locals(scan, options, body, validator)?;
    let locals = validator.len_locals();
    let range = body.range();
    let mut reader = body.get_operators_reader()?;
    let start = to_usize(reader.original_position());
    let mut walk = Walk::new(scan, options, start, params);
    while !reader.eof() {
        let (operator, offset) = reader.read_with_offset()?;
        check_feature(
            profile::operator_feature(&operator, options.profile),
            options.profile,
            offset,
        )?;
        validator.op(offset, &operator)?;
        let next = to_usize(reader.original_position());
        walk.step(&operator, to_usize(offset)..next, validator.operand_stack_height())?;
    }
    reader.finish()?;
    let weight = stack_1::frame_weight(params, locals.saturating_sub(params), walk.height);
    if guard!("meter.limit.frame-weight", weight > options.limits.frame_weight) {
        let allowed = u64::from(options.limits.frame_weight);
        return Err(MeterError::limit("frame weight", u64::from(weight), allowed).at(range.start));
    }
    let operators = start..to_usize(range.end);
    let constant = walk.constant();
    let (charges, blocks) = walk.partition.finish();
    Ok(Body {
        local_groups,
        local_group_count,
        operators,
        locals,
        plan: FunctionPlan { weight, calls: walk.calls, charges },
        blocks,
        events: walk.events,
        traps: walk.traps,
        branches_out: walk.branches_out,
        constant,
    })
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
    dead_from: usize,
    operator: u32,
    height: u32,
    calls: bool,
    /// A trap of the current block was noted, and the counter has not changed since.
    trap_noted: bool,
    traps: bool,
    branches_out: bool,
    partition: Partition,
    events: Vec<Event>,
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
    fn new(scan: &'a Scan, options: &'a Options, start: usize, params: u32) -> Self {
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
            trap_noted: false,
            traps: false,
            branches_out: false,
            partition: Partition::new(Position::new(0, start, 0)),
            events: Vec::from([Event::new(start..start, EventKind::Block(0))]),
            constant: Constant::Start,
        }
    }

    /// Takes one validated operator; `height` is the operand height after it.
    fn step(
        &mut self,
        operator: &Operator<'_>,
        bytes: Range<usize>,
        height: u32,
    ) -> Result<(), MeterError> {
        let here = Position::new(self.operator, bytes.start, self.frames.len());
        self.operator += 1;
        self.watch_constant(operator);
        if self.live {
            if self.partition.operator(here, operator_cost(operator)) {
                self.note_block(bytes.start);
            }
            self.note(operator, bytes.clone());
        }
        match operator {
            Operator::BrTable { targets } => self.check_targets(targets.len(), bytes.start)?,
            Operator::Block { .. } => self.open(bytes.start, None)?,
            Operator::Loop { .. } => {
                self.open(bytes.start, None)?;
                self.split(bytes.end, None);
            }
            Operator::If { .. } => {
                let current = self.partition.current();
                let quiet = self.live && self.partition.block(current).quiet;
                let quiet_before = quiet.then_some(current);
                self.open(bytes.start, quiet_before)?;
                self.split(bytes.end, quiet_before);
            }
            Operator::Else => {
                let frame = self.frames.last().copied();
                self.revive(frame.is_none_or(|frame| frame.live), bytes.start);
                let quiet_before = frame.and_then(|frame| frame.quiet_before);
                if let Some(index) = quiet_before {
                    self.partition.block(index).defers = true;
                }
                self.split(bytes.end, quiet_before);
            }
            Operator::End => {
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
        if matches!(
            operator,
            Operator::Br { .. }
                | Operator::BrTable { .. }
                | Operator::Return
                | Operator::Unreachable
        ) && self.live
        {
            self.live = false;
            self.dead_from = bytes.end;
        }
        Ok(())
    }

    /// Goes on, behind an `else` or `end` at byte `at`, with what its construct was reached with.
    fn revive(&mut self, live: bool, at: usize) {
        if live && !self.live && self.dead_from < at {
            self.events.push(Event::new(self.dead_from..at, EventKind::Dead));
        }
        self.live = live;
    }

    fn open(&mut self, offset: usize, quiet_before: Option<u32>) -> Result<(), MeterError> {
        self.frames.push(Frame { live: self.live, quiet_before });
        let nesting = self.frames.len() as u64;
        let allowed = u64::from(self.options.limits.nesting);
        if guard!("meter.limit.nesting", nesting > allowed) {
            return Err(MeterError::limit("nested blocks", nesting, allowed).at(offset as u64));
        }
        Ok(())
    }

    fn check_targets(&self, found: u32, offset: usize) -> Result<(), MeterError> {
        let allowed = self.options.limits.branch_targets;
        if guard!("meter.limit.branch-targets", found > allowed) {
            let (found, allowed) = (u64::from(found), u64::from(allowed));
            return Err(MeterError::limit("branch table targets", found, allowed).at(offset as u64));
        }
        Ok(())
    }

    /// Starts a block with the operator that follows, at byte `next`.
    fn split(&mut self, next: usize, arm_of: Option<u32>) {
        if self.live {
            let position = Position::new(self.operator, next, self.frames.len());
            self.partition.split(position, arm_of);
            self.note_block(next);
        }
    }

    fn note_block(&mut self, at: usize) {
        let index = self.partition.current();
        self.events.push(Event::new(at..at, EventKind::Block(index)));
        self.trap_noted = false;
    }

    /// Notes what a live operator does, and that it is to be edited.
    fn note(&mut self, operator: &Operator<'_>, bytes: Range<usize>) {
        let effect = Effect::of(operator);
        if matches!(effect, Effect::Trap | Effect::TrapOrCall) && !self.trap_noted {
            self.events.push(Event::new(bytes.start..bytes.start, EventKind::MayTrap));
            self.trap_noted = true;
            self.traps = true;
        }
        if let Some(kind) = self.edit(operator) {
            self.events.push(Event::new(bytes, kind));
        }
        if matches!(effect, Effect::Call | Effect::TrapOrCall) {
            self.trap_noted = false;
        }
        if matches!(effect, Effect::Branch) {
            self.note_branch(operator);
        }
        let current = self.partition.current();
        let block = self.partition.block(current);
        if let (Operator::Call { function_index }, true) = (operator, block.quiet) {
            block.first_call = Some(*function_index);
        }
        block.quiet &= effect == Effect::None;
    }

    fn note_branch(&mut self, operator: &Operator<'_>) {
        let out = self.frames.len();
        let leaves = |depth: u32| depth as usize == out;
        self.branches_out |= match operator {
            Operator::Br { relative_depth } | Operator::BrIf { relative_depth } => {
                leaves(*relative_depth)
            }
            Operator::BrTable { targets } => {
                leaves(targets.default()) || targets.targets().any(|t| t.is_ok_and(leaves))
            }
            _ => false,
        };
    }

    /// Returns how the rewriting pass treats a live operator that it does not just copy.
    fn edit(&mut self, operator: &Operator<'_>) -> Option<EventKind> {
        Some(match operator {
            Operator::LocalGet { local_index } if *local_index >= self.params => {
                EventKind::LocalGet(*local_index)
            }
            Operator::LocalSet { local_index } if *local_index >= self.params => {
                EventKind::LocalSet(*local_index)
            }
            Operator::LocalTee { local_index } if *local_index >= self.params => {
                EventKind::LocalTee(*local_index)
            }
            Operator::Return => EventKind::Return,
            Operator::MemoryGrow { .. } => EventKind::Grow,
            Operator::MemoryFill { .. } => EventKind::Fill,
            Operator::MemoryCopy { .. } => EventKind::Copy,
            Operator::Select => EventKind::Select,
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty }
                if self.has_params(*blockty) =>
            {
                EventKind::Separate
            }
            operator if is_far_store(operator) => EventKind::Separate,
            Operator::CallIndirect { type_index, .. } => {
                self.calls = true;
                EventKind::CallIndirect(*type_index)
            }
            Operator::Call { function_index } => {
                self.calls = true;
                let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
                EventKind::Call(*function_index, depth)
            }
            _ => return None,
        })
    }

    fn has_params(&self, block: BlockType) -> bool {
        match block {
            BlockType::FuncType(index) => {
                self.scan.types.get(index as usize).is_some_and(|kind| !kind.params().is_empty())
            }
            BlockType::Empty | BlockType::Type(_) => false,
        }
    }

    fn watch_constant(&mut self, operator: &Operator<'_>) {
        self.constant = match (self.constant, operator) {
            (Constant::Start, Operator::I32Const { value }) => Constant::Value(*value),
            (Constant::Value(value), Operator::Return) => Constant::Value(value),
            (Constant::Value(value), Operator::End) => Constant::Ended(value),
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

/// Tells whether an operator stores an integer at an offset that 16 bits do not hold.
fn is_far_store(operator: &Operator<'_>) -> bool {
    match operator {
        Operator::I32Store { memarg }
        | Operator::I32Store8 { memarg }
        | Operator::I32Store16 { memarg }
        | Operator::I64Store { memarg }
        | Operator::I64Store8 { memarg }
        | Operator::I64Store16 { memarg }
        | Operator::I64Store32 { memarg } => memarg.offset > u64::from(u16::MAX),
        _ => false,
    }
}
