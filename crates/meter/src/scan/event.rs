//! What the rewriting pass has to know of a body, in the order of its operators.

use core::ops::Range;

/// One place of a body at which something is added, replaced or left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// Byte offset in the module.
    pub(crate) at: u32,
    /// Length of the operator there in bytes, or of what is left out.
    pub(crate) length: u32,
    pub(crate) kind: EventKind,
}

impl Event {
    pub(crate) const fn new(bytes: Range<u32>, kind: EventKind) -> Self {
        Self { at: bytes.start, length: bytes.end.saturating_sub(bytes.start), kind }
    }
}

// One is kept for every few bytes of a module.
const _: () = assert!(size_of::<Event>() <= 16);

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The metering block with this index starts here.
    Block(u32),
    /// The operator here may trap, the first one since the counter last changed.
    MayTrap,
    /// `local.get` of a declared local.
    LocalGet(u32),
    /// `local.set` of a declared local.
    LocalSet(u32),
    /// `local.tee` of a declared local.
    LocalTee(u32),
    /// `call` of the function with the first number as index, inside as many open blocks as the
    /// second says.
    Call(u32, u16),
    /// `call_indirect` with this type.
    CallIndirect(u32),
    /// `return`.
    Return,
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
    /// Operators that control cannot reach.
    Dead,
}
