//! The type section: the module's types and the few that metering adds.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use wasm_encoder::{BlockType, Encode, TypeSection};
use wasmparser::{FuncType, ValType};

/// Types of the metered module.
pub(super) struct Types {
    types: Vec<FuncType>,
    own: usize,
    /// Types of blocks that take nothing, by what they leave.
    blocks: BTreeMap<Vec<ValType>, u32>,
}

impl Types {
    pub(super) fn new(own: &[FuncType]) -> Self {
        Self { types: own.to_vec(), own: own.len(), blocks: BTreeMap::new() }
    }

    /// Adds a function type and returns its index.
    pub(super) fn add(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        self.types.push(FuncType::new(params.iter().copied(), results.iter().copied()));
        u32::try_from(self.types.len() - 1).expect("at most two types are added to one")
    }

    /// Adds a type of the module with fuel and height as further parameters and fuel as a further
    /// result.
    ///
    /// Fuel stands where the interpreter finds a result of a function with one parameter.
    pub(super) fn carried(&mut self, type_index: u32) -> u32 {
        let own = &self.types[type_index as usize];
        let params: Vec<ValType> =
            own.params().iter().copied().chain([ValType::I64, ValType::I32]).collect();
        let results: Vec<ValType> = own.results().iter().copied().chain([ValType::I64]).collect();
        self.add(&params, &results)
    }

    /// Returns the type of a block that takes nothing and leaves the results of a function type.
    pub(super) fn block_type(&mut self, type_index: u32) -> BlockType {
        let results = self.types[type_index as usize].results().to_vec();
        match results.as_slice() {
            [] => BlockType::Empty,
            [result] => BlockType::Result(encoded(*result)),
            _ => {
                let known = self.blocks.get(&results).copied();
                BlockType::FunctionType(known.unwrap_or_else(|| {
                    let index = self.add(&[], &results);
                    self.blocks.insert(results, index);
                    index
                }))
            }
        }
    }

    pub(super) fn params(&self, type_index: u32) -> u32 {
        u32::try_from(self.types[type_index as usize].params().len()).expect("at most 1,000")
    }

    pub(super) fn added_count(&self) -> u32 {
        u32::try_from(self.types.len() - self.own).expect("at most two types are added to one")
    }

    /// Returns the encoded types that follow the module's own, without a count.
    pub(super) fn encode_added(&self) -> Vec<u8> {
        let mut section = TypeSection::new();
        for added in &self.types[self.own..] {
            let params = added.params().iter().map(|value| encoded(*value));
            section.ty().function(params, added.results().iter().map(|value| encoded(*value)));
        }
        without_count(&section, self.added_count())
    }
}

/// Strips size and count from an encoded section, which leaves its items.
pub(super) fn without_count(section: &impl Encode, count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    section.encode(&mut bytes);
    let mut count_bytes = Vec::new();
    count.encode(&mut count_bytes);
    // A section encodes as size, count, items; the size is one LEB128 number.
    let size_bytes = bytes.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    bytes.split_off(size_bytes + count_bytes.len())
}

fn encoded(value: ValType) -> wasm_encoder::ValType {
    match value {
        ValType::I64 => wasm_encoder::ValType::I64,
        ValType::F32 => wasm_encoder::ValType::F32,
        ValType::F64 => wasm_encoder::ValType::F64,
        // The profile has no other type; i32 stands for the rest.
        _ => wasm_encoder::ValType::I32,
    }
}
