//! The reference table: what the argument costs on one plain table, by the library's own prover.
//!
//! The design was chosen by this measurement, so it can be repeated: 2^18 rows of 106 columns with
//! 12 messages, 84 queries at rate 1/2.

use std::time::Instant;

use kapsule_proof::field::F;
use kapsule_proof::{ParamSet, Scheme, config};
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_batch_stark::{BatchProof, ProverData, StarkInstance, prove_batch, verify_batch};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder, PermutationCheckBus};
use p3_matrix::dense::RowMajorMatrix;

use super::system;
use crate::timing::{per_second, readable};

const LOG_ROWS: usize = 18;
const COLUMNS: usize = 106;
/// Buses, each with one message sent and one received.
const BUSES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];
/// Cells of a message.
const WIDTH: usize = 6;
/// Verifications, of which the shortest counts.
const ROUNDS: usize = 5;
const PARAMS: ParamSet = ParamSet { queries: 84, name: "reference", ..ParamSet::FAST };

/// Triples of columns, the third the product of the first and the square of the second; the last
/// column stands alone.
#[derive(Clone, Copy, Debug)]
struct Reference;

impl BaseAir<F> for Reference {
    fn width(&self) -> usize {
        COLUMNS
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<B: AirBuilder<F = F> + InteractionBuilder> Air<B> for Reference {
    fn eval(&self, builder: &mut B) {
        let main = builder.main();
        let cells = main.current_slice();
        for triple in cells.chunks_exact(3) {
            let [a, b, c] = [triple[0], triple[1], triple[2]].map(Into::<B::Expr>::into);
            builder.assert_zero(a * b.clone() * b - c);
        }
        for (name, cells) in BUSES.into_iter().zip(cells.chunks_exact(WIDTH)) {
            let tuple = || cells.iter().map(|cell| Into::<B::Expr>::into(*cell));
            let bus = PermutationCheckBus::new(name);
            bus.send(builder, tuple(), Count::bounded(B::Expr::ONE, 1));
            bus.receive(builder, tuple(), Count::bounded(B::Expr::ONE, 1));
        }
    }
}

/// Fills the table with numbers of a fixed sequence.
fn trace() -> RowMajorMatrix<F> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        F::from_u32(state >> 8)
    };
    let mut cells = Vec::with_capacity(COLUMNS << LOG_ROWS);
    for _ in 0..1 << LOG_ROWS {
        for _ in 0..COLUMNS / 3 {
            let (a, b) = (next(), next());
            cells.extend([a, b, a * b * b]);
        }
        cells.push(next());
    }
    RowMajorMatrix::new(cells, COLUMNS)
}

/// Measures proof and verification.
pub(super) fn measure() -> Result<Vec<String>, String> {
    let scheme: Scheme = config(&PARAMS, &[0; 32]);
    let data = ProverData::from_airs_and_degrees(&scheme, &[Reference], &[LOG_ROWS])
        .map_err(|error| format!("{error:?}"))?;
    let trace = trace();
    system::reset_peak();
    let (cpu, start) = (system::cpu_seconds(), Instant::now());
    let instance = StarkInstance { air: &Reference, trace: &trace, public_values: Vec::new() };
    let proof: BatchProof<Scheme> =
        prove_batch(&scheme, &[instance], &data).map_err(|error| format!("{error:?}"))?;
    let time = start.elapsed();
    let cpu = system::cpu_seconds().zip(cpu).map_or(f64::NAN, |(end, start)| end - start);
    let bytes = postcard::to_allocvec(&proof).map_err(|error| error.to_string())?.len();
    let mut verify = std::time::Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        verify_batch(&scheme, &[Reference], &proof, &[Vec::new()], &data.common)
            .map_err(|error| format!("{error:?}"))?;
        verify = verify.min(start.elapsed());
    }
    let peak = system::peak_bytes().map_or(0, |bytes| bytes >> 20);
    Ok(vec![
        format!(
            "reference: 2^{LOG_ROWS} rows of {COLUMNS} columns, {} messages, {} queries",
            2 * BUSES.len(),
            PARAMS.queries
        ),
        format!(
            "  prove {}, {cpu:.2} s of processor time, {:.0} rows/s, peak {peak} MB",
            readable(time),
            per_second(1 << LOG_ROWS, time),
        ),
        format!("  proof {bytes} bytes, verified in {}", readable(verify)),
    ])
}
