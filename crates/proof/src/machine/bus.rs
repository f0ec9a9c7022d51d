//! The buses: one constant for each, whose type carries the width of its tuples.

use p3_lookup::{Count, LookupBus, PermutationCheckBus};

use super::builder::Builder;

/// A bus on which sent and received tuples are the same multiset.
#[derive(Clone, Copy, Debug)]
pub struct Permutation<const W: usize>(&'static str);

/// A bus on which every queried tuple is in the providing table.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<const W: usize>(&'static str);

/// Machine states: pc, fp, ts, fuel, pages.
pub const EXEC: Permutation<5> = Permutation("EXEC");
/// Contents of cells: address, four limbs, time.
pub const MEM: Permutation<6> = Permutation("MEM");
/// Instructions: pc, op, a, b, c0 to c3, cost.
pub const PROG: Lookup<9> = Lookup("PROG");
/// Numbers below a power of two: the number, the bits.
pub const RNG: Lookup<2> = Lookup("RNG");
/// Pairs of bytes.
pub const BYTE2: Lookup<2> = Lookup("BYTE2");
/// Pairs of bytes and their conjunction.
pub const AND: Lookup<3> = Lookup("AND");
/// Bytes with their leading zeros, trailing zeros and set bits.
pub const CNT: Lookup<4> = Lookup("CNT");
/// Transcript events: time, tag, four limbs.
pub const TX: Permutation<6> = Permutation("TX");
/// Ends of the transcript: 0 or 1 for start or end, events, padding, digest.
pub const TXS: Permutation<11> = Permutation("TXS");
/// Permutations of Poseidon2: 16 inputs, the first 8 outputs.
pub const P2: Lookup<24> = Lookup("P2");
/// Non-zero initial cells: address, four limbs.
pub const IMG: Permutation<5> = Permutation("IMG");
/// A dynamic charge that was not covered: the two limbs of its units.
pub const DYN: Permutation<2> = Permutation("DYN");

impl<const W: usize> Permutation<W> {
    /// Sends a tuple `count` times, where `count` is 0 or 1 on every row.
    pub fn send<B: Builder>(self, builder: &mut B, tuple: [B::Expr; W], count: B::Expr) {
        PermutationCheckBus::new(self.0).send(builder, tuple, Count::bounded(count, 1));
    }

    /// Receives a tuple `count` times, where `count` is 0 or 1 on every row.
    pub fn receive<B: Builder>(self, builder: &mut B, tuple: [B::Expr; W], count: B::Expr) {
        PermutationCheckBus::new(self.0).receive(builder, tuple, Count::bounded(count, 1));
    }
}

impl<const W: usize> Lookup<W> {
    /// Queries a tuple `count` times, where `count` is 0 or 1 on every row.
    pub fn query<B: Builder>(self, builder: &mut B, tuple: [B::Expr; W], count: B::Expr) {
        LookupBus::new(self.0).lookup_key(builder, tuple, Count::bounded(count, 1));
    }

    /// Provides a tuple to as many queries as `count` says.
    pub fn provide<B: Builder>(self, builder: &mut B, tuple: [B::Expr; W], count: B::Expr) {
        LookupBus::new(self.0).table_entry(builder, tuple, count);
    }
}
