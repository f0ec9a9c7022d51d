//! `kapsule limits`

use kapsule_abi::BUFFER_BYTES_MAX;
use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_format::limits::TABLE;
use kapsule_meter::tables::stack_1;
use kapsule_meter::{FUEL_PER_MS, METERING};
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::Done;
use crate::text::{Align, grouped, table};

const EXAMPLES: &str = "\
Examples:
  kapsule limits
  kapsule limits --json";

/// Prints every limit: formats, modules, runs, and the price of each hostcall
///
/// A reader may set a lower limit than the hard one, never a higher one; breaking a limit is E004
/// unless the format says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(super) fn run(context: &Context, _: &Args) -> Done {
    if context.ui.json() {
        context.ui.object(&to_json())?;
    } else {
        context.ui.text(&to_text(context))?;
    }
    Ok(0)
}

/// Limits of one run that are neither in a policy nor in a module.
fn run_rows() -> [(&'static str, u64, &'static str); 3] {
    [
        ("stack height", u64::from(stack_1::HEIGHT_MAX), "slots"),
        ("one hostcall buffer", u64::from(BUFFER_BYTES_MAX), "bytes"),
        ("fuel of one ms of `cpu`", FUEL_PER_MS, "fuel"),
    ]
}

fn to_text(context: &Context) -> String {
    let title = |words: &str| context.ui.paint(crate::ui::Tone::Strong, words);
    let columns = [Align::Left, Align::Right, Align::Right, Align::Left];
    let cells = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let mut formats = vec![cells(["limit", "hard", "default", "unit"])];
    for limit in TABLE {
        let (hard, default) = (grouped(limit.hard), grouped(limit.default));
        formats.push(cells([limit.name, &hard, &default, limit.unit]));
    }
    let three = |rows: &[(&str, u64, &str)]| {
        let row = |(name, value, unit): &(&str, u64, &str)| {
            vec![(*name).to_owned(), grouped(*value), (*unit).to_owned()]
        };
        let rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        table(&[Align::Left, Align::Right, Align::Left], &rows)
    };
    let mut calls = vec![cells(["hostcall", "base", "per 8 bytes", "grant"])];
    for call in HOSTCALLS {
        let (base, factor) = (call.price.base.to_string(), call.price.factor.to_string());
        calls.push(cells([call.name, &base, &factor, &call.grant_names().to_string()]));
    }
    format!(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
        title("Formats and policies"),
        table(&columns, &formats),
        title("Modules"),
        three(&kapsule_meter::Limits::default().rows()),
        title(&format!("Runs ({METERING})")),
        three(&run_rows()),
        title("Hostcalls, prices in fuel"),
        table(&columns, &calls),
    )
}

fn to_json() -> Value {
    let three = |rows: &[(&str, u64, &str)]| -> Vec<Value> {
        let object = |row: &(&str, u64, &str)| {
            let (name, value, unit) = row;
            json!({ "name": name, "value": value.to_string(), "unit": unit })
        };
        rows.iter().map(object).collect()
    };
    let formats = TABLE.iter().map(|limit| {
        json!({
            "name": limit.name,
            "hard": limit.hard.to_string(),
            "default": limit.default.to_string(),
            "unit": limit.unit,
        })
    });
    let calls = HOSTCALLS.iter().map(|call| {
        json!({
            "number": call.number,
            "name": call.name,
            "grant": crate::grants::to_json(call),
            "base": call.price.base,
            "factor": call.price.factor,
        })
    });
    json!({
        "schema": "kapsule/cli-limits/1",
        "metering": METERING,
        "formats": formats.collect::<Vec<_>>(),
        "module": three(&kapsule_meter::Limits::default().rows()),
        "run": three(&run_rows()),
        "hostcalls": calls.collect::<Vec<_>>(),
    })
}
