//! The argument as bytes.
//!
//! Every length follows from the tables that are present, their heights and the parameters, or is
//! written where it does not and is bounded by them, so a reader knows how much it will hold before
//! it reads anything.
//! Rows of a table that several queries open are written once.
//!
//! # Spec
//! `spec/proof.md` section 7.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::guard;
use p3_air::BaseAir;
use p3_batch_stark::proof::OpenedValuesWithLookups;
use p3_batch_stark::{BatchCommitments, BatchOpenedValues, BatchProof, OpenedValues};
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing, PrimeField32};
use p3_fri::{BatchMultiOpening, CommitPhaseMultiStep, FriProof};
use p3_lookup::LookupTerminal;
use p3_merkle_tree::{MerkleCap, PrunedMerklePaths};
use p3_uni_stark::PreprocessedOpenedValues;

use crate::codec::Reader;
use crate::config::{Challenge, ChallengeMmcs, Mmcs, Scheme};
use crate::error::DecodeError;
use crate::field::{F, PRIME};
use crate::key::Key;
use crate::params::ParamSet;

/// The proof of the library.
pub type Argument = BatchProof<Scheme>;
type Digest = [u8; 32];
type Roots = MerkleCap<F, Digest>;
type Paths = PrunedMerklePaths<u8, 32>;
type Opening = BatchMultiOpening<F, Mmcs>;
type Folding = CommitPhaseMultiStep<Challenge, ChallengeMmcs>;

/// Coordinates of an element of the extension.
const DIMENSION: usize = 4;
/// Roots of a commitment.
const ROOTS: usize = 1 << ParamSet::CAP_HEIGHT;
/// Greatest number of layers of a tree, and of foldings.
const LAYERS_MAX: usize = 24;
/// Greatest number of siblings of a value that is folded.
const SIBLINGS_MAX: usize = (1 << ParamSet::LOG_ARITY) - 1;
/// Greatest number of chunks of a quotient: constraints have degree 3.
const CHUNKS_MAX: u8 = 2;

// A query is written in a byte.
const _: () = {
    let mut set = 0;
    while set < ParamSet::ALL.len() {
        assert!(ParamSet::ALL[set].queries <= 1 << 8);
        set += 1;
    }
};

/// What the lengths of a table's openings follow from.
#[derive(Debug)]
struct Sizes {
    log_height: u8,
    /// Columns.
    width: usize,
    /// Whether the next row is opened as well.
    related: bool,
    /// Fixed columns.
    fixed: usize,
    /// Columns of buses, in coordinates.
    buses: usize,
    /// Chunks of the quotient.
    chunks: u8,
}

/// What the lengths of an argument follow from.
#[derive(Debug)]
pub struct Shape {
    tables: Vec<Sizes>,
    queries: usize,
    /// Siblings in each folding.
    foldings: Vec<u8>,
}

/// A table opened by queries: which commitment, and the position in it.
type Member = [usize; 2];

impl Shape {
    /// Returns the shape of arguments about tables of these numbers and heights, without what an
    /// argument itself says: chunks of quotients, and foldings.
    #[must_use]
    pub fn new(key: &Key, numbers: &[usize], log_heights: &[u8]) -> Self {
        let sizes = |(number, log_height): (&usize, &u8)| {
            let table = &key.tables()[*number];
            Sizes {
                log_height: *log_height,
                width: table.width(),
                related: table.relates_rows(),
                fixed: table.preprocessed_width(),
                buses: key.bus_columns(*number) * DIMENSION,
                chunks: 0,
            }
        };
        let tables = numbers.iter().zip(log_heights).map(sizes).collect();
        Self { tables, queries: key.params.queries, foldings: Vec::new() }
    }

    /// Takes over what an argument says; `None` if its rows are not those of these tables.
    fn of(&mut self, proof: &Argument) -> Option<()> {
        let instances = &proof.opened_values.instances;
        for (table, values) in self.tables.iter_mut().zip(instances) {
            let chunks = values.base_opened_values.quotient_chunks.len();
            table.chunks = u8::try_from(chunks).ok()?;
        }
        let siblings = |one: &Folding| u8::try_from(one.sibling_values.first()?.len()).ok();
        let foldings = proof.opening_proof.commit_phase_openings.iter().map(siblings);
        self.foldings = foldings.collect::<Option<Vec<u8>>>()?;
        let openings = &proof.opening_proof.input_openings;
        let fits = |(opening, widths): (&Opening, Vec<usize>)| {
            let mut queries = opening.opened_values.iter();
            opening.opened_values.len() == self.queries
                && queries.all(|rows| rows.iter().map(Vec::len).eq(widths.iter().copied()))
        };
        let all = openings.len() == self.widths().len() && self.foldings.len() <= LAYERS_MAX;
        (all && openings.iter().zip(self.widths()).all(fits)).then_some(())
    }

    /// Reads what an argument says.
    fn read(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        for table in &mut self.tables {
            table.chunks = input.u8()?;
            if guard!("proof.argument.chunks", !(1..=CHUNKS_MAX).contains(&table.chunks)) {
                return Err(range("chunks", table.chunks));
            }
        }
        let foldings = input.u8()?;
        if guard!("proof.argument.foldings", usize::from(foldings) > LAYERS_MAX) {
            return Err(range("foldings", foldings));
        }
        for _ in 0..foldings {
            let siblings = input.u8()?;
            let known = (1..=SIBLINGS_MAX).contains(&usize::from(siblings));
            if guard!("proof.argument.siblings", !known) {
                return Err(range("siblings", siblings));
            }
            self.foldings.push(siblings);
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.tables.iter().map(|table| table.chunks));
        out.push(self.foldings.len() as u8);
        out.extend(&self.foldings);
    }

    /// Returns the widths of the rows that each of the four commitments holds: tables, quotients,
    /// fixed tables, buses.
    fn widths(&self) -> [Vec<usize>; 4] {
        let some = |width: fn(&Sizes) -> usize| -> Vec<usize> {
            self.tables.iter().map(width).filter(|width| *width > 0).collect()
        };
        let chunks = self.tables.iter().map(|table| usize::from(table.chunks)).sum();
        let quotients = vec![DIMENSION; chunks];
        [some(|table| table.width), quotients, some(|table| table.fixed), some(|table| table.buses)]
    }

    /// Returns the rows that are opened at the same places: those of tables of one height.
    fn members(&self) -> BTreeMap<u8, Vec<Member>> {
        let mut members = BTreeMap::<u8, Vec<Member>>::new();
        let mut next = [0; 4];
        for table in &self.tables {
            let counts =
                [1, table.chunks.into(), (table.fixed > 0).into(), (table.buses > 0).into()];
            for (commitment, count) in counts.into_iter().enumerate() {
                for _ in 0..count {
                    let member = [commitment, next[commitment]];
                    members.entry(table.log_height).or_default().push(member);
                    next[commitment] += 1;
                }
            }
        }
        members
    }

    /// Returns an argument of this shape whose values are all 0.
    fn blank(&self) -> Argument {
        let values = |count: usize| vec![Challenge::ZERO; count];
        let instance = |table: &Sizes| OpenedValuesWithLookups {
            base_opened_values: OpenedValues {
                trace_local: values(table.width),
                trace_next: table.related.then(|| values(table.width)),
                preprocessed: (table.fixed > 0)
                    .then(|| PreprocessedOpenedValues { local: values(table.fixed), next: None }),
                quotient_chunks: vec![values(DIMENSION); table.chunks.into()],
                random: None,
            },
            permutation_local: values(table.buses),
            permutation_next: values(table.buses),
        };
        let cap = || Roots::new(vec![[0; 32]; ROOTS]);
        let paths = || Paths { sibling_hashes: Vec::new() };
        let opening = |widths: Vec<usize>| -> Opening {
            let rows: Vec<Vec<F>> = widths.into_iter().map(|width| vec![F::ZERO; width]).collect();
            BatchMultiOpening { opened_values: vec![rows; self.queries], opening_proof: paths() }
        };
        let folding = |siblings: &u8| -> Folding {
            let values = values(usize::from(*siblings));
            let sibling_values = vec![values; self.queries];
            CommitPhaseMultiStep { sibling_values, opening_proof: paths() }
        };
        let asked = self.tables.iter().any(|table| table.buses > 0);
        let terminal = |table: &Sizes| (table.buses > 0).then_some(LookupTerminal(Challenge::ZERO));
        BatchProof {
            commitments: BatchCommitments {
                main: cap(),
                permutation: asked.then(cap),
                quotient_chunks: cap(),
                random: None,
            },
            opened_values: BatchOpenedValues {
                instances: self.tables.iter().map(instance).collect(),
            },
            opening_proof: FriProof {
                batch_pow_witness: F::ZERO,
                commit_phase_commits: self.foldings.iter().map(|_| cap()).collect(),
                commit_pow_witnesses: vec![F::ZERO; self.foldings.len()],
                input_openings: self.widths().map(opening).into(),
                commit_phase_openings: self.foldings.iter().map(folding).collect(),
                final_poly: values(1 << ParamSet::LOG_FINAL),
                query_pow_witness: F::ZERO,
            },
            lookup_terminals: self.tables.iter().map(terminal).collect(),
            degree_bits: self.tables.iter().map(|table| table.log_height.into()).collect(),
            lookup_pow_witness: asked.then_some(F::ZERO),
            ood_pow_witness: F::ZERO,
        }
    }
}

const fn range(field: &'static str, found: u8) -> DecodeError {
    DecodeError::Range { field, found: found as u64 }
}

/// What is done with every part of an argument in the order in which it is written.
trait Pass {
    fn elements(&mut self, values: &mut [F]) -> Result<(), DecodeError>;
    fn digest(&mut self, digest: &mut Digest) -> Result<(), DecodeError>;
    /// At most `max` digests.
    fn digests(&mut self, digests: &mut Vec<Digest>, max: usize) -> Result<(), DecodeError>;
    /// For each query the first one that opens the same rows.
    fn firsts(&mut self, found: &dyn Fn() -> Vec<usize>) -> Result<Vec<usize>, DecodeError>;

    fn element(&mut self, value: &mut F) -> Result<(), DecodeError> {
        self.elements(core::slice::from_mut(value))
    }

    fn values(&mut self, values: &mut [Challenge]) -> Result<(), DecodeError> {
        for value in values {
            let mut coordinates = [F::ZERO; DIMENSION];
            coordinates.copy_from_slice(value.as_basis_coefficients_slice());
            self.elements(&mut coordinates)?;
            *value = Challenge::from_basis_coefficients_fn(|place| coordinates[place]);
        }
        Ok(())
    }

    fn cap(&mut self, cap: &mut Roots) -> Result<(), DecodeError> {
        let mut roots = cap.roots().to_vec();
        roots.iter_mut().try_for_each(|root| self.digest(root))?;
        *cap = Roots::new(roots);
        Ok(())
    }
}

/// Passes over all parts.
fn pass<P: Pass>(pass: &mut P, shape: &Shape, proof: &mut Argument) -> Result<(), DecodeError> {
    let commitments = &mut proof.commitments;
    pass.cap(&mut commitments.main)?;
    commitments.permutation.iter_mut().try_for_each(|cap| pass.cap(cap))?;
    pass.cap(&mut commitments.quotient_chunks)?;
    for instance in &mut proof.opened_values.instances {
        let base = &mut instance.base_opened_values;
        pass.values(&mut base.trace_local)?;
        base.trace_next.iter_mut().try_for_each(|values| pass.values(values))?;
        base.preprocessed.iter_mut().try_for_each(|fixed| pass.values(&mut fixed.local))?;
        base.quotient_chunks.iter_mut().try_for_each(|chunk| pass.values(chunk))?;
        pass.values(&mut instance.permutation_local)?;
        pass.values(&mut instance.permutation_next)?;
    }
    for terminal in proof.lookup_terminals.iter_mut().flatten() {
        pass.values(core::slice::from_mut(&mut terminal.0))?;
    }
    proof.lookup_pow_witness.iter_mut().try_for_each(|witness| pass.element(witness))?;
    pass.element(&mut proof.ood_pow_witness)?;

    let opening = &mut proof.opening_proof;
    pass.element(&mut opening.batch_pow_witness)?;
    opening.commit_phase_commits.iter_mut().try_for_each(|cap| pass.cap(cap))?;
    pass.elements(&mut opening.commit_pow_witnesses)?;
    pass.values(&mut opening.final_poly)?;
    pass.element(&mut opening.query_pow_witness)?;
    let paths_max = shape.queries * LAYERS_MAX;
    for folding in &mut opening.commit_phase_openings {
        folding.sibling_values.iter_mut().try_for_each(|values| pass.values(values))?;
        pass.digests(&mut folding.opening_proof.sibling_hashes, paths_max * SIBLINGS_MAX)?;
    }
    for members in shape.members().into_values() {
        rows(pass, &members, &mut opening.input_openings)?;
    }
    for commitment in &mut opening.input_openings {
        pass.digests(&mut commitment.opening_proof.sibling_hashes, paths_max)?;
    }
    Ok(())
}

/// Passes over the rows of tables of one height, each of them once.
fn rows<P: Pass>(
    pass: &mut P,
    members: &[Member],
    openings: &mut [Opening],
) -> Result<(), DecodeError> {
    let firsts = pass.firsts(&|| self::firsts(members, openings))?;
    for (query, first) in firsts.iter().copied().enumerate() {
        for [commitment, place] in members {
            let values = &mut openings[*commitment].opened_values;
            if first == query {
                pass.elements(&mut values[query][*place])?;
            } else {
                let (before, own) = values.split_at_mut(query);
                own[0][*place].copy_from_slice(&before[first][*place]);
            }
        }
    }
    // Otherwise a row that is there could be written again, and one argument had two forms.
    if guard!("proof.argument.repeated", self::firsts(members, openings) != firsts) {
        return Err(DecodeError::Proof(0));
    }
    Ok(())
}

/// Returns for each query the first one that opens the same rows.
fn firsts(members: &[Member], openings: &[Opening]) -> Vec<usize> {
    let queries = openings.first().map_or(0, |one| one.opened_values.len());
    let order = |one: &usize, other: &usize| {
        let row = |query: usize, [commitment, place]: Member| {
            openings[commitment].opened_values[query][place].iter().map(F::as_canonical_u32)
        };
        let compare = |member: &Member| row(*one, *member).cmp(row(*other, *member));
        members
            .iter()
            .map(compare)
            .find(|order| order.is_ne())
            .unwrap_or(core::cmp::Ordering::Equal)
    };
    let mut sorted: Vec<usize> = (0..queries).collect();
    // Stable, so that the first of equal ones comes first.
    sorted.sort_by(order);
    let mut firsts = vec![0; queries];
    for group in sorted.chunk_by(|one, other| order(one, other).is_eq()) {
        group.iter().for_each(|query| firsts[*query] = group[0]);
    }
    firsts
}

/// Writes.
struct Encoder(Vec<u8>);

impl Pass for Encoder {
    fn elements(&mut self, values: &mut [F]) -> Result<(), DecodeError> {
        self.0.extend(values.iter().flat_map(|value| value.as_canonical_u32().to_le_bytes()));
        Ok(())
    }

    fn digest(&mut self, digest: &mut Digest) -> Result<(), DecodeError> {
        self.0.extend_from_slice(digest);
        Ok(())
    }

    fn digests(&mut self, digests: &mut Vec<Digest>, max: usize) -> Result<(), DecodeError> {
        let count = u32::try_from(digests.len()).unwrap_or(u32::MAX);
        if digests.len() > max {
            let (found, allowed) = (digests.len() as u64, max as u64);
            return Err(DecodeError::Limit { field: "paths", found, allowed });
        }
        self.0.extend_from_slice(&count.to_le_bytes());
        self.0.extend(digests.as_flattened());
        Ok(())
    }

    fn firsts(&mut self, found: &dyn Fn() -> Vec<usize>) -> Result<Vec<usize>, DecodeError> {
        let firsts = found();
        self.0.extend(firsts.iter().map(|first| *first as u8));
        Ok(firsts)
    }
}

/// Reads.
struct Decoder<'a> {
    input: Reader<'a>,
    queries: usize,
}

impl Pass for Decoder<'_> {
    fn elements(&mut self, values: &mut [F]) -> Result<(), DecodeError> {
        let bytes = self.input.take(4 * values.len())?;
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
            let found = u32::from_le_bytes(*bytes);
            if guard!("proof.argument.element", found >= PRIME) {
                return Err(DecodeError::Range { field: "element", found: found.into() });
            }
            *value = F::from_u32(found);
        }
        Ok(())
    }

    fn digest(&mut self, digest: &mut Digest) -> Result<(), DecodeError> {
        *digest = self.input.array()?;
        Ok(())
    }

    fn digests(&mut self, digests: &mut Vec<Digest>, max: usize) -> Result<(), DecodeError> {
        let count = self.input.count("paths", max)?;
        let bytes = self.input.take(count * 32)?;
        digests.extend_from_slice(bytes.as_chunks().0);
        Ok(())
    }

    fn firsts(&mut self, _: &dyn Fn() -> Vec<usize>) -> Result<Vec<usize>, DecodeError> {
        let read = self.input.take(self.queries)?;
        let firsts: Vec<usize> = read.iter().map(|first| usize::from(*first)).collect();
        for (query, first) in firsts.iter().copied().enumerate() {
            // One that is itself written.
            let written = first == query || (first < query && firsts[first] == first);
            if guard!("proof.argument.first", !written) {
                return Err(DecodeError::Range { field: "first", found: first as u64 });
            }
        }
        Ok(firsts)
    }
}

/// Writes an argument about these tables; `None` if it opens other rows than theirs.
///
/// Only what a prover makes is read again.
#[must_use]
pub fn encode(mut shape: Shape, mut proof: Argument) -> Option<Vec<u8>> {
    shape.of(&proof)?;
    let mut out = Vec::new();
    shape.write(&mut out);
    let mut encoder = Encoder(out);
    pass(&mut encoder, &shape, &mut proof).ok()?;
    Some(encoder.0)
}

/// Reads an argument about these tables.
///
/// Holds as much as the tables, queries and parameters ask for, whatever the bytes are, and at most
/// the bytes again.
///
/// # Errors
/// [`DecodeError`] unless the bytes are the encoding of an argument of this shape.
pub fn decode(mut shape: Shape, bytes: &[u8]) -> Result<Argument, DecodeError> {
    let mut input = Reader::new(bytes);
    shape.read(&mut input)?;
    let mut proof = shape.blank();
    let mut decoder = Decoder { input, queries: shape.queries };
    pass(&mut decoder, &shape, &mut proof)?;
    decoder.input.end()?;
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes every row, also those that are there.
    struct Spelled(Encoder);

    impl Pass for Spelled {
        fn elements(&mut self, values: &mut [F]) -> Result<(), DecodeError> {
            self.0.elements(values)
        }

        fn digest(&mut self, digest: &mut Digest) -> Result<(), DecodeError> {
            self.0.digest(digest)
        }

        fn digests(&mut self, digests: &mut Vec<Digest>, max: usize) -> Result<(), DecodeError> {
            self.0.digests(digests, max)
        }

        fn firsts(&mut self, found: &dyn Fn() -> Vec<usize>) -> Result<Vec<usize>, DecodeError> {
            let all = 0..found().len();
            self.0.firsts(&|| all.clone().collect())
        }
    }

    const MEMBERS: [Member; 2] = [[0, 0], [1, 1]];

    /// Two commitments of two tables each, of which one table of each is opened here.
    fn openings(rows: [[u32; 2]; 3]) -> Vec<Opening> {
        let row = |values: &[u32]| -> Vec<F> { values.iter().copied().map(F::from_u32).collect() };
        let of = |place: usize| {
            let query = |one: &[u32; 2]| vec![row(&one[place..=place]); 2];
            let opening_proof = Paths { sibling_hashes: Vec::new() };
            Opening { opened_values: rows.iter().map(query).collect(), opening_proof }
        };
        vec![of(0), of(1)]
    }

    fn written<P: Pass>(pass: &mut P, values: [[u32; 2]; 3]) -> Result<(), DecodeError> {
        rows(pass, &MEMBERS, &mut openings(values))
    }

    fn read(bytes: &[u8]) -> Result<Vec<Opening>, DecodeError> {
        let mut decoder = Decoder { input: Reader::new(bytes), queries: 3 };
        let mut blank = openings([[0; 2]; 3]);
        rows(&mut decoder, &MEMBERS, &mut blank)?;
        decoder.input.end()?;
        Ok(blank)
    }

    #[test]
    fn rows_that_several_queries_open_are_written_once() {
        let mut encoder = Encoder(Vec::new());
        written(&mut encoder, [[1, 2], [1, 3], [1, 2]]).unwrap();
        let expected = [&[0, 1, 0][..], &[1, 0, 0, 0, 2, 0, 0, 0], &[1, 0, 0, 0, 3, 0, 0, 0]];
        assert_eq!(encoder.0, expected.concat());
        let found = read(&encoder.0).unwrap();
        let again = |query: usize| [0, 1].map(|one: usize| &found[one].opened_values[query][one]);
        assert_eq!(again(0), again(2));
        assert_ne!(again(0), again(1));
    }

    #[test]
    fn rows_have_one_form() {
        let mut spelled = Spelled(Encoder(Vec::new()));
        let _ = written(&mut spelled, [[1, 2], [1, 3], [1, 2]]);
        let bytes = spelled.0.0;
        assert_eq!(bytes.len(), 3 + 3 * 8);
        assert_eq!(read(&bytes).err(), Some(DecodeError::Proof(0)));
    }

    #[test]
    fn a_query_repeats_one_before_it_that_is_written() {
        let row = [1, 0, 0, 0, 2, 0, 0, 0];
        for firsts in [[0, 2, 2], [1, 1, 1], [0, 0, 1], [0, 0, 255]] {
            let bytes = [&firsts[..], &row, &row, &row].concat();
            let refused = matches!(read(&bytes), Err(DecodeError::Range { field: "first", .. }));
            assert!(refused, "{firsts:?}");
        }
    }
}
