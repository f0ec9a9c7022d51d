//! The metering plan: where fuel is charged and how much stack each function takes.

use alloc::vec::Vec;
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

/// Builds the charges of one function while its operators are read in order.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    charges: Vec<Charge>,
    depths: Vec<u32>,
    start: Position,
    cost: u8,
}

/// A place between operators: before the operator with this index, at this byte offset, inside
/// this many open blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    pub(crate) operator: u32,
    pub(crate) offset: u32,
    pub(crate) depth: u32,
}

impl Position {
    /// Offset and depth are bounded by the module limit, far below 2^32.
    pub(crate) fn new(operator: u32, offset: usize, depth: usize) -> Self {
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Self { operator, offset: narrow(offset), depth: narrow(depth) }
    }
}

impl Partition {
    pub(crate) fn new(start: Position) -> Self {
        Self { start, ..Self::default() }
    }

    /// Adds a live operator at `position` to the current block, or to a new one if it is full.
    pub(crate) fn operator(&mut self, position: Position, cost: u8) {
        let sum = u16::from(self.cost) + u16::from(cost);
        match u8::try_from(sum) {
            Ok(sum) => self.cost = sum,
            Err(_) => {
                self.split(position);
                self.cost = cost;
            }
        }
    }

    /// Ends the current block; the next one starts at `position`.
    pub(crate) fn split(&mut self, position: Position) {
        if self.cost > 0 {
            let Position { operator, offset, depth } = self.start;
            self.charges.push(Charge { operator, offset, cost: self.cost });
            self.depths.push(depth);
        }
        self.start = position;
        self.cost = 0;
    }

    /// Returns the charges, and for each how many blocks are open where it stands.
    pub(crate) fn finish(mut self) -> (Vec<Charge>, Vec<u32>) {
        self.split(Position::default());
        (self.charges, self.depths)
    }
}
