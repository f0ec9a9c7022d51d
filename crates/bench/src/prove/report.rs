//! The report as text and as JSON.

use kapsule_proof::ParamSet;
use serde_json::{Value, json};

use super::measured::{Measured, Rows};
use super::system::Machine;
use crate::timing::{geometric_mean, per_second, readable};

/// Name of the form of the JSON.
const SCHEMA: &str = "kapsule/bench-prove/1";

/// Returns the report as lines.
pub(super) fn text(
    found: &[Measured],
    refused: &[String],
    machine: &Machine,
    params: &ParamSet,
) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} cores of {}; field arithmetic built for {}, processor has {}; load {}",
            machine.cores, machine.model, machine.built_for, machine.available, machine.load
        ),
        format!(
            "{}: {} proven bits in the unique-decoding regime, {} queries at rate 1/{}",
            params.name,
            params.proven_bits,
            params.queries,
            1 << params.log_blowup
        ),
    ];
    for one in found {
        lines.extend(program(one));
    }
    lines.push(String::new());
    lines.extend_from_slice(refused);
    lines.push(format!("geometric mean {:.0} proven wasm instructions/s", mean(found)));
    lines
}

fn program(one: &Measured) -> Vec<String> {
    let times = &one.times;
    let mut lines = vec![
        String::new(),
        format!("{}: {}", one.name, one.what),
        format!(
            "  {} wasm instructions, {} steps, {:.2} steps an instruction, one segment",
            one.instructions,
            one.steps,
            share(one.steps, one.instructions)
        ),
        format!(
            "  {:.0} wasm instructions/s, {:.0} steps/s, {} in all, {} of processor time",
            per_second(one.instructions, one.total()),
            per_second(one.steps, one.total()),
            readable(one.total()),
            one.cpu_seconds.map_or_else(|| "unknown".into(), |seconds| format!("{seconds:.2} s")),
        ),
        format!(
            "  lower {}, key {}, execute {} ({:.0} M steps/s), record {}, tables {}, prove {}",
            readable(times.lower),
            readable(times.key),
            readable(times.execute),
            per_second(one.steps, times.execute) / 1e6,
            readable(times.record),
            readable(times.witness.saturating_sub(times.record)),
            readable(times.prove),
        ),
        format!(
            "  proof {} bytes, verified in {}, peak {}",
            one.proof_bytes,
            readable(times.verify),
            one.peak_bytes.map_or_else(|| "unknown".into(), |bytes| format!("{} MB", bytes >> 20)),
        ),
        format!("  {} main cells, {} bus cells", one.main_cells(), one.bus_cells()),
    ];
    let rows = |table: &Rows| format!("{} {}/{}", table.name, table.rows, table.height);
    let tables: Vec<String> = one.tables.iter().map(rows).collect();
    lines.extend(tables.chunks(5).map(|tables| format!("    {}", tables.join(", "))));
    let phases: Vec<String> =
        one.phases.iter().map(|(phase, time)| format!("{phase} {}", readable(*time))).collect();
    lines.push(format!("  own time of spans: {}", phases.join(", ")));
    lines
}

/// Returns the report as one line of JSON.
pub(super) fn json(
    found: &[Measured],
    refused: &[String],
    machine: &Machine,
    params: &ParamSet,
) -> String {
    let programs: Vec<Value> = found.iter().map(program_json).collect();
    json!({
        "schema": SCHEMA,
        "cores": machine.cores,
        "cpu": machine.model,
        "vector_built_for": machine.built_for,
        "vector_available": machine.available,
        "load": machine.load,
        "params": params.name,
        "proven_bits": params.proven_bits,
        "programs": programs,
        "not_proven": refused,
        "geometric_mean_instructions_per_second": mean(found),
    })
    .to_string()
}

fn program_json(one: &Measured) -> Value {
    let times = &one.times;
    let table = |table: &Rows| {
        json!({
            "name": table.name,
            "rows": table.rows,
            "height": table.height,
            "columns": table.width,
            "bus_columns": table.bus_columns,
        })
    };
    let phases: serde_json::Map<String, Value> = one
        .phases
        .iter()
        .map(|(phase, time)| ((*phase).to_owned(), time.as_secs_f64().into()))
        .collect();
    json!({
        "name": one.name,
        "input": one.what,
        "instructions": one.instructions,
        "steps": one.steps,
        "steps_per_instruction": share(one.steps, one.instructions),
        "segments": 1,
        "tables": one.tables.iter().map(table).collect::<Vec<_>>(),
        "main_cells": one.main_cells(),
        "bus_cells": one.bus_cells(),
        "lower_s": times.lower.as_secs_f64(),
        "key_s": times.key.as_secs_f64(),
        "execute_s": times.execute.as_secs_f64(),
        "record_s": times.record.as_secs_f64(),
        "witness_s": times.witness.as_secs_f64(),
        "prove_s": times.prove.as_secs_f64(),
        "phases_s": phases,
        "instructions_per_second": per_second(one.instructions, one.total()),
        "steps_per_second": per_second(one.steps, one.total()),
        "executed_steps_per_second": per_second(one.steps, times.execute),
        "cpu_s": one.cpu_seconds,
        "peak_bytes": one.peak_bytes,
        "proof_bytes": one.proof_bytes,
        "verify_s": times.verify.as_secs_f64(),
    })
}

/// Returns the geometric mean of the proven wasm instructions per second.
fn mean(found: &[Measured]) -> f64 {
    let rates: Vec<f64> =
        found.iter().map(|one| per_second(one.instructions, one.total())).collect();
    geometric_mean(&rates)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_programs_names_its_form() {
        let machine = Machine::read();
        let text = json(&[], &[], &machine, &ParamSet::FAST);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], SCHEMA);
        assert_eq!(value["proven_bits"], 100);
    }
}
