//! What a verifier derives from a program, and never takes from a proof.

use alloc::vec::Vec;
use core::fmt;

use kapsule_lower::{EntryStub, LProgram};
use p3_air::BaseAir;
use p3_batch_stark::common::{GlobalPreprocessed, PreprocessedInstanceMeta};
use p3_batch_stark::{Commitment, CommonData, ProverData, ProverOnlyData};
use p3_lookup::Lookups;
use p3_matrix::Matrix;

use crate::config::{Scheme, config};
use crate::field::F;
use crate::machine::{DIGEST, Table};
use crate::params::ParamSet;

/// Returns the digest of a lowered program.
#[must_use]
pub fn program_digest(program: &LProgram) -> [u8; 32] {
    blake3::derive_key("kapsule 2026 kp1 program", &program.encode())
}

/// A program with its fixed tables, committed under a parameter set.
///
/// Deriving one commits some 2^18 fixed rows, which takes some tenths of a second.
pub struct Key {
    /// Parameter set.
    pub params: ParamSet,
    /// Digest of the lowered program.
    pub program_digest: [u8; 32],
    /// Digest of everything here.
    pub digest: [u8; 32],
    /// The program.
    pub program: LProgram,
    tables: [Table; Table::COUNT],
    log_heights: [u8; Table::FIXED],
    commitment: Commitment<Scheme>,
    committed: ProverOnlyData<Scheme>,
    lookups: Vec<Lookups<F>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Key {
    /// Derives the key of a program; `None` if the argument cannot commit to its tables, which are
    /// then too large.
    #[must_use]
    pub fn derive(program: &LProgram, params: ParamSet) -> Option<Self> {
        let tables = Table::all(program);
        let fixed = &tables[..Table::FIXED];
        let heights: Option<Vec<usize>> =
            fixed.iter().map(|table| Some(table.fixed()?.height().ilog2() as usize)).collect();
        let heights = heights.filter(|heights| heights.iter().all(|height| *height <= 21))?;
        let config = config(&params, &[0; 32]);
        let data = ProverData::from_airs_and_degrees(&config, fixed, &heights).ok()?;
        let commitment = data.common.preprocessed?.commitment;
        let committed = data.prover_only;
        let frame = [6; Table::COUNT - Table::FIXED];
        let rest = ProverData::from_airs_and_degrees(&config, &tables[Table::FIXED..], &frame);
        let mut lookups = data.common.lookups;
        lookups.extend(rest.ok()?.common.lookups);
        let mut log_heights = [0; Table::FIXED];
        for (to, height) in log_heights.iter_mut().zip(heights) {
            *to = u8::try_from(height).ok()?;
        }
        let program_digest = program_digest(program);
        let mut preimage = Vec::new();
        preimage.extend_from_slice(&program.isa.to_le_bytes());
        preimage.extend_from_slice(&params.number.to_le_bytes());
        preimage.extend_from_slice(&program_digest);
        preimage.extend(postcard::to_allocvec(&commitment).ok()?);
        preimage.extend_from_slice(&log_heights);
        preimage.extend_from_slice(DIGEST.trim().as_bytes());
        let digest = blake3::derive_key("kapsule 2026 kp1 vk", &preimage);
        let program = program.clone();
        Some(Self {
            params,
            program_digest,
            digest,
            program,
            tables,
            log_heights,
            commitment,
            committed,
            lookups,
        })
    }

    /// Returns the entry with this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<EntryStub> {
        self.program.entries.get(name).copied()
    }

    /// Returns the tables that exist, in order.
    #[must_use]
    pub const fn tables(&self) -> &[Table; Table::COUNT] {
        &self.tables
    }

    /// Returns the base-2 logarithms of the heights of the fixed tables.
    #[must_use]
    pub const fn fixed_heights(&self) -> &[u8; Table::FIXED] {
        &self.log_heights
    }

    /// Returns the fixed tables as they were committed to, from which a prover opens them.
    #[must_use]
    pub const fn committed(&self) -> &ProverOnlyData<Scheme> {
        &self.committed
    }

    /// Returns what prover and verifier share, for the tables with these numbers.
    #[must_use]
    pub fn common(&self, numbers: &[usize]) -> CommonData<Scheme> {
        let instances = numbers.iter().map(|number| self.meta(*number)).collect();
        let matrix_to_instance = (0..Table::FIXED).collect();
        let commitment = self.commitment.clone();
        let preprocessed = GlobalPreprocessed { commitment, instances, matrix_to_instance };
        let lookups = numbers.iter().map(|number| self.lookups[*number].clone()).collect();
        CommonData::new(Some(preprocessed), lookups)
    }

    /// Returns how many messages a row of a table can have.
    pub(crate) fn messages(&self, number: usize) -> usize {
        self.lookups[number].iter().map(|lookup| lookup.elements.len()).sum()
    }

    /// Returns how many columns over the extension the buses of a table take: an accumulator and
    /// one for each group of messages, or none.
    #[must_use]
    pub fn bus_columns(&self, number: usize) -> usize {
        match self.lookups[number].len() {
            0 => 0,
            groups => groups + 1,
        }
    }

    fn meta(&self, number: usize) -> Option<PreprocessedInstanceMeta> {
        let degree_bits = usize::from(*self.log_heights.get(number)?);
        let width = self.tables[number].preprocessed_width();
        Some(PreprocessedInstanceMeta { matrix_index: number, width, degree_bits })
    }
}
