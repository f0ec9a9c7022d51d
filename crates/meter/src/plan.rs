//! The metering plan: where fuel is charged and how much stack each function takes.

use alloc::vec::Vec;
use core::ops::Range;
use kapsule_abi::Hostcall;

use crate::tables::{BLOCK_COST_MAX, DYNAMIC_UNITS_PER_FUEL};

/// The metering plan of one module.
///
/// The backends get it as rewritten code, the prover's lowering reads it as it is.
///
/// # Determinism
/// Depends on the module bytes alone.
///
/// # Spec
/// `spec/fuel.md` sections 3 and 5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// One entry for each defined function, in code-section order.
    pub functions: Vec<FunctionPlan>,
    /// One entry for each imported function, in import order; empty under `Imports::Any`.
    pub stubs: Vec<StubPlan>,
}

/// The plan of one defined function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionPlan {
    /// Frame weight in slots: 1 + parameters + locals + maximal live operand height.
    pub weight: u32,
    /// Whether live code calls another function, so that the height must be kept while it runs.
    pub calls: bool,
    /// Charges in ascending order of `operator`; blocks that cost nothing have none.
    pub charges: Vec<Charge>,
}

/// One metering block that costs something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Index of the first operator of the block within the body, counting every operator.
    pub operator: u32,
    /// Byte offset of that operator in the module.
    pub offset: u32,
    /// Fuel that is charged before that operator acts, 1 to 255.
    pub cost: u8,
}

/// The plan of the stub in front of one imported hostcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubPlan {
    /// The hostcall.
    pub hostcall: &'static Hostcall,
    /// Frame weight in slots.
    pub weight: u32,
    /// Base price if it fits a block, charged on entry before the stack check; else 0.
    pub block_cost: u8,
    /// Units of the dynamic charge for a base price above 255, or 0.
    pub fixed_units: u32,
    /// Eighths of fuel per byte of buffer length that the guest passes.
    pub factor: u32,
}

impl StubPlan {
    /// Returns the plan of a hostcall, from its price in the ABI table.
    #[must_use]
    pub fn new(hostcall: &'static Hostcall) -> Self {
        let params = u32::try_from(hostcall.params.len()).expect("a hostcall has few parameters");
        let base = hostcall.price.base;
        let (block_cost, fixed_units) = match u8::try_from(base) {
            Ok(cost) => (cost, 0),
            Err(_) => (0, base * DYNAMIC_UNITS_PER_FUEL),
        };
        Self {
            hostcall,
            weight: crate::tables::stack_1::stub_weight(params),
            block_cost,
            fixed_units,
            factor: hostcall.price.factor,
        }
    }
}

// The partition counts in u8, so that its overflow is the cap.
const _: () = assert!(BLOCK_COST_MAX == u8::MAX);

/// One metering block with what decides where its charge may be emitted.
///
/// # Invariants
/// A block is straight: control enters it at its start only, so what it does happens in order.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) start: Position,
    pub(crate) cost: u8,
    /// Nothing in it traps, changes what a state hash covers, calls, or leaves it early.
    pub(crate) quiet: bool,
    /// The block that ended with the `if` or `else` whose arm starts here.
    pub(crate) arm_of: Option<u32>,
    /// It is quiet and ends with an `if` that has an `else`, so that both arms can pay for it.
    pub(crate) defers: bool,
    /// The function it calls, if nothing stands before that call that ends its being quiet.
    pub(crate) first_call: Option<u32>,
}

impl Block {
    const fn new(start: Position, arm_of: Option<u32>) -> Self {
        Self { start, cost: 0, quiet: true, arm_of, defers: false, first_call: None }
    }
}

/// Builds the blocks of one function while its operators are read in order.
#[derive(Debug)]
pub(crate) struct Partition<'b> {
    /// The blocks of the functions before, then its own.
    blocks: &'b mut Vec<Block>,
    first: usize,
}

/// A place between operators: before the operator with this index, at this byte offset, inside
/// this many open blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    pub(crate) operator: u32,
    pub(crate) offset: u32,
    pub(crate) depth: u32,
}

impl<'b> Partition<'b> {
    pub(crate) fn new(blocks: &'b mut Vec<Block>, start: Position) -> Self {
        let first = blocks.len();
        blocks.push(Block::new(start, None));
        Self { blocks, first }
    }

    /// Returns the index of the current block within the function.
    pub(crate) fn current(&self) -> u32 {
        // Fewer than the bytes of the module.
        u32::try_from(self.blocks.len() - 1 - self.first).unwrap_or(u32::MAX)
    }

    pub(crate) fn block(&mut self, index: u32) -> &mut Block {
        &mut self.blocks[self.first + index as usize]
    }

    pub(crate) fn last(&mut self) -> &mut Block {
        self.blocks.last_mut().expect("starts with one")
    }

    /// Adds the cost of a live operator to the current block; `false` if that is full, and the
    /// operator starts a new one.
    pub(crate) fn add(&mut self, cost: u8) -> bool {
        let block = self.last();
        let sum = block.cost.checked_add(cost);
        block.cost = sum.unwrap_or(block.cost);
        sum.is_some()
    }

    /// Ends the current block; the next one starts at `position`.
    pub(crate) fn split(&mut self, position: Position, arm_of: Option<u32>) {
        self.blocks.push(Block::new(position, arm_of));
    }

    /// Returns the charges of the plan, and which of all blocks they come from.
    pub(crate) fn finish(self) -> (Vec<Charge>, Range<usize>) {
        let own = self.first..self.blocks.len();
        let mut charges = Vec::with_capacity(own.len());
        charges.extend(self.blocks[own.clone()].iter().filter(|block| block.cost > 0).map(
            |block| {
                let Position { operator, offset, .. } = block.start;
                Charge { operator, offset, cost: block.cost }
            },
        ));
        (charges, own)
    }
}
