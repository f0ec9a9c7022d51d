//! Small graphs and short ways to evaluate them.

use kapsule_modules_common::Name;
use proptest::prelude::*;
use trust::{Output, Parameters, Row, Statement, evaluate};

pub(crate) const VIEWER: u64 = 0;

/// (from, to, weight in millionths).
pub(crate) type Edge = (u64, u64, u32);

pub(crate) fn statement((from, to, weight_ppm): Edge) -> Statement<'static> {
    let (from, to) = (Name::Number(from), Name::Number(to));
    Statement { from, to, weight_ppm, blocked: false, time_ms: 0 }
}

pub(crate) fn block(from: u64, to: u64) -> Statement<'static> {
    Statement { blocked: true, ..statement((from, to, 0)) }
}

pub(crate) fn output(edges: &[Edge], parameters: &Parameters) -> Output<'static> {
    let statements: Vec<Statement> = edges.iter().copied().map(statement).collect();
    evaluate(Name::Number(VIEWER), &statements, parameters)
}

pub(crate) fn row<'a>(output: &'a Output<'static>, name: u64) -> &'a Row<'static> {
    output.rows.iter().find(|row| row.name == Name::Number(name)).expect("everyone has a row")
}

/// Graphs of `nodes` nodes with at most one edge between two, none to the node itself.
pub(crate) fn graphs(nodes: u64, edges: usize) -> impl Strategy<Value = Vec<Edge>> {
    let edge = ((0..nodes, 0..nodes), 1_u32..=1_000_000);
    prop::collection::btree_map(edge.0, edge.1, 0..=edges).prop_map(|edges| {
        let apart = edges.into_iter().filter(|((from, to), _)| from != to);
        apart.map(|((from, to), weight)| (from, to, weight)).collect()
    })
}
