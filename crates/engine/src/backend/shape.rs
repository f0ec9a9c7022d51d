//! The signatures that hostcalls have, so that each is linked as a typed function: boxing every
//! argument would cost more than most answers.

/// Expands `$act!` with every signature: parameters as (name, type in the table, word), then the
/// result in the table and its word.
macro_rules! for_each_shape {
    ($act:ident) => {
        $act! {
            () -> (Some(I64), u64);
            (a: I32 u32) -> (Some(I64), u64);
            (a: I32 u32, b: I32 u32) -> (None, ());
            (a: I32 u32, b: I32 u32) -> (Some(I32), u32);
            (a: I32 u32, b: I32 u32) -> (Some(I64), u64);
            (a: I32 u32, b: I32 u32, c: I32 u32) -> (None, ());
            (a: I32 u32, b: I32 u32, c: I32 u32) -> (Some(I32), u32);
            (a: I64 u64, b: I32 u32, c: I32 u32) -> (Some(I32), u32);
            (a: I32 u32, b: I32 u32, c: I32 u32, d: I32 u32) -> (Some(I32), u32);
            (a: I32 u32, b: I64 u64, c: I32 u32, d: I32 u32) -> (Some(I32), u32);
            (a: I32 u32, b: I32 u32, c: I64 u64, d: I32 u32, e: I32 u32) -> (Some(I32), u32);
            (a: I32 u32, b: I32 u32, c: I32 u32, d: I32 u32, e: I32 u32, f: I32 u32, g: I32 u32)
                -> (Some(I32), u32);
        }
    };
}

/// What a typed hostcall returns, made of the result word.
pub(super) trait Word {
    /// Takes the word of the answer, which a call without result drops.
    fn from_word(word: u64) -> Self;
}

impl Word for () {
    fn from_word(_: u64) {}
}

impl Word for u32 {
    fn from_word(word: u64) -> Self {
        super::low32(word)
    }
}

impl Word for u64 {
    fn from_word(word: u64) -> Self {
        word
    }
}
