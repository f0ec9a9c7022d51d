//! The machine: opcodes, address map, reserved program counters.
//!
//! # Spec
//! `spec/lowering.md` sections 1 to 5.

mod opcode;

pub use opcode::{A, B, C, Chip, Op};

/// Version of the opcode semantics; any change of them is a new number.
pub const ISA: u32 = 1;

/// Cell of the 64-bit total of dynamic fuel.
pub const FUEL_DYN: u32 = 0x000_0001;
/// Cell of the number of table entries.
pub const TABLE_SIZE: u32 = 0x000_0002;
/// First cell of the globals.
pub const GLOBALS: u32 = 0x000_1000;
/// Greatest number of globals.
pub const GLOBALS_MAX: u32 = 0x1000;
/// First cell of the table entries.
pub const TABLE: u32 = 0x010_0000;
/// Greatest number of table entries.
pub const TABLE_MAX: u32 = 0x10_0000;
/// First cell of the frame stack.
pub const STACK_BASE: u32 = 0x020_0000;
/// First cell behind the frame stack.
pub const STACK_END: u32 = 0x022_0000;
/// First cell behind the guard, which holds outgoing frames before `ENTER` refuses them.
pub const GUARD_END: u32 = 0x024_0000;
/// First cell of linear memory, whose cell `i` holds bytes `8 * i` to `8 * i + 7`.
pub const MEMORY: u32 = 0x800_0000;
/// Greatest number of pages of linear memory.
pub const PAGES_MAX: u32 = 16_384;
/// Cells of one page of linear memory.
pub const PAGE_CELLS: u32 = kapsule_abi::PAGE_BYTES / 8;

/// Program counter of a run that completed.
pub const PC_COMPLETED: u32 = 0;
/// Program counter of trap 0; trap `t` is at `PC_TRAP + t`.
pub const PC_TRAP: u32 = 1;
/// Greatest trap code that has a program counter.
pub const TRAP_MAX: u32 = 22;
/// Program counter of denial 0; denial `c`, which is status word `c + 2`, is at `PC_DENIED + c`.
pub const PC_DENIED: u32 = 24;
/// Number of denial codes.
pub const DENIED_COUNT: u32 = 6;
/// Program counter of a run that was out of fuel at a `CHARGE`.
pub const PC_OUT_OF_FUEL: u32 = 31;
/// First program counter that holds code.
pub const PC_CODE: u32 = 32;
/// Greatest number of instructions: a program counter has 22 bits, and half of them are used.
pub const CODE_MAX: u32 = 1 << 21;
/// Greatest number of slots of one frame.
pub const FRAME_MAX: u32 = 0xffff;

/// Tag of a transcript event that the guest wrote.
pub const TAG_OUT: u8 = 1;
/// Tag of a transcript event that the guest read.
pub const TAG_IN: u8 = 2;

/// Returns the program counter at which a run that trapped stands.
#[must_use]
pub const fn trap_pc(trap: kapsule_abi::Trap) -> u32 {
    PC_TRAP + trap as u32
}

const _: () = assert!(STACK_END - STACK_BASE == kapsule_meter::tables::stack_1::HEIGHT_MAX);
const _: () = assert!(kapsule_abi::Trap::ALL.len() <= TRAP_MAX as usize + 1);
