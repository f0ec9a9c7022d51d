//! What the store keeps of runs over a capsule, as people see it.

use kapsule_engine::CapsuleResult;
use kapsule_format::capsule::CapsuleId;
use kapsule_format::hash::{encode_hex, sha256};
use kapsule_store::ResultRow;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::error::Failure;
use crate::storing;
use crate::text::{facts, grouped, plain};

/// Returns the results of a capsule that the store of the home holds, if there is one.
///
/// A store that cannot be read is remarked upon, since the file can be shown without it.
pub(crate) fn results(context: &Context, id: &CapsuleId) -> Vec<ResultRow> {
    let read = || -> Result<Vec<ResultRow>, Failure> {
        match storing::existing(&context.home()?)? {
            Some(store) => Ok(store.view().results(id)?),
            None => Ok(Vec::new()),
        }
    };
    read().unwrap_or_else(|failure| {
        context.ui.say(&format!("results of the store are not shown: {failure}"));
        Vec::new()
    })
}

/// Returns what a run submitted; only a damaged store holds bytes that say nothing.
fn submitted(row: &ResultRow) -> Option<CapsuleResult> {
    CapsuleResult::decode(row.submitted.as_ref()?).ok()
}

/// Prints one result in lines.
pub(crate) fn to_text(row: &ResultRow) -> String {
    let mut rows = vec![
        ("package", row.package.to_string()),
        ("entry", plain(&row.entry_point)),
        ("outcome", row.outcome.clone()),
        ("fuel", grouped(row.fuel)),
        ("output", format!("{} bytes", grouped(row.output.len() as u64))),
    ];
    if let Some(said) = submitted(row) {
        rows.extend(said.score.map(|score| ("score", format!("{} ppm", grouped(score)))));
        rows.extend(said.verdict.map(|verdict| ("verdict", plain(&verdict))));
        rows.extend(said.labels.map(|labels| ("labels", plain(&labels.join(" ")))));
        let bytes = said.state.map(|state| grouped(state.len() as u64));
        rows.extend(bytes.map(|bytes| ("state", format!("{bytes} bytes"))));
    }
    facts(&rows)
}

/// Returns one result as JSON.
pub(crate) fn to_json(row: &ResultRow) -> Value {
    let said = submitted(row).map(|said| {
        json!({
            "score_ppm": said.score,
            "verdict": said.verdict,
            "labels": said.labels,
            "state_hex": said.state.map(|state| encode_hex(&state)),
        })
    });
    json!({
        "package": row.package.to_string(),
        "entry": row.entry_point,
        "outcome": row.outcome,
        "fuel": row.fuel.to_string(),
        "output_bytes": row.output.len().to_string(),
        "output_sha256": sha256(&row.output).to_string(),
        "submitted": said,
        "log_entry": row.entry.to_string(),
    })
}
