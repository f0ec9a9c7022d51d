//! Checkpoints: the state of a run at its start, at its end and, by rule, at hostcalls between.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{ErrorCode, guard};

use crate::cbor::{self, Fields, FromValue, Value};
use crate::klog::{Reader, Writer};
use crate::transcript::{State, StateHash};
use crate::{DecodeError, Digest, limits, tree};

/// Why a checkpoint was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKind {
    /// Before the first instruction.
    Start,
    /// At the return of a hostcall, by the rule that counts hostcalls.
    Hostcall,
    /// At the return of a hostcall, by the rule that counts fuel, or by both.
    Fuel,
    /// After the last instruction.
    End,
}

impl CheckpointKind {
    const ALL: [Self; 4] = [Self::Start, Self::Hostcall, Self::Fuel, Self::End];

    const fn number(self) -> u64 {
        match self {
            Self::Start => 0,
            Self::Hostcall => 1,
            Self::Fuel => 2,
            Self::End => 3,
        }
    }
}

/// The state of a run at one moment; its place in the list is its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// Fuel used.
    pub fuel: u64,
    /// Hostcalls made.
    pub hostcalls: u64,
    /// Memory, globals and storage.
    pub state: State,
    /// Running head of the transcript.
    pub head: Digest,
}

impl Checkpoint {
    /// Returns the state hash.
    #[must_use]
    pub fn state_hash(&self) -> StateHash {
        self.state.hash()
    }

    fn to_cbor(&self, index: u64) -> Value {
        let state = &self.state;
        Value::Map(vec![
            (0, 1.into()),
            (1, index.into()),
            (2, self.kind.number().into()),
            (3, self.fuel.into()),
            (4, self.hostcalls.into()),
            (5, u64::from(state.pages).into()),
            (6, state.memory_root.into()),
            (7, state.globals_hash.into()),
            (8, self.head.into()),
            (9, state.storage_root.into()),
        ])
    }

    fn from_cbor(value: Value, position: u64) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "checkpoint")?;
        fields.version(1)?;
        let index: u64 = fields.required(1)?;
        if guard!("format.receipt.checkpoint_index", index != position) {
            let detail = format!("checkpoint {position} has the index {index}");
            return Err(DecodeError::new(ErrorCode::CountedRootMismatch, detail));
        }
        let kind: CheckpointKind = fields.required(2)?;
        let (fuel, hostcalls) = (fields.required(3)?, fields.required(4)?);
        let pages = fields.uint(5, 0..=u64::from(u32::MAX))?;
        let memory_root = fields.required(6)?;
        let globals_hash = fields.required(7)?;
        let head = fields.required(8)?;
        let storage_root = fields.required(9)?;
        fields.finish()?;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let state = State { pages, memory_root, globals_hash, storage_root };
        Ok(Self { kind, fuel, hostcalls, state, head })
    }
}

impl FromValue for CheckpointKind {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let number = u64::from_value(value)?;
        Self::ALL.into_iter().find(|kind| kind.number() == number).ok_or_else(|| {
            let detail = format!("found the kind {number}, allowed are 0 to 3");
            DecodeError::new(ErrorCode::SchemaViolation, detail)
        })
    }
}

/// Returns the checkpoint root: the Merkle tree over the records.
#[must_use]
pub fn root(checkpoints: &[Checkpoint]) -> Digest {
    tree::root(checkpoints.iter().zip(0..).map(|(one, index)| cbor::encode(&one.to_cbor(index))))
}

/// Reads a file of checkpoints.
///
/// # Errors
/// As [`Reader`]; E004 for more than 65,536 records, E005, E008 or E009 for one, E015 for an index
/// that is not the position.
pub fn read_checkpoints(bytes: &[u8]) -> Result<Vec<Checkpoint>, DecodeError> {
    read(bytes, limits::CHECKPOINTS_MAX)
}

fn read(bytes: &[u8], max: u64) -> Result<Vec<Checkpoint>, DecodeError> {
    let mut checkpoints = Vec::new();
    for (record, position) in Reader::new(bytes).zip(0..) {
        if guard!("format.receipt.checkpoints_max", position >= max) {
            let detail = format!("the file has more than {max} checkpoints");
            return Err(DecodeError::new(ErrorCode::LimitExceeded, detail));
        }
        checkpoints.push(Checkpoint::from_cbor(record?.value, position)?);
    }
    Ok(checkpoints)
}

/// Writes a file of checkpoints.
///
/// # Errors
/// As [`Writer::push`].
pub fn write_checkpoints(checkpoints: &[Checkpoint]) -> Result<Vec<u8>, DecodeError> {
    let mut writer = Writer::new();
    for (checkpoint, index) in checkpoints.iter().zip(0..) {
        writer.push(&checkpoint.to_cbor(index))?;
    }
    Ok(writer.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(kind: CheckpointKind) -> Checkpoint {
        let digest = Digest::new([1; 32]);
        let (memory_root, globals_hash, storage_root) = (digest, digest, digest);
        let state = State { pages: 1, memory_root, globals_hash, storage_root };
        Checkpoint { kind, fuel: 7, hostcalls: 2, state, head: digest }
    }

    #[test]
    fn checkpoints_come_back_and_stand_at_their_index() {
        let all: Vec<Checkpoint> = CheckpointKind::ALL.into_iter().map(sample).collect();
        let file = write_checkpoints(&all).unwrap();
        assert_eq!(read_checkpoints(&file), Ok(all.clone()));
        assert_eq!(read(&file, 3).unwrap_err().code, ErrorCode::LimitExceeded);
        let mut writer = Writer::new();
        writer.push(&all[0].to_cbor(1)).unwrap();
        let error = read_checkpoints(&writer.into_bytes()).unwrap_err();
        assert_eq!(error.code, ErrorCode::CountedRootMismatch);
    }
}
