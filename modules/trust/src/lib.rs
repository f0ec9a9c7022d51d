#![doc = include_str!("../README.md")]
#![no_std]

extern crate alloc;

mod block;
mod flow;
mod graph;
mod input;
mod output;
mod score;

use alloc::vec::Vec;

use kapsule_guest::{Error, TrustEdge, host};

pub use graph::Graph;
pub use input::{Input, LIMIT_ERROR, PARAMETER_ERROR, Parameters, STATEMENTS_MAX, Statement};
pub use output::{Output, Row};
pub use score::{ONE, iterations};

/// Computes the viewer's view of everyone named in `statements`.
///
/// # Determinism
/// Depends on the set of statements, not on their order.
#[must_use]
pub fn evaluate<'a>(
    viewer: kapsule_modules_common::Name<'a>,
    statements: &[Statement<'a>],
    parameters: &Parameters,
) -> Output<'a> {
    let graph = Graph::new(viewer, statements, parameters.share_cap_ppm);
    let iterations = score::iterations(parameters.damping_ppm);
    let scores = score::scores(&graph, parameters.damping_ppm, iterations);
    let flows = flow::flows(&graph, parameters.node_credit);
    let blocked = block::verdicts(&graph, &scores, parameters.block_share_ppm);
    Output::new(&graph, &scores, &flows, &blocked, parameters.node_credit, iterations)
}

/// Evaluates an encoded input to an encoded output; `host_edges` is asked if the input has no
/// statements of its own.
///
/// # Errors
/// The codes of the README's table.
pub fn run(
    bytes: &[u8],
    host_edges: impl FnOnce() -> Result<Vec<TrustEdge>, Error>,
) -> Result<Vec<u8>, Error> {
    let input = Input::decode(bytes)?;
    let edges;
    let statements = match input.statements {
        Some(statements) => statements,
        None => {
            edges = host_edges()?;
            input::from_edges(&edges)?
        }
    };
    Ok(evaluate(input.viewer, &statements, &input.parameters).encode())
}

fn entry(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run(bytes, host::trust_edges)
}

kapsule_guest::entry!(raw entry);
