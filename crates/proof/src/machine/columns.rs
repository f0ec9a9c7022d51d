//! Rows as structures of named columns.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A row, or a part of one, that is read from and written to cells in the order of its fields.
pub trait Columns<T: Copy>: Sized {
    /// Number of cells.
    const WIDTH: usize;

    /// Takes the next `WIDTH` cells.
    ///
    /// # Panics
    /// If there are fewer, which is a mistake in the width of a table.
    fn read(cells: &mut core::slice::Iter<'_, T>) -> Self;

    /// Appends the cells.
    fn write(&self, out: &mut Vec<T>);

    /// Appends the names of the cells.
    fn names(name: &str, out: &mut Vec<String>);
}

impl<T: Copy> Columns<T> for T {
    const WIDTH: usize = 1;

    #[expect(clippy::expect_used, reason = "tables are as wide as their columns say")]
    fn read(cells: &mut core::slice::Iter<'_, T>) -> Self {
        *cells.next().expect("a row is as wide as its columns")
    }

    fn write(&self, out: &mut Vec<T>) {
        out.push(*self);
    }

    fn names(name: &str, out: &mut Vec<String>) {
        out.push(name.into());
    }
}

impl<T: Copy, const N: usize> Columns<T> for [T; N] {
    const WIDTH: usize = N;

    fn read(cells: &mut core::slice::Iter<'_, T>) -> Self {
        core::array::from_fn(|_| <T as Columns<T>>::read(cells))
    }

    fn write(&self, out: &mut Vec<T>) {
        out.extend_from_slice(self);
    }

    fn names(name: &str, out: &mut Vec<String>) {
        out.extend((0..N).map(|index| format!("{name}{index}")));
    }
}

/// Defines a structure of columns: fields of type `T`, `[T; N]` or another such structure.
macro_rules! columns {
    (
        $(#[$doc:meta])*
        pub struct $name:ident $(<$(const $size:ident: usize),+>)? {
            $($(#[$note:meta])* $field:ident: $kind:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<T $($(, const $size: usize)+)?> { $($(#[$note])* pub $field: $kind,)* }

        impl<T: Copy $($(, const $size: usize)+)?> $crate::machine::Columns<T>
            for $name<T $($(, $size)+)?>
        {
            const WIDTH: usize = 0 $(+ <$kind as $crate::machine::Columns<T>>::WIDTH)*;

            fn read(cells: &mut core::slice::Iter<'_, T>) -> Self {
                Self { $($field: <$kind as $crate::machine::Columns<T>>::read(cells),)* }
            }

            fn write(&self, out: &mut alloc::vec::Vec<T>) {
                $(<$kind as $crate::machine::Columns<T>>::write(&self.$field, out);)*
            }

            fn names(name: &str, out: &mut alloc::vec::Vec<alloc::string::String>) {
                $(
                    let field = alloc::format!("{name}.{}", stringify!($field));
                    <$kind as $crate::machine::Columns<T>>::names(&field, out);
                )*
            }
        }
    };
}
pub(crate) use columns;

columns! {
    /// The machine state before an instruction.
    pub struct State {
        /// Program counter.
        pc: T,
        /// Address of slot 0.
        fp: T,
        /// Time.
        ts: T,
        /// Static fuel.
        fuel: T,
        /// Pages of linear memory.
        pages: T,
    }
}

columns! {
    /// The fields of an instruction, all but its number.
    pub struct Operands {
        /// First field.
        a: T,
        /// Second field.
        b: T,
        /// Limbs of the constant.
        c: [T; 4],
        /// Static fuel that it charges.
        cost: T,
    }
}

columns! {
    /// When a cell was accessed before.
    pub struct Access {
        /// Time of the access before.
        previous: T,
        /// Low 14 bits of the time between, less one.
        gap: T,
    }
}
