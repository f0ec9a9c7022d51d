//! `stack-1`: how high the stack may grow, counted in 64-bit slots.

/// Greatest sum of the frame weights of all active functions, in slots.
pub const HEIGHT_MAX: u32 = 131_072;

/// Scratch slots of a hostcall stub, on top of linkage and parameters.
///
/// Chosen: the prover's stub needs a word, a pointer, a length and a counter for each of at most
/// three buffers, and four for results and status.
pub const STUB_SCRATCH: u32 = 16;

/// Returns the weight of a function: linkage, parameters, locals and maximal operand height.
#[must_use]
pub const fn frame_weight(params: u32, locals: u32, operands: u32) -> u32 {
    1_u32.saturating_add(params).saturating_add(locals).saturating_add(operands)
}

/// Returns the weight of the stub of a hostcall with `params` parameters.
#[must_use]
pub const fn stub_weight(params: u32) -> u32 {
    frame_weight(params, STUB_SCRATCH, 0)
}
