//! What a proof claims.
//!
//! # Spec
//! `spec/proof.md` section 2.

use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::guard;

use crate::codec::{Reader, Writer};
use crate::error::DecodeError;
use crate::field::PRIME;

/// Version of the statement: `kp1`.
pub const VERSION: u32 = 1;
/// Greatest length of an entry name in bytes; chosen, as names of exports are short.
pub const ENTRY_MAX: usize = 1024;
/// Greatest number of segments of a statement.
pub const SEGMENTS_MAX: usize = 1 << 20;

/// How a proven run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvenOutcome {
    /// The entry returned.
    Completed,
    /// The program trapped with this code, below 23.
    Trap(u8),
    /// The next charge would have exceeded the fuel limit.
    OutOfFuel,
    /// The host ended the run with this code, below 6.
    Denied(u8),
}

/// What the end of one segment exposes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentPublic {
    /// Final program counter.
    pub pc_out: u32,
    /// Final address of slot 0.
    pub fp_out: u32,
    /// Final pages of linear memory.
    pub pages_out: u32,
    /// Time after the last step.
    pub ts_out: u32,
    /// Sum of the static costs.
    pub fuel_static: u32,
    /// Dynamic fuel at the end.
    pub fuel_dyn: u64,
    /// Cost of the instruction at `pc_out` that the fuel did not cover.
    pub oof_cost: Option<u8>,
    /// Units of the `CHARGE` that the fuel did not cover.
    pub dyn_n: Option<u32>,
    /// Whether the last block of the transcript is half empty.
    pub tx_pad: bool,
    /// Number of transcript events.
    pub tx_events: u32,
    /// Transcript digest at the end.
    pub tx_out: [u32; 8],
}

/// The claim about a whole run.
///
/// Every field is covered by [`RunStatement::digest`], from which the challenges of every segment
/// proof follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStatement {
    /// [`VERSION`].
    pub version: u32,
    /// Version of the instruction set.
    pub isa: u32,
    /// Number of the parameter set.
    pub param_set: u16,
    /// Hash of the module as packages name it.
    pub module_hash: [u8; 32],
    /// Digest of the lowered program.
    pub program_digest: [u8; 32],
    /// SHA-256 of the effective policy.
    pub policy_digest: [u8; 32],
    /// What else the proof is bound to, for example a receipt; opaque.
    pub binding: [u8; 32],
    /// Name of the entry.
    pub entry: String,
    /// Whether the transcript starts with 256 bits of salt.
    pub salt_present: bool,
    /// Digest of the complete transcript.
    pub transcript: [u32; 8],
    /// Number of words absorbed.
    pub transcript_words: u64,
    /// How the run ended.
    pub outcome: ProvenOutcome,
    /// Granted fuel.
    pub fuel_limit: u64,
    /// Fuel used.
    pub fuel_used: u64,
    /// One entry for each segment.
    pub segments: Vec<SegmentPublic>,
}

impl RunStatement {
    /// Returns the canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u32(self.version);
        out.u32(self.isa);
        out.u16(self.param_set);
        out.raw(&self.module_hash);
        out.raw(&self.program_digest);
        out.raw(&self.policy_digest);
        out.raw(&self.binding);
        out.bytes(self.entry.as_bytes());
        out.u8(u8::from(self.salt_present));
        out.elements(&self.transcript);
        out.u64(self.transcript_words);
        let (kind, code) = match self.outcome {
            ProvenOutcome::Completed => (0, 0),
            ProvenOutcome::Trap(code) => (1, code),
            ProvenOutcome::OutOfFuel => (2, 0),
            ProvenOutcome::Denied(code) => (3, code),
        };
        out.u8(kind);
        out.u8(code);
        out.u64(self.fuel_limit);
        out.u64(self.fuel_used);
        out.length(self.segments.len());
        for segment in &self.segments {
            segment.encode(&mut out);
        }
        out.finish()
    }

    /// Reads a statement; there is one encoding of each.
    ///
    /// # Errors
    /// [`DecodeError`] for every other byte string.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let statement = Self {
            version: input.u32()?,
            isa: input.u32()?,
            param_set: input.u16()?,
            module_hash: input.array()?,
            program_digest: input.array()?,
            policy_digest: input.array()?,
            binding: input.array()?,
            entry: input.text("entry", ENTRY_MAX)?,
            salt_present: input.flag("salt_present")?,
            transcript: input.elements("transcript")?,
            transcript_words: input.u64()?,
            outcome: outcome(&mut input)?,
            fuel_limit: input.u64()?,
            fuel_used: input.u64()?,
            segments: segments(&mut input)?,
        };
        input.end()?;
        Ok(statement)
    }

    /// Returns the digest of the encoding, which every segment proof is seeded with.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        blake3::derive_key("kapsule 2026 kp1 run statement", &self.encode())
    }
}

impl SegmentPublic {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.pc_out);
        out.u32(self.fp_out);
        out.u32(self.pages_out);
        out.u32(self.ts_out);
        out.u32(self.fuel_static);
        out.u64(self.fuel_dyn);
        out.u8(u8::from(self.oof_cost.is_some()));
        out.u8(self.oof_cost.unwrap_or(0));
        out.u8(u8::from(self.dyn_n.is_some()));
        out.u32(self.dyn_n.unwrap_or(0));
        out.u8(u8::from(self.tx_pad));
        out.u32(self.tx_events);
        out.elements(&self.tx_out);
    }

    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            pc_out: input.u32()?,
            fp_out: input.u32()?,
            pages_out: input.u32()?,
            ts_out: input.u32()?,
            fuel_static: input.u32()?,
            fuel_dyn: input.u64()?,
            oof_cost: optional(input.flag("oof")?, input.u8()?, "oof_cost")?,
            dyn_n: optional(input.flag("dyn_flag")?, input.u32()?, "dyn_n")?,
            tx_pad: input.flag("tx_pad")?,
            tx_events: input.u32()?,
            tx_out: input.elements("tx_out")?,
        })
    }
}

/// Returns a value behind a flag; a value without its flag would be a second encoding.
fn optional<T: Copy + Default + PartialEq + Into<u64>>(
    flag: bool,
    value: T,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    let stray = !flag && value != T::default();
    if guard!("proof.statement.stray", stray) {
        return Err(DecodeError::Range { field, found: value.into() });
    }
    Ok(flag.then_some(value))
}

fn outcome(input: &mut Reader<'_>) -> Result<ProvenOutcome, DecodeError> {
    let (kind, code) = (input.u8()?, input.u8()?);
    let refused =
        DecodeError::Range { field: "outcome", found: u64::from(kind) << 8 | u64::from(code) };
    match (kind, code) {
        (0, 0) => Ok(ProvenOutcome::Completed),
        (1, 0..23) => Ok(ProvenOutcome::Trap(code)),
        (2, 0) => Ok(ProvenOutcome::OutOfFuel),
        (3, 0..6) => Ok(ProvenOutcome::Denied(code)),
        _ => Err(refused),
    }
}

fn segments(input: &mut Reader<'_>) -> Result<Vec<SegmentPublic>, DecodeError> {
    let count = input.count("segments", SEGMENTS_MAX)?;
    (0..count).map(|_| SegmentPublic::decode(input)).collect()
}

const _: () = assert!(PRIME == 0x7f00_0001);
