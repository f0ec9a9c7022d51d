//! What Sybils can gain, and what does not matter.

use kapsule_modules_common::Name;
use proptest::prelude::*;
use trust::{Parameters, Statement, evaluate};

use crate::support::{Edge, VIEWER, graphs, output, row, statement};

/// Number of honest nodes; Sybils are numbered from here.
const HONEST: u64 = 6;

/// Sybils with any edges among themselves and to the honest, behind one edge.
fn attacks() -> impl Strategy<Value = (Vec<Edge>, Edge, u64)> {
    let honest = graphs(HONEST, 14);
    let attack = (0..HONEST, 1_u32..=1_000_000);
    (honest, attack, 1_u64..30, graphs(40, 120)).prop_map(|(honest, attack, sybils, extra)| {
        let all = HONEST + sybils;
        let own =
            extra.into_iter().filter(|(from, to, _)| (HONEST..all).contains(from) && *to < all);
        let edge = (attack.0, HONEST, attack.1);
        let edges = honest.into_iter().chain(own).chain([edge]).collect();
        (edges, edge, sybils)
    })
}

proptest! {
    #[test]
    fn sybils_behind_one_edge_share_its_capacity((edges, edge, sybils) in attacks()) {
        let parameters = Parameters { node_credit: 5_000, ..Parameters::default() };
        let found = output(&edges, &parameters);
        let names = Name::Number(HONEST)..Name::Number(HONEST + sybils);
        let rows = || found.rows.iter().filter(|row| names.contains(&row.name));

        let flow: u64 = rows().map(|row| row.flow).sum();
        prop_assert!(flow <= u64::from(edge.2), "{flow} over an edge of {}", edge.2);

        // Score: what passes the edge, once for each step that it can stay inside.
        let beside = edges.iter().filter(|other| other.0 == edge.0);
        let total: u64 = beside.map(|other| u64::from(other.2)).sum();
        let passes = row(&found, edge.0).score * u64::from(edge.2) / total;
        let score: u64 = rows().map(|row| row.score).sum();
        let bound = passes * 850_000 / 150_000 + 1_000;
        prop_assert!(score <= bound, "score {score} above {bound}");
    }

    #[test]
    fn order_of_statements_does_not_matter(
        edges in prop::collection::vec(
            (0..5_u64, 0..5_u64, 0..3_u32, any::<bool>(), 0..3_u64),
            0..20,
        ),
        turn in 0..20_usize,
    ) {
        let statements: Vec<Statement> = edges
            .into_iter()
            .map(|(from, to, weight, blocked, time_ms)| Statement {
                blocked, time_ms, ..statement((from, to, weight * 400_000))
            })
            .collect();
        let mut turned = statements.clone();
        turned.rotate_left(turn.min(statements.len()));
        turned.reverse();
        let encode = |statements: &[Statement<'static>]| {
            evaluate(Name::Number(VIEWER), statements, &Parameters::default()).encode()
        };
        prop_assert_eq!(encode(&statements), encode(&turned));
    }
}

#[test]
fn more_sybils_gain_no_more() {
    let gain = |sybils: u64| {
        let ring = (0..sybils).map(|i| (10 + i, 10 + (i + 1) % sybils, 1_000_000));
        let edges: Vec<Edge> = [(0, 1, 1_000_000), (0, 2, 1_000_000), (1, 10, 125_000)]
            .into_iter()
            .chain(ring.filter(|(from, to, _)| from != to))
            .collect();
        let found = output(&edges, &Parameters::default());
        (0..sybils).map(|i| row(&found, 10 + i).flow).sum::<u64>()
    };
    assert_eq!(
        [1, 2, 3, 4, 50, 500].map(gain),
        [50_000, 100_000, 125_000, 125_000, 125_000, 125_000]
    );
}
