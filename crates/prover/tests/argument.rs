//! Our prover makes the argument that the library's prover makes.

use kapsule_proof::argument::{Shape, encode};
use kapsule_proof::machine::Table;
use kapsule_proof::{Key, ParamSet, Scheme, config, seed};
use kapsule_prover::prove::{Witness, prove};
use p3_batch_stark::{ProverData, StarkInstance, prove_batch};
use p3_matrix::Matrix;

use crate::programs::{FIB, job, key, run};

/// Without work to grind an argument depends on its input alone.
fn by_library(key: &Key, witness: &Witness) -> Vec<u8> {
    let heights: Vec<usize> =
        witness.tables.iter().map(|(_, trace)| trace.height().ilog2() as usize).collect();
    let log_heights: Vec<u8> = heights.iter().map(|height| *height as u8).collect();
    let present = witness.tables.iter().fold(0, |bits, (table, _)| bits | 1 << table.number());
    let statement = witness.statement.digest();
    let config: Scheme =
        config(&key.params, &seed(&key.digest, &statement, present, &log_heights, &key.params));
    let tables: Vec<Table> = witness.tables.iter().map(|(table, _)| table.clone()).collect();
    let data = ProverData::from_airs_and_degrees(&config, &tables, &heights).unwrap();
    let instances: Vec<_> = witness
        .tables
        .iter()
        .map(|(air, trace)| {
            let own = matches!(air, Table::Connector);
            let public_values = if own { witness.publics.clone() } else { Vec::new() };
            StarkInstance { air, trace, public_values }
        })
        .collect();
    let numbers: Vec<usize> = tables.iter().map(Table::number).collect();
    let shape = Shape::new(key, &numbers, &log_heights);
    encode(shape, prove_batch(&config, &instances, &data).unwrap()).unwrap()
}

#[test]
fn both_provers_make_one_argument() {
    let key = key(FIB, ParamSet::TEST);
    for (entry, fuel) in [("run", 10_000), ("divide", 10_000)] {
        let witness = run(&key, &job(entry, fuel));
        let own = prove(&key, &witness).unwrap().segment.argument;
        assert!(own == by_library(&key, &witness), "{entry}");
    }
}
