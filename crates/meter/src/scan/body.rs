//! One function body: validation, limits, metering blocks, and the operators to edit.

use alloc::vec::Vec;
use core::ops::Range;
use kapsule_abi::guard;
use wasmparser::{BlockType, FuncValidator, FunctionBody, Operator, ValType, WasmModuleResources};

use super::{Scan, check_feature, to_usize};
use crate::plan::{FunctionPlan, Partition, Position};
use crate::tables::{operator_cost, stack_1};
use crate::{Imports, MeterError, Options, profile};

/// What replaces an operator, or stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EditKind {
    /// `return`, inside this many open blocks.
    Return(u32),
    /// `call` of the imported function with this index.
    CallImport(u32),
    /// `memory.grow`.
    Grow,
    /// `memory.fill`.
    Fill,
    /// `memory.copy`.
    Copy,
    /// `select`, kept apart from what computes its condition.
    Select,
    /// An operator that gets an empty block in front.
    ///
    /// `block`, `loop` or `if` with parameters, or an integer store at an offset of more than 16
    /// bits.
    Separate,
}

/// One operator that the rewriting pass replaces.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) operator: Range<usize>,
    pub(crate) kind: EditKind,
}

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
    /// For each charge of the plan, how many blocks are open where it stands.
    pub(crate) charge_depths: Vec<u32>,
    pub(crate) edits: Vec<Edit>,
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
    let mut walk = Walk::new(scan, options, start);
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
    let (charges, charge_depths) = walk.partition.finish();
    Ok(Body {
        local_groups,
        local_group_count,
        operators,
        locals,
        plan: FunctionPlan { weight, calls: walk.calls, charges },
        charge_depths,
        edits: walk.edits,
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
    /// Whether the construct around was entered by live code, one entry for each open block.
    frames: Vec<bool>,
    /// Whether control can reach the next operator, by structure alone.
    live: bool,
    operator: u32,
    height: u32,
    calls: bool,
    partition: Partition,
    edits: Vec<Edit>,
    constant: Constant,
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
    fn new(scan: &'a Scan, options: &'a Options, start: usize) -> Self {
        Self {
            scan,
            options,
            frames: Vec::new(),
            live: true,
            operator: 0,
            height: 0,
            calls: false,
            partition: Partition::new(Position::new(0, start, 0)),
            edits: Vec::new(),
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
            self.partition.operator(here, operator_cost(operator));
            self.edit(operator, bytes.clone());
        }
        match operator {
            Operator::BrTable { targets } => self.check_targets(targets.len(), bytes.start)?,
            Operator::Block { .. } => self.open(bytes.start)?,
            Operator::Loop { .. } | Operator::If { .. } => {
                self.open(bytes.start)?;
                self.split(bytes.end);
            }
            Operator::Else => {
                self.live = self.frames.last().copied().unwrap_or(true);
                self.split(bytes.end);
            }
            Operator::End => {
                self.live = self.frames.pop().unwrap_or(true);
                self.split(bytes.end);
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
        ) {
            self.live = false;
        }
        Ok(())
    }

    fn open(&mut self, offset: usize) -> Result<(), MeterError> {
        self.frames.push(self.live);
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
    fn split(&mut self, next: usize) {
        if self.live {
            self.partition.split(Position::new(self.operator, next, self.frames.len()));
        }
    }

    fn edit(&mut self, operator: &Operator<'_>, bytes: Range<usize>) {
        let depth = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let kind = match operator {
            Operator::Return => EditKind::Return(depth),
            Operator::MemoryGrow { .. } => EditKind::Grow,
            Operator::MemoryFill { .. } => EditKind::Fill,
            Operator::MemoryCopy { .. } => EditKind::Copy,
            Operator::Select => EditKind::Select,
            Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty }
                if self.has_params(*blockty) =>
            {
                EditKind::Separate
            }
            operator if is_far_store(operator) => EditKind::Separate,
            Operator::CallIndirect { .. } => {
                self.calls = true;
                return;
            }
            Operator::Call { function_index } => {
                self.calls = true;
                let stubbed = self.options.imports == Imports::Kapsule;
                if !stubbed || *function_index >= self.scan.import_count() {
                    return;
                }
                EditKind::CallImport(*function_index)
            }
            _ => return,
        };
        self.edits.push(Edit { operator: bytes, kind });
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
