//! Arguments that have the form which a hostcall asks for, since random bytes hardly ever do.

use kapsule_abi::Hostcall;
use wasm_encoder::{InstructionSink, MemArg, MemArgTarget};

use crate::library::Library;

/// Bits of the choosing parameter: a form or random bytes, and which of two forms.
const FORMED: i32 = 3;
const SECOND: i32 = 4;

/// Two variants of what a guarded tool places in memory before the hostcall, and their lengths.
pub(super) struct Form {
    variants: [Vec<u8>; 2],
    /// Parameter that is the pointer.
    pointer_param: u32,
    /// Parameter that is the length; the one that chooses as well, by its lowest bits.
    pub(super) length_param: u32,
    lengths: [i32; 2],
}

impl Form {
    /// Returns the form of the arguments of a hostcall, unless any bytes will do.
    pub(super) fn of(hostcall: &Hostcall) -> Option<Self> {
        let (first, second): (&[u8], &[u8]) = match hostcall.name {
            // A result that says nothing, and a score.
            "submit_capsule_result" => (b"\xa0", b"\xa1\x00\x05"),
            // Two identities that the host knows.
            "get_trust_score" => (&[0; 32], &[1; 32]),
            // Keys that the host has; the one behind the last is of the module's making.
            "kv_get" | "kv_delete" => (b"k", b"m"),
            "kv_set" => (b"k", b"n"),
            "kv_next" => (b"", b"k"),
            // Every capsule, and those of one kind.
            "dag_query" => (b"\xa0", b"\xa1\x00\x64post"),
            // A notice that costs 5, and a capsule that costs 9.
            "propose" => (
                b"\xa3\x00\x02\x01\x05\x02\x62hi",
                b"\xa6\x00\x00\x01\x09\x02\x64post\x04\x80\x05\x80\x06\x41x",
            ),
            "fs_read" => (b"/r/a", b"/w/b"),
            "fs_write" => (b"/w/b", b"/w/new"),
            // To a machine that answers, and to one that is not listed.
            "net_request" => (
                b"\xa4\x00\x01\x01\x61h\x02\x01\x03\x41x",
                b"\xa4\x00\x01\x01\x61g\x02\x01\x03\x40",
            ),
            "call" => {
                let [first, second] = Library::get().ids.each_ref().map(|id| id.as_bytes());
                // The length is that of the entry's name; none is the default entry.
                let variants = [first.to_vec(), second.to_vec()];
                return Some(Self { variants, pointer_param: 0, length_param: 2, lengths: [0, 0] });
            }
            _ => return None,
        };
        let length = |bytes: &[u8]| i32::try_from(bytes.len()).expect("a form is short");
        // The pointer is the first parameter, or follows an index.
        let pointer_param = u32::from(hostcall.name == "submit_capsule_result");
        Some(Self {
            lengths: [length(first), length(second)],
            variants: [first.to_vec(), second.to_vec()],
            pointer_param,
            length_param: pointer_param + 1,
        })
    }

    /// Stores the chosen variant at the masked pointer.
    pub(super) fn place(&self, sink: &mut InstructionSink<'_>, pointer_mask: i32) {
        let words = self.variants.iter().map(|bytes| bytes.len().div_ceil(8)).max().unwrap_or(0);
        let word = |variant: &[u8], place: usize| {
            let mut word = [0; 8];
            for (to, from) in word.iter_mut().zip(variant.iter().skip(8 * place)) {
                *to = *from;
            }
            i64::from_le_bytes(word)
        };
        for (place, offset) in (0..words).zip((0..).step_by(8)) {
            sink.local_get(self.pointer_param).i32_const(pointer_mask).i32_and();
            sink.i64_const(word(&self.variants[1], place));
            sink.i64_const(word(&self.variants[0], place));
            self.choose_variant(sink);
            sink.i64_store(MemArg {
                offset,
                align: 0,
                target: MemArgTarget::default(),
                ordering: None,
            });
        }
    }

    /// Pushes the length of the chosen variant.
    pub(super) fn push_length(&self, sink: &mut InstructionSink<'_>) {
        sink.i32_const(self.lengths[1]).i32_const(self.lengths[0]);
        self.choose_variant(sink);
    }

    /// Chooses between the length of the variant and the one that the guest gave, both pushed.
    pub(super) fn choose_length(&self, sink: &mut InstructionSink<'_>) {
        sink.local_get(self.length_param).i32_const(FORMED).i32_and().select();
    }

    /// Chooses between the second variant and the first, both pushed.
    fn choose_variant(&self, sink: &mut InstructionSink<'_>) {
        sink.local_get(self.length_param).i32_const(SECOND).i32_and().select();
    }
}
