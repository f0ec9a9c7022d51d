//! `fuel-1`: what each operator costs.

use wasmparser::Operator;

/// Greatest cost of one metering block; the plan splits a longer block.
///
/// The prover carries a block's cost in one byte.
pub const BLOCK_COST_MAX: u8 = 255;

/// Units of a dynamic charge that cost one fuel: a charge of `x` units costs `ceil(x / 8)`.
pub const DYNAMIC_UNITS_PER_FUEL: u32 = 8;

/// Returns the static cost of an operator.
///
/// Operators cost 1, with these exceptions, whose weights are the machine steps that the prover's
/// lowering takes for them:
/// - 0 for what only structures control: they lower to nothing;
/// - 2 for `br_table`: the table step and the landing jump;
/// - 3 for `call`: call, entry check and return;
/// - 4 for `call_indirect`: a call with the table look-up;
/// - 4 for `memory.grow`, `memory.fill` and `memory.copy`, besides their dynamic charge: the call
///   of the routine with its range checks.
///
/// # Spec
/// `spec/fuel.md` section 2.
#[must_use]
#[inline]
pub const fn operator_cost(operator: &Operator<'_>) -> u8 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        Operator::BrTable { .. } => 2,
        Operator::Call { .. } => 3,
        Operator::CallIndirect { .. }
        | Operator::MemoryGrow { .. }
        | Operator::MemoryFill { .. }
        | Operator::MemoryCopy { .. } => 4,
        _ => 1,
    }
}
