//! The opcode table.

/// What the field `a` of an instruction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum A {
    /// Nothing; the field is 0.
    None,
    /// Slot that is written.
    Dest,
    /// Slot that is read: the value of a store.
    Source,
    /// Cell of a global that is written.
    Global,
    /// Program counter.
    Target,
    /// Slots of the frame that is entered.
    Frame,
    /// Canonical type index.
    Type,
}

/// What the field `b` of an instruction means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum B {
    /// Nothing; the field is 0.
    None,
    /// Slot that is read.
    Slot,
    /// Cell of a global that is read.
    Global,
}

/// What the fields `c0` to `c3` of an instruction mean; fields that are not named are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum C {
    /// Nothing.
    None,
    /// Limbs of a 64-bit constant, low first.
    Imm64,
    /// Limbs `c0`, `c1` of a 32-bit constant.
    Imm32,
    /// `c0` is a slot that is read.
    Slot,
    /// `c0` and `c1` are slots that are read.
    Slots,
    /// Limbs `c0`, `c1` of a byte offset.
    Offset,
    /// Limbs `c0`, `c1` of the greatest index of a jump table, below 2^22.
    Count,
    /// Return program counter in `c0`, `c1` and slots of the caller's frame in `c2`, `c3`.
    Linkage,
    /// `c0` is a number of pages.
    Pages,
}

/// A table of the circuit that takes instructions.
///
/// [`Chip::delta`] is how far an instruction advances time; its accesses to cells happen at fixed
/// offsets below that, whether or not those before them happen (`spec/lowering.md` section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the table of opcodes says what each takes")]
pub enum Chip {
    Movc,
    Select,
    Alu,
    Bit,
    Mul,
    Div,
    Shl32,
    Shl64,
    Shr32,
    Shr64,
    Cnt,
    Ext,
    Setc,
    Brc,
    Jump,
    Brtab,
    Call,
    Calli,
    /// Aligned loads of 4 and 8 bytes inside memory.
    Ldw,
    /// Every load.
    Ldx,
    /// Aligned stores of 4 and 8 bytes inside memory.
    Stw,
    /// Every store.
    Stx,
    Memg,
    Io,
    Chg,
}

impl Chip {
    /// Every chip in order of its number.
    pub const ALL: [Self; 25] = [
        Self::Movc,
        Self::Select,
        Self::Alu,
        Self::Bit,
        Self::Mul,
        Self::Div,
        Self::Shl32,
        Self::Shl64,
        Self::Shr32,
        Self::Shr64,
        Self::Cnt,
        Self::Ext,
        Self::Setc,
        Self::Brc,
        Self::Jump,
        Self::Brtab,
        Self::Call,
        Self::Calli,
        Self::Ldw,
        Self::Ldx,
        Self::Stw,
        Self::Stx,
        Self::Memg,
        Self::Io,
        Self::Chg,
    ];

    /// Returns by how much an instruction of this chip advances time.
    #[must_use]
    pub const fn delta(self) -> u32 {
        match self {
            Self::Jump | Self::Brtab | Self::Call | Self::Io => 1,
            Self::Movc | Self::Cnt | Self::Ext | Self::Brc | Self::Memg | Self::Chg => 2,
            Self::Alu
            | Self::Bit
            | Self::Mul
            | Self::Div
            | Self::Shl32
            | Self::Shl64
            | Self::Shr32
            | Self::Shr64
            | Self::Setc
            | Self::Ldw
            | Self::Stw => 3,
            Self::Select | Self::Calli | Self::Ldx | Self::Stx => 4,
        }
    }
}

/// Writes the enumeration, its lookups and its forms from one table.
macro_rules! opcodes {
    ($(
        $number:literal $variant:ident $name:literal
        ($a:ident $b:ident $c:ident) [$($trap:literal)*] $chip:ident;
    )*) => {
        /// An opcode.
        ///
        /// # Spec
        /// `spec/lowering.md` section 4 prints this table with the effect of each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the table names each, and the spec says what it does")]
        pub enum Op {
            $($variant = $number,)*
        }

        impl Op {
            /// Every opcode in order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the opcode with this number.
            #[must_use]
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the name that listings print.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns what the fields of the instruction mean.
            #[must_use]
            pub const fn form(self) -> (A, B, C) {
                match self { $(Self::$variant => (A::$a, B::$b, C::$c),)* }
            }

            /// Returns the codes of the traps that the instruction can end in.
            #[must_use]
            pub const fn traps(self) -> &'static [u8] {
                match self { $(Self::$variant => &[$($trap),*],)* }
            }

            /// Returns the chip that takes every instruction of this opcode.
            #[must_use]
            pub const fn chip(self) -> Chip {
                match self { $(Self::$variant => Chip::$chip,)* }
            }
        }
    };
}

opcodes! {
    0x01 Const "CONST" (Dest None Imm64) [] Movc;
    0x02 Mov "MOV" (Dest Slot None) [] Movc;
    0x03 Gget "GGET" (Dest Global None) [] Movc;
    0x04 Gset "GSET" (Global Slot None) [] Movc;
    0x05 Select "SELECT" (Dest Slot Slots) [] Select;
    0x08 Add32 "ADD32" (Dest Slot Slot) [] Alu;
    0x09 Add32I "ADD32I" (Dest Slot Imm32) [] Alu;
    0x0a Add64 "ADD64" (Dest Slot Slot) [] Alu;
    0x0b Add64I "ADD64I" (Dest Slot Imm64) [] Alu;
    0x0c Sub32 "SUB32" (Dest Slot Slot) [] Alu;
    0x0d Sub64 "SUB64" (Dest Slot Slot) [] Alu;
    0x0e Rsub32I "RSUB32I" (Dest Slot Imm32) [] Alu;
    0x0f Rsub64I "RSUB64I" (Dest Slot Imm64) [] Alu;
    0x10 And "AND" (Dest Slot Slot) [] Bit;
    0x11 AndI "ANDI" (Dest Slot Imm64) [] Bit;
    0x12 Or "OR" (Dest Slot Slot) [] Bit;
    0x13 OrI "ORI" (Dest Slot Imm64) [] Bit;
    0x14 Xor "XOR" (Dest Slot Slot) [] Bit;
    0x15 XorI "XORI" (Dest Slot Imm64) [] Bit;
    0x16 Mul32 "MUL32" (Dest Slot Slot) [] Mul;
    0x17 Mul32I "MUL32I" (Dest Slot Imm32) [] Mul;
    0x18 Mul64 "MUL64" (Dest Slot Slot) [] Mul;
    0x19 Mul64I "MUL64I" (Dest Slot Imm64) [] Mul;
    0x1a DivS32 "DIVS32" (Dest Slot Slot) [1 2] Div;
    0x1b DivU32 "DIVU32" (Dest Slot Slot) [1] Div;
    0x1c RemS32 "REMS32" (Dest Slot Slot) [1] Div;
    0x1d RemU32 "REMU32" (Dest Slot Slot) [1] Div;
    0x1e DivS64 "DIVS64" (Dest Slot Slot) [1 2] Div;
    0x1f DivU64 "DIVU64" (Dest Slot Slot) [1] Div;
    0x20 RemS64 "REMS64" (Dest Slot Slot) [1] Div;
    0x21 RemU64 "REMU64" (Dest Slot Slot) [1] Div;
    0x22 Shl32 "SHL32" (Dest Slot Slot) [] Shl32;
    0x23 Shl32I "SHL32I" (Dest Slot Imm32) [] Shl32;
    0x24 Shl64 "SHL64" (Dest Slot Slot) [] Shl64;
    0x25 Shl64I "SHL64I" (Dest Slot Imm64) [] Shl64;
    0x26 Rotl32 "ROTL32" (Dest Slot Slot) [] Shl32;
    0x27 Rotl32I "ROTL32I" (Dest Slot Imm32) [] Shl32;
    0x28 Rotl64 "ROTL64" (Dest Slot Slot) [] Shl64;
    0x29 Rotl64I "ROTL64I" (Dest Slot Imm64) [] Shl64;
    0x2a Rotr32 "ROTR32" (Dest Slot Slot) [] Shl32;
    0x2b Rotr64 "ROTR64" (Dest Slot Slot) [] Shl64;
    0x2c ShrU32 "SHRU32" (Dest Slot Slot) [] Shr32;
    0x2d ShrU32I "SHRU32I" (Dest Slot Imm32) [] Shr32;
    0x2e ShrU64 "SHRU64" (Dest Slot Slot) [] Shr64;
    0x2f ShrU64I "SHRU64I" (Dest Slot Imm64) [] Shr64;
    0x30 ShrS32 "SHRS32" (Dest Slot Slot) [] Shr32;
    0x31 ShrS32I "SHRS32I" (Dest Slot Imm32) [] Shr32;
    0x32 ShrS64 "SHRS64" (Dest Slot Slot) [] Shr64;
    0x33 ShrS64I "SHRS64I" (Dest Slot Imm64) [] Shr64;
    0x34 Clz32 "CLZ32" (Dest Slot None) [] Cnt;
    0x35 Ctz32 "CTZ32" (Dest Slot None) [] Cnt;
    0x36 Pop32 "POP32" (Dest Slot None) [] Cnt;
    0x37 Clz64 "CLZ64" (Dest Slot None) [] Cnt;
    0x38 Ctz64 "CTZ64" (Dest Slot None) [] Cnt;
    0x39 Pop64 "POP64" (Dest Slot None) [] Cnt;
    0x3a Ext8S32 "EXT8S32" (Dest Slot None) [] Ext;
    0x3b Ext16S32 "EXT16S32" (Dest Slot None) [] Ext;
    0x3c Ext8S64 "EXT8S64" (Dest Slot None) [] Ext;
    0x3d Ext16S64 "EXT16S64" (Dest Slot None) [] Ext;
    0x3e Ext32S64 "EXT32S64" (Dest Slot None) [] Ext;
    0x3f Wrap "WRAP" (Dest Slot None) [] Ext;
    0x40 Seq "SEQ" (Dest Slot Slot) [] Setc;
    0x41 Sne "SNE" (Dest Slot Slot) [] Setc;
    0x42 SltU "SLTU" (Dest Slot Slot) [] Setc;
    0x43 SgeU "SGEU" (Dest Slot Slot) [] Setc;
    0x44 SltS32 "SLTS32" (Dest Slot Slot) [] Setc;
    0x45 SgeS32 "SGES32" (Dest Slot Slot) [] Setc;
    0x46 SltS64 "SLTS64" (Dest Slot Slot) [] Setc;
    0x47 SgeS64 "SGES64" (Dest Slot Slot) [] Setc;
    0x48 SeqI "SEQI" (Dest Slot Imm64) [] Setc;
    0x49 SneI "SNEI" (Dest Slot Imm64) [] Setc;
    0x4a SltUI "SLTUI" (Dest Slot Imm64) [] Setc;
    0x4b SgeUI "SGEUI" (Dest Slot Imm64) [] Setc;
    0x4c SltS32I "SLTS32I" (Dest Slot Imm32) [] Setc;
    0x4d SgeS32I "SGES32I" (Dest Slot Imm32) [] Setc;
    0x4e SltS64I "SLTS64I" (Dest Slot Imm64) [] Setc;
    0x4f SgeS64I "SGES64I" (Dest Slot Imm64) [] Setc;
    0x50 Beq "BEQ" (Target Slot Slot) [] Brc;
    0x51 Bne "BNE" (Target Slot Slot) [] Brc;
    0x52 BltU "BLTU" (Target Slot Slot) [] Brc;
    0x53 BgeU "BGEU" (Target Slot Slot) [] Brc;
    0x54 BltS32 "BLTS32" (Target Slot Slot) [] Brc;
    0x55 BgeS32 "BGES32" (Target Slot Slot) [] Brc;
    0x56 BltS64 "BLTS64" (Target Slot Slot) [] Brc;
    0x57 BgeS64 "BGES64" (Target Slot Slot) [] Brc;
    0x58 BeqI "BEQI" (Target Slot Imm64) [] Brc;
    0x59 BneI "BNEI" (Target Slot Imm64) [] Brc;
    0x5a BltUI "BLTUI" (Target Slot Imm64) [] Brc;
    0x5b BgeUI "BGEUI" (Target Slot Imm64) [] Brc;
    0x5c BltS32I "BLTS32I" (Target Slot Imm32) [] Brc;
    0x5d BgeS32I "BGES32I" (Target Slot Imm32) [] Brc;
    0x5e BltS64I "BLTS64I" (Target Slot Imm64) [] Brc;
    0x5f BgeS64I "BGES64I" (Target Slot Imm64) [] Brc;
    0x60 Jmp "JMP" (Target None None) [] Jump;
    0x61 Brtab "BRTAB" (Target Slot Count) [] Brtab;
    0x62 Call "CALL" (Target None Linkage) [] Call;
    0x63 Calli "CALLI" (Type Slot Linkage) [4 5 6] Calli;
    0x64 Ret "RET" (None None None) [] Call;
    0x65 Enter "ENTER" (Frame None None) [7] Jump;
    0x66 Nop "NOP" (None None None) [] Jump;
    0x70 Ld8U "LD8U" (Dest Slot Offset) [3] Ldx;
    0x71 Ld8S32 "LD8S32" (Dest Slot Offset) [3] Ldx;
    0x72 Ld8S64 "LD8S64" (Dest Slot Offset) [3] Ldx;
    0x73 Ld16U "LD16U" (Dest Slot Offset) [3] Ldx;
    0x74 Ld16S32 "LD16S32" (Dest Slot Offset) [3] Ldx;
    0x75 Ld16S64 "LD16S64" (Dest Slot Offset) [3] Ldx;
    0x76 Ld32U "LD32U" (Dest Slot Offset) [3] Ldx;
    0x77 Ld32S64 "LD32S64" (Dest Slot Offset) [3] Ldx;
    0x78 Ld64 "LD64" (Dest Slot Offset) [3] Ldx;
    0x7a St8 "ST8" (Source Slot Offset) [3] Stx;
    0x7b St16 "ST16" (Source Slot Offset) [3] Stx;
    0x7c St32 "ST32" (Source Slot Offset) [3] Stx;
    0x7d St64 "ST64" (Source Slot Offset) [3] Stx;
    0x80 Msize "MSIZE" (Dest None None) [] Memg;
    0x81 Mgrow "MGROW" (Dest Slot Pages) [] Memg;
    0x90 In "IN" (Dest None None) [] Io;
    0x91 Out "OUT" (None Slot None) [] Io;
    0x92 Charge "CHARGE" (None Slot None) [] Chg;
}

impl Op {
    /// Returns the narrow chip that takes instructions of this opcode whose address is aligned to 4
    /// bytes, or to 8 for 8-byte accesses, and inside memory.
    #[must_use]
    pub const fn aligned_chip(self) -> Option<Chip> {
        match self {
            Self::Ld32U | Self::Ld64 => Some(Chip::Ldw),
            Self::St32 | Self::St64 => Some(Chip::Stw),
            _ => None,
        }
    }
}
