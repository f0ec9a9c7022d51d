//! The parameter sets reach the level they name, computed in two ways from the real tables.

use kapsule_proof::ParamSet;
use kapsule_proof::machine::describe;
use p3_batch_stark::num_batched_openings;
use p3_security::fri::FriRegime;
use p3_security::grinding::GrindingSites;
use p3_security::logup::{LogUpAir, fingerprint_error};
use p3_security::shape::InstanceShape;
use p3_uni_stark::{OpeningShape, ProvenSecurity, StarkSecurityParams};

/// Base-2 logarithm of the greatest height of a table.
const LOG_HEIGHT: usize = 21;
/// Base-2 logarithm of the greatest number of messages that a verifier accepts.
const LOG_MESSAGES: usize = 27;
/// Width of the widest tuple.
const WIDEST: usize = 24;
/// Degree of the extension.
const DEGREE: usize = 4;

/// What the terms depend on, for a proof in which every table is present.
#[derive(Debug, Default)]
struct Shape {
    constraints: usize,
    openings: usize,
}

/// Counts from the text that also pins the tables; buses are counted unpacked, which is the worst.
fn shape() -> Shape {
    let mut shape = Shape::default();
    for table in describe().split("table ").skip(1) {
        let fixed = table.lines().next().and_then(|line| line.rsplit(' ').next());
        let fixed = fixed.and_then(|width| width.parse().ok());
        let count = |part: &str| table.lines().filter(|line| line.contains(part)).count();
        let (columns, buses) = (count("  column "), count(" width "));
        shape.constraints += count(" degree ") + buses + 3;
        let fixed = fixed.expect("the first line ends with a width");
        let opening = OpeningShape::new();
        shape.openings +=
            num_batched_openings(columns, true, fixed, true, 2, buses, DEGREE, opening);
    }
    shape
}

/// The table of terms for unique decoding, written out.
fn own(set: &ParamSet, shape: &Shape) -> f64 {
    let field = f64::from(DEGREE as u32) * f64::from(0x7f00_0001_u32).log2();
    let log2 = |number: usize| (number as f64).log2();
    let size = 1usize << (LOG_HEIGHT + set.log_blowup);
    let rate = 1.0 / (1u64 << set.log_blowup) as f64;
    let query = -(set.queries as f64) * f64::midpoint(1.0, rate).log2() + set.query_work as f64;
    let batch = field - log2(size) - log2(shape.openings - 1) + set.batch_work as f64;
    let fold = field - log2(7 * (size + 1)) + set.fold_work as f64;
    let messages = (1usize << LOG_MESSAGES) * (WIDEST + 2);
    let buses = field - log2(messages) + set.lookup_work as f64;
    let constraints = field - log2(shape.constraints);
    let outside = field - log2(4 << LOG_HEIGHT) + set.ood_work as f64;
    [query, batch, fold, buses, constraints, outside].into_iter().fold(f64::INFINITY, f64::min)
}

/// The same by the library's calculator, whose terms are more careful in the query round.
fn library(set: &ParamSet, shape: &Shape) -> usize {
    let grinding = GrindingSites {
        out_of_domain: set.ood_work,
        batch_combination: set.batch_work,
        lookup_challenge: set.lookup_work,
    };
    let regime = FriRegime {
        log_blowup: set.log_blowup,
        num_queries: set.queries,
        log_final_poly_len: ParamSet::LOG_FINAL,
        max_log_arity: ParamSet::LOG_ARITY,
        commit_pow_bits: set.fold_work,
        query_pow_bits: set.query_work,
    };
    let params = StarkSecurityParams {
        fri_log_blowup: regime.log_blowup,
        fri_log_final_poly_len: regime.log_final_poly_len,
        fri_max_log_arity: regime.max_log_arity,
        fri_num_queries: regime.num_queries,
        fri_commit_proof_of_work_bits: regime.commit_pow_bits,
        fri_query_proof_of_work_bits: regime.query_pow_bits,
        num_modulus_bits: 123,
        collision_resistance: 128,
        num_constraints: shape.constraints,
        air_max_constraint_degree: 3,
        num_quotient_chunks: 2,
        max_combo: 2,
        num_batched_functions: shape.openings,
        grinding,
    };
    let proven = ProvenSecurity::compute(&params, 1 << LOG_HEIGHT).unique_decoding_bits;
    let instance = InstanceShape {
        log_trace_length: LOG_MESSAGES,
        modulus_bits: 123,
        num_batched_functions: shape.openings,
        collision_resistance: 128,
    };
    let messages = LogUpAir { num_interactions: 1, max_message_width: WIDEST };
    proven.min(fingerprint_error(&messages, &instance).floor() + set.lookup_work)
}

#[test]
fn every_set_reaches_the_level_it_names() {
    let shape = shape();
    assert!(shape.constraints > 300 && shape.openings > 1000, "{shape:?}");
    for set in ParamSet::ALL.iter().filter(|set| set.proven_bits > 0) {
        let (own, library) = (own(set, &shape), library(set, &shape));
        assert!(own >= f64::from(set.proven_bits), "{}: {own:.1} bits", set.name);
        assert!(library >= set.proven_bits as usize, "{}: {library} bits", set.name);
        assert!((own - library as f64).abs() < 3.0, "{}: {own:.1} and {library}", set.name);
    }
}

#[test]
fn fewer_queries_would_not_do() {
    let shape = shape();
    let weak = ParamSet { queries: ParamSet::FAST.queries - 4, ..ParamSet::FAST };
    assert!(own(&weak, &shape) < 100.0);
}

#[test]
fn the_test_set_is_the_only_one_without_a_level() {
    for set in ParamSet::ALL {
        assert_eq!(ParamSet::from_number(set.number), Some(set));
        assert_eq!(ParamSet::from_name(set.name), Some(set));
        assert_eq!(set.proven_bits == 0, set == ParamSet::TEST);
    }
    assert_eq!(ParamSet::from_number(0), None);
}
