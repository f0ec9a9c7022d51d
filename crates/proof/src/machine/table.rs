//! The list of tables.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kapsule_lower::LProgram;
use p3_air::{Air, BaseAir, WindowAccess};
use p3_matrix::dense::RowMajorMatrix;

use super::builder::Builder;
use super::columns::Columns;
use crate::field::F;
use crate::{chips, tables};

/// The cells of one table.
pub type Trace = RowMajorMatrix<F>;

/// The lowered program as a fixed table: one row for each instruction.
pub type Program = Arc<Trace>;
/// The non-zero initial cells as a fixed table.
pub type Image = Arc<Trace>;

/// What a table is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Contents follow from the program alone; present in every proof.
    Fixed,
    /// Ties a run to its statement; present in every proof.
    Frame,
    /// Hashes the transcript; present where there is one.
    Transcript,
    /// Executes instructions, each of which advances time by `delta`.
    Execution {
        /// Steps of time.
        delta: u32,
    },
}

/// Writes the enumeration of tables and everything that is dispatched over it.
macro_rules! tables {
    ($(
        $number:literal $variant:ident $(($data:ty))? $name:literal $kind:expr, $module:path,
        $next:ident;
    )*) => {
        /// A table of the circuit.
        #[derive(Clone, Debug)]
        #[expect(missing_docs, reason = "each is documented in its module")]
        pub enum Table {
            $($variant $(($data))?,)*
        }

        impl Table {
            /// Number of tables that exist.
            pub const COUNT: usize = [$($number),*].len();

            /// Returns the position of the table in every proof, which is its bit in the header.
            #[must_use]
            pub const fn number(&self) -> usize {
                match self { $(Self::$variant { .. } => $number,)* }
            }

            /// Returns the name, with which the labels of its constraints begin.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $name,)* }
            }

            /// Returns what the table is for.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$variant { .. } => $kind,)* }
            }

            /// Returns whether constraints relate neighbouring rows.
            #[must_use]
            pub const fn relates_rows(&self) -> bool {
                match self { $(Self::$variant { .. } => $next,)* }
            }

            /// Returns the names of the columns.
            #[must_use]
            pub fn column_names(&self) -> Vec<String> {
                let mut names = Vec::new();
                match self {
                    $(Self::$variant { .. } => {
                        use $module as table;
                        <table::Row<F> as Columns<F>>::names("", &mut names);
                    })*
                }
                names
            }

            fn columns(&self) -> usize {
                match self {
                    $(Self::$variant { .. } => {
                        use $module as table;
                        <table::Row<F> as Columns<F>>::WIDTH
                    })*
                }
            }
        }

        impl<B: Builder> Air<B> for Table {
            fn eval(&self, builder: &mut B) {
                let main = builder.main();
                match self {
                    $(Self::$variant { .. } => {
                        use $module as table;
                        let row = table::Row::read(&mut main.current_slice().iter());
                        tables!(@eval $next, table, builder, row, main);
                    })*
                }
            }
        }
    };
    (@eval true, $table:ident, $builder:ident, $row:ident, $main:ident) => {
        let next = $table::Row::read(&mut $main.next_slice().iter());
        $table::eval($builder, &$row, &next);
    };
    (@eval false, $table:ident, $builder:ident, $row:ident, $main:ident) => {
        $table::eval($builder, &$row);
    };
}

tables! {
    0 Program(Program) "PROGRAM" Kind::Fixed, tables::program, false;
    1 Range "RANGE" Kind::Fixed, tables::range, false;
    2 Bytes "BYTES" Kind::Fixed, tables::bytes, false;
    3 Cnt8 "CNT8" Kind::Fixed, tables::cnt8, false;
    4 Image(Image) "IMAGE" Kind::Fixed, tables::image, false;
    5 Boundary "BOUNDARY" Kind::Frame, tables::boundary, true;
    6 Connector "CONNECTOR" Kind::Frame, tables::connector, true;
    7 Absorb "ABSORB" Kind::Transcript, tables::absorb, true;
    8 Poseidon2 "POSEIDON2" Kind::Transcript, tables::poseidon2, false;
    9 Movc "MOVC" Kind::Execution { delta: chips::movc::DELTA }, chips::movc, false;
    10 Alu "ALU" Kind::Execution { delta: chips::alu::DELTA }, chips::alu, false;
    11 Brc "BRC" Kind::Execution { delta: chips::brc::DELTA }, chips::brc, false;
    12 Jump "JUMP" Kind::Execution { delta: chips::jump::DELTA }, chips::jump, false;
    13 Call "CALL" Kind::Execution { delta: chips::call::DELTA }, chips::call, false;
    14 Io "IO" Kind::Execution { delta: chips::io::DELTA }, chips::io, false;
    15 Ldw "LDW" Kind::Execution { delta: chips::ldw::DELTA }, chips::ldw, false;
    16 Stw "STW" Kind::Execution { delta: chips::stw::DELTA }, chips::stw, false;
    17 Bit "BIT" Kind::Execution { delta: chips::bit::DELTA }, chips::bit, false;
    18 Setc "SETC" Kind::Execution { delta: chips::setc::DELTA }, chips::setc, false;
    19 Select "SELECT" Kind::Execution { delta: chips::select::DELTA }, chips::select, false;
    20 Ext "EXT" Kind::Execution { delta: chips::ext::DELTA }, chips::ext, false;
    21 Shl32 "SHL32" Kind::Execution { delta: chips::shl32::DELTA }, chips::shl32, false;
    22 Shl64 "SHL64" Kind::Execution { delta: chips::shl64::DELTA }, chips::shl64, false;
    23 Shr32 "SHR32" Kind::Execution { delta: chips::shr32::DELTA }, chips::shr32, false;
    24 Shr64 "SHR64" Kind::Execution { delta: chips::shr64::DELTA }, chips::shr64, false;
    25 Mul "MUL" Kind::Execution { delta: chips::mul::DELTA }, chips::mul, false;
    26 Ldx "LDX" Kind::Execution { delta: chips::ldx::DELTA }, chips::ldx, false;
    27 Stx "STX" Kind::Execution { delta: chips::stx::DELTA }, chips::stx, false;
    28 Brtab "BRTAB" Kind::Execution { delta: chips::brtab::DELTA }, chips::brtab, false;
    29 Calli "CALLI" Kind::Execution { delta: chips::calli::DELTA }, chips::calli, false;
    30 Memg "MEMG" Kind::Execution { delta: chips::memg::DELTA }, chips::memg, false;
    31 Chg "CHG" Kind::Execution { delta: chips::chg::DELTA }, chips::chg, false;
    32 Cnt "CNT" Kind::Execution { delta: chips::cnt::DELTA }, chips::cnt, false;
    33 Div "DIV" Kind::Execution { delta: chips::div::DELTA }, chips::div, false;
}

impl Table {
    /// Number of fixed tables, which come first in every proof.
    pub const FIXED: usize = 5;

    /// Returns every table that exists, for this program, in order of the numbers.
    #[must_use]
    pub fn all(program: &LProgram) -> [Self; Self::COUNT] {
        [
            Self::Program(Arc::new(tables::program::fixed(program))),
            Self::Range,
            Self::Bytes,
            Self::Cnt8,
            Self::Image(Arc::new(tables::image::fixed(program))),
            Self::Boundary,
            Self::Connector,
            Self::Absorb,
            Self::Poseidon2,
            Self::Movc,
            Self::Alu,
            Self::Brc,
            Self::Jump,
            Self::Call,
            Self::Io,
            Self::Ldw,
            Self::Stw,
            Self::Bit,
            Self::Setc,
            Self::Select,
            Self::Ext,
            Self::Shl32,
            Self::Shl64,
            Self::Shr32,
            Self::Shr64,
            Self::Mul,
            Self::Ldx,
            Self::Stx,
            Self::Brtab,
            Self::Calli,
            Self::Memg,
            Self::Chg,
            Self::Cnt,
            Self::Div,
        ]
    }

    /// Returns the fixed cells of the table.
    pub fn fixed(&self) -> Option<Trace> {
        match self {
            Self::Program(cells) | Self::Image(cells) => Some(Trace::clone(cells)),
            Self::Range => Some(tables::range::fixed()),
            Self::Bytes => Some(tables::bytes::fixed()),
            Self::Cnt8 => Some(tables::cnt8::fixed()),
            _ => None,
        }
    }
}

impl BaseAir<F> for Table {
    fn width(&self) -> usize {
        self.columns()
    }

    fn preprocessed_trace(&self) -> Option<Trace> {
        self.fixed()
    }

    fn preprocessed_width(&self) -> usize {
        match self {
            Self::Program(_) => tables::program::FIXED_WIDTH,
            Self::Range => tables::range::FIXED_WIDTH,
            Self::Bytes => tables::bytes::FIXED_WIDTH,
            Self::Cnt8 => tables::cnt8::FIXED_WIDTH,
            Self::Image(_) => tables::image::FIXED_WIDTH,
            _ => 0,
        }
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        if self.relates_rows() { (0..self.columns()).collect() } else { Vec::new() }
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn num_public_values(&self) -> usize {
        match self {
            Self::Connector => crate::publics::COUNT,
            _ => 0,
        }
    }
}
