//! The argument: what the library's verifier checks, made by a prover of our own.
//!
//! The library's prover evaluates the buses as trees of expressions with a product over the
//! extension for each field of each message; here a message is one linear combination of cells
//! with coefficients that are worked out once.
//! Both make the same proof, byte for byte where no work is ground (a test compares them), and no
//! verifier knows which one made it: nothing here is trusted.

mod buses;
mod quotient;

use kapsule_proof::Scheme;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Table, Trace};
use p3_air::{BaseAir, symbolic::AirLayout};
use p3_batch_stark::proof::OpenedValuesWithLookups;
use p3_batch_stark::{
    BatchCommitments, BatchOpenedValues, BatchProof, BatchProverTranscript, BatchShape, Challenge,
    Commitment, CommonData, Domain, OpenedValues, ProverOnlyData, StarkGenericConfig, Val,
};
use p3_commit::{OpeningRequest, Pcs as AnyPcs, PolynomialSpace, UnivariateStarkPcs};
use p3_lookup::logup::LogUpGadget;
use p3_lookup::{Lookup, LookupTerminal};
use p3_matrix::Matrix;
use p3_maybe_rayon::prelude::*;
use p3_uni_stark::PreprocessedOpenedValues;

use buses::Buses;

/// The extension that challenges are drawn from.
type Extension = Challenge<Scheme>;
type Pcs = <Scheme as StarkGenericConfig>::Pcs;
type Challenger = <Scheme as StarkGenericConfig>::Challenger;
type Committed = <Pcs as p3_commit::Pcs<Extension, Challenger>>::ProverData;
type Root = Commitment<Scheme>;
type Transcript<'c> = BatchProverTranscript<'c, Challenger, Val<Scheme>, Extension, Root>;
/// The values of one commitment at the points that are opened: by table, point and column.
type Opened = Vec<Vec<Vec<Extension>>>;

/// One table on its way through the argument.
struct Instance<'a> {
    table: &'a Table,
    trace: &'a Trace,
    publics: &'a [F],
    lookups: &'a [Lookup<F>],
    layout: AirLayout,
    domain: Domain<Scheme>,
}

/// The fixed tables: what a verifier knows of them, and what they are opened from.
pub(crate) struct Fixed<'a> {
    pub(crate) common: &'a CommonData<Scheme>,
    pub(crate) committed: &'a ProverOnlyData<Scheme>,
}

/// A commitment with what its openings are made from.
struct Phase {
    root: Root,
    data: Committed,
}

/// Makes the argument for these tables, of which the first are the fixed ones.
///
/// # Errors
/// What failed, which is a mistake in this crate or in a table.
pub(crate) fn argue(
    config: &Scheme,
    tables: &[(Table, Trace)],
    publics: &[F],
    fixed: &Fixed<'_>,
) -> Result<BatchProof<Scheme>, String> {
    let pcs = config.pcs();
    let instances: Vec<Instance<'_>> = tables
        .iter()
        .zip(&fixed.common.lookups)
        .map(|((table, trace), lookups)| Instance {
            table,
            trace,
            publics: if table.num_public_values() == 0 { &[] } else { publics },
            lookups,
            layout: AirLayout::from_air(table),
            domain: AnyPcs::<Extension, Challenger>::natural_domain_for_degree(pcs, trace.height()),
        })
        .collect();
    let mut challenger = config.initialise_challenger();
    let mut transcript = Transcript::new(&mut challenger, shape(config, &instances, fixed));
    let made = make(pcs, &instances, fixed, &mut transcript);
    match made {
        Ok(proof) => {
            transcript.finish();
            Ok(proof)
        }
        Err(error) => {
            transcript.abort();
            Err(error)
        }
    }
}

/// Returns the numbers that fix the order of the transcript.
fn shape(config: &Scheme, instances: &[Instance<'_>], fixed: &Fixed<'_>) -> BatchShape {
    let widths = |width: fn(&Instance<'_>) -> usize| instances.iter().map(width).collect();
    BatchShape {
        trace_widths: widths(|one| one.table.width()),
        public_value_counts: widths(|one| one.publics.len()),
        preprocessed_widths: widths(|one| one.table.preprocessed_width()),
        has_preprocessed_commitment: fixed.common.preprocessed.is_some(),
        num_lookup_instances: instances.iter().filter(|one| !one.lookups.is_empty()).count(),
        lookup_pow_bits: config.lookup_proof_of_work_bits(),
        has_randomization_commitment: false,
        ood_pow_bits: config.ood_proof_of_work_bits(),
    }
}

/// Goes through the rounds.
fn make(
    pcs: &Pcs,
    instances: &[Instance<'_>],
    fixed: &Fixed<'_>,
    transcript: &mut Transcript<'_>,
) -> Result<BatchProof<Scheme>, String> {
    let degree_bits: Vec<usize> =
        instances.iter().map(|one| one.trace.height().ilog2() as usize).collect();
    transcript.instance_bindings(&degree_bits);
    let main = commit(pcs, instances.iter().map(|one| (one.domain, one.trace.clone())))?;
    let publics: Vec<&[F]> = instances.iter().map(|one| one.publics).collect();
    transcript.main_phase(main.root.clone(), &publics);
    let preprocessed = fixed.common.preprocessed.as_ref();
    transcript.preprocessed_phase(preprocessed.map(|fixed| fixed.commitment.clone()));

    let lookups: Vec<&[Lookup<F>]> = instances.iter().map(|one| one.lookups).collect();
    let (challenges, lookup_pow_witness) = transcript.lookup_phase(&lookups, &LogUpGadget::new());
    let buses: Option<Vec<Buses>> = instances
        .iter()
        .zip(&challenges)
        .map(|(one, challenges)| Buses::new(one.lookups, challenges, one.table))
        .collect();
    let buses = buses.ok_or("a message is not affine in the cells of one row")?;
    let (traces, terminals) = bus_traces(instances, &buses)?;
    let bused = commit(pcs, traces)?;
    let values: Vec<Extension> = terminals.iter().flatten().copied().collect();
    let alpha = transcript.permutation_phase(Some(bused.root.clone()), &values);

    let challenge = (alpha, &terminals[..]);
    let chunks = quotients(pcs, instances, fixed, [&main, &bused], (&buses, challenge))?;
    let counts: Vec<usize> = chunks.iter().map(Vec::len).collect();
    let chunks = chunks.into_iter().flatten().collect();
    let (root, data) = UnivariateStarkPcs::<Extension, Challenger>::commit_ldes(pcs, chunks)
        .map_err(|error| format!("{error:?}"))?;
    let quotient = Phase { root, data };
    transcript.quotient_phase(quotient.root.clone(), None);
    let (zeta, ood_pow_witness) = transcript.ood_phase();

    let phases = [&main, &quotient, &bused];
    let requests = requests(instances, fixed, phases, &counts, zeta)?;
    let opened = transcript.delegate(|challenger| {
        let layout = p3_uni_stark::StarkOpeningLayout::new(false);
        pcs.open_with_preprocessing(requests, challenger, preprocessed.map(|_| layout.preprocessed))
    });
    let (opened, opening_proof) = opened.map_err(|error| format!("{error:?}"))?;
    let opened_values =
        BatchOpenedValues { instances: values_of(instances, fixed, opened, &counts)? };
    let terminals = terminals.into_iter().map(|terminal| terminal.map(LookupTerminal));
    Ok(BatchProof {
        commitments: BatchCommitments {
            main: main.root,
            quotient_chunks: quotient.root,
            random: None,
            permutation: Some(bused.root),
        },
        opened_values,
        opening_proof,
        lookup_terminals: terminals.collect(),
        degree_bits,
        lookup_pow_witness,
        ood_pow_witness,
    })
}

/// Returns the chunks of each table's quotient.
fn quotients(
    pcs: &Pcs,
    instances: &[Instance<'_>],
    fixed: &Fixed<'_>,
    [main, bused]: [&Phase; 2],
    (buses, (alpha, terminals)): (&[Buses], (Extension, &[Option<Extension>])),
) -> Result<Vec<Vec<Trace>>, String> {
    let one = |(number, instance): (usize, &Instance<'_>)| {
        let commitments = quotient::Commitments {
            main: &main.data,
            bused: bus_position(instances, number).map(|at| (at, &bused.data)),
            fixed: fixed_position(fixed, number),
        };
        let challenge = (alpha, terminals[number]);
        quotient::chunks(pcs, instance, number, &commitments, &buses[number], challenge)
    };
    instances.par_iter().enumerate().map(one).collect()
}

/// Commits to tables.
fn commit(
    pcs: &Pcs,
    tables: impl IntoIterator<Item = (Domain<Scheme>, Trace)>,
) -> Result<Phase, String> {
    let (root, data) = AnyPcs::<Extension, Challenger>::commit(pcs, tables)
        .map_err(|error| format!("{error:?}"))?;
    Ok(Phase { root, data })
}

/// The columns of the buses to commit to, and where each table's sum ends.
type BusTraces = (Vec<(Domain<Scheme>, Trace)>, Vec<Option<Extension>>);

fn bus_traces(instances: &[Instance<'_>], buses: &[Buses]) -> Result<BusTraces, String> {
    let _span = tracing::info_span!("buses").entered();
    let (mut traces, mut terminals) = (Vec::new(), Vec::new());
    for (instance, buses) in instances.iter().zip(buses) {
        if instance.lookups.is_empty() {
            terminals.push(None);
            continue;
        }
        let fixed = instance.table.fixed();
        let made = buses.trace(instance.trace, fixed.as_ref());
        let (trace, terminal) = made.ok_or("a denominator of a bus vanishes")?;
        traces.push((instance.domain, trace));
        terminals.push(Some(terminal));
    }
    Ok((traces, terminals))
}

/// Returns the position of a table among those with buses.
fn bus_position(instances: &[Instance<'_>], number: usize) -> Option<usize> {
    let with_buses = |one: &&Instance<'_>| !one.lookups.is_empty();
    instances.get(number).filter(with_buses)?;
    Some(instances[..number].iter().filter(with_buses).count())
}

/// Returns the committed cells of a fixed table.
fn fixed_position<'a>(fixed: &Fixed<'a>, number: usize) -> Option<(usize, &'a Committed)> {
    let common = fixed.common.preprocessed.as_ref()?;
    let position = common.instances.get(number)?.as_ref()?.matrix_index;
    Some((position, fixed.committed.preprocessed_prover_data.as_ref()?))
}

/// Returns what is opened where: main, quotient, fixed and bus columns, in this order.
fn requests<'a>(
    instances: &[Instance<'_>],
    fixed: &Fixed<'a>,
    [main, quotient, bused]: [&'a Phase; 3],
    chunks: &[usize],
    zeta: Extension,
) -> Result<Vec<OpeningRequest<'a, Committed, Extension>>, String> {
    let both = |instance: &Instance<'_>| {
        let next = instance.domain.next_point(zeta).ok_or("a table has no next row")?;
        Ok::<_, String>(vec![zeta, next])
    };
    let of_main = instances.iter().map(|one| match one.table.relates_rows() {
        true => both(one),
        false => Ok(vec![zeta]),
    });
    let of_buses = instances.iter().filter(|one| !one.lookups.is_empty()).map(both);
    let mut requests = vec![
        OpeningRequest { prover_data: &main.data, points: of_main.collect::<Result<_, _>>()? },
        OpeningRequest {
            prover_data: &quotient.data,
            points: vec![vec![zeta]; chunks.iter().sum()],
        },
    ];
    if let (Some(common), Some(data)) =
        (&fixed.common.preprocessed, &fixed.committed.preprocessed_prover_data)
    {
        let points = vec![vec![zeta]; common.matrix_to_instance.len()];
        requests.push(OpeningRequest { prover_data: data, points });
    }
    requests.push(OpeningRequest {
        prover_data: &bused.data,
        points: of_buses.collect::<Result<_, _>>()?,
    });
    Ok(requests)
}

/// Sorts the opened values by table.
fn values_of(
    instances: &[Instance<'_>],
    fixed: &Fixed<'_>,
    opened: Vec<Opened>,
    chunks: &[usize],
) -> Result<Vec<OpenedValuesWithLookups<Extension>>, String> {
    let with_fixed = fixed.common.preprocessed.is_some();
    let mut rounds = opened.into_iter();
    let mut round = || rounds.next().ok_or("a commitment was not opened");
    let (main, quotient) = (round()?, round()?);
    let fixed_values = if with_fixed { round()? } else { Vec::new() };
    let (mut quotient, mut buses) = (quotient.into_iter(), round()?.into_iter());
    let first = |values: &mut dyn Iterator<Item = Vec<Vec<Extension>>>| {
        values.next().and_then(|points| points.into_iter().next()).unwrap_or_default()
    };
    let sorted = instances.iter().zip(main).enumerate().map(|(number, (instance, main))| {
        let mut main = main.into_iter();
        let local = fixed_position(fixed, number)
            .and_then(|(position, _)| fixed_values.get(position)?.first().cloned());
        let bused = match instance.lookups.is_empty() {
            true => Vec::new(),
            false => buses.next().unwrap_or_default(),
        };
        let mut bused = bused.into_iter();
        OpenedValuesWithLookups {
            base_opened_values: OpenedValues {
                trace_local: main.next().unwrap_or_default(),
                trace_next: main.next(),
                preprocessed: local.map(|local| PreprocessedOpenedValues { local, next: None }),
                quotient_chunks: (0..chunks[number]).map(|_| first(&mut quotient)).collect(),
                random: None,
            },
            permutation_local: bused.next().unwrap_or_default(),
            permutation_next: bused.next().unwrap_or_default(),
        }
    });
    Ok(sorted.collect())
}
