//! Commitments of a run: input, output, each exchange, the running head and the root.

use alloc::vec;
use alloc::vec::Vec;

use super::{Entries, Entry};
use crate::cbor::{self, Value};
use crate::hash::{self, Tag, commitment, tagged};
use crate::{Digest, tree};

/// Running head of a transcript without entries.
pub const ZERO_HEAD: Digest = Digest::new([0; 32]);

impl Entry<'_> {
    /// Returns the KCBOR leaf of this entry at position `seq`.
    ///
    /// With a `salt_seed` the request and response are hidden, each under its own salt.
    #[must_use]
    pub fn leaf(&self, seq: u64, salt_seed: Option<&[u8; 32]>) -> Vec<u8> {
        let sized = |tag, list, bytes: &[u8]| {
            let digest = committed(tag, list, seq, salt_seed, bytes);
            Value::Array(vec![digest.into(), (bytes.len() as u64).into()])
        };
        cbor::encode(&Value::Map(vec![
            (0, seq.into()),
            (1, self.hostcall.into()),
            (2, self.fuel.into()),
            (3, self.status.into()),
            (4, sized(Tag::ExecRequest, "req", self.request)),
            (5, sized(Tag::ExecResponse, "resp", self.response)),
        ]))
    }
}

/// Returns the commitment to the input of a run.
#[must_use]
pub fn input_commitment(salt_seed: Option<&[u8; 32]>, input: &[u8]) -> Digest {
    committed(Tag::ExecInput, "input", 0, salt_seed, input)
}

/// Returns the commitment to the output of a run.
#[must_use]
pub fn output_commitment(salt_seed: Option<&[u8; 32]>, output: &[u8]) -> Digest {
    committed(Tag::ExecOutput, "output", 0, salt_seed, output)
}

/// Returns the running head after the entry with this leaf; the first one follows [`ZERO_HEAD`].
#[must_use]
pub fn next_head(head: &Digest, leaf: &[u8]) -> Digest {
    tagged(Tag::ExecTranscript, &[head.as_bytes(), leaf])
}

/// Returns the transcript root: the Merkle tree over the leaves of `entries`.
#[must_use]
pub fn root(entries: &Entries, salt_seed: Option<&[u8; 32]>) -> Digest {
    let leaves = entries.iter().zip(0..).map(|(entry, seq)| entry.leaf(seq, salt_seed));
    tree::root(leaves)
}

fn committed(
    tag: Tag,
    list: &str,
    index: u64,
    salt_seed: Option<&[u8; 32]>,
    value: &[u8],
) -> Digest {
    match salt_seed {
        Some(seed) => commitment(tag, &hash::salt(seed, list, index), value),
        None => commitment(tag, &[], value),
    }
}
