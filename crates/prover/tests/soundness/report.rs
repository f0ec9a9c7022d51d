//! The report of a whole matrix, written when `KAPSULE_SOAK_REPORT` names a file.

use std::fmt::Write as _;

use super::matrix::{Findings, Size, Way};
use super::survivors::{self, Reasons, Survivors};

pub(super) fn write(found: &[Findings], survivors: &Survivors, size: Size) {
    let Some(path) = std::env::var_os("KAPSULE_SOAK_REPORT") else { return };
    let commit = std::env::var("KAPSULE_SOAK_COMMIT").unwrap_or_else(|_| "not given".into());
    survivors::write_lies(found);
    std::fs::write(path, text(found, survivors, size, &commit)).expect("the report can be written");
}

fn text(found: &[Findings], survivors: &Survivors, size: Size, commit: &str) -> String {
    let lies: usize = found.iter().map(|findings| findings.lies.len()).sum();
    let mut text = format!(
        "# Mutations of the proof's tables\n\n\
         Commit: {commit}.\nSeed: {}.\n\
         Command: `cargo xtask soak proof-mutation --rounds {} --seed {}`.\n\
         Rows that lie and are accepted: {lies}.\n\n\
         A row is an honest one of its kind, or one that is not in use.\n\
         A cell is replaced by each of 13 values, a pair of cells is changed by steps that may \
         cancel, and a repair changes one cell and then whatever else refuses the row, as a prover \
         who adapts would.\n\
         Counts of fixed tables are no part of a change, so none is noticed by a stale count.\n\
         A change is refused by a constraint, or by a bus: a query without an answer, or a message \
         that takes what is not there.\n\
         After a silent change the row says nothing, so the state before it is left untaken.\n\n\
         ## Changes\n\n\
         | Table | Columns | Rows | Cells | Pairs | Repairs | By constraint | By bus | Silent |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        size.seed, size.rounds, size.seed
    );
    for one in found {
        let [constraint, bus, ..] = one.refused;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {constraint} | {bus} | {} |",
            one.table, one.columns, one.rows, one.cells, one.pairs, one.repairs, one.silent
        );
    }
    text.push_str(
        "\n## Deletions\n\n\
         Every constraint, and every interaction that asks for something, is left out alone.\n\
         It counts for the first kind of change that only it refuses: a cell, a pair or a repair; \
         `crates/proof/soundness/lies.txt` holds one such change for each, of this run or of an \
         earlier one.\n\
         The column `Not shown` counts what this run did not show: earlier runs, whole runs that \
         cheat or other public values show it, or it is listed below.\n\
         Interactions that give are those without which no honest run balances.\n\n\
         | Table | Left out | Cell | Pair | Repair | Not shown | Give |\n\
         |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for one in found {
        let ways = [Way::Cell, Way::Pair, Way::Repair]
            .map(|way| one.shown.values().filter(|(shown, _)| *shown == way).count());
        let [cell, pair, repair] = ways;
        let shown = one.items.iter().filter(|item| one.shown.contains_key(item)).count();
        let listed = one.items.len() - shown;
        let _ = writeln!(
            text,
            "| {} | {} | {cell} | {pair} | {repair} | {listed} | {} |",
            one.table,
            one.items.len(),
            one.gives.len()
        );
    }
    summary(&mut text, found, survivors);
    text.push_str("\n## Columns that may be anything on some rows\n");
    reasons(&mut text, &survivors.free);
    text.push_str("\n## Not shown\n");
    reasons(&mut text, &survivors.unshown);
    text
}

/// Says how each deletion stands, all runs together.
fn summary(text: &mut String, found: &[Findings], survivors: &Survivors) {
    let all = found.iter().map(|findings| findings.items.len()).sum::<usize>();
    let open = survivors.unshown.values().filter(|reason| reason.starts_with("Open")).count();
    let reasons = survivors.unshown.len() - open;
    let _ = write!(
        text,
        "\nOf {all} things that were left out, {} have a lie that only they refuse: {} a changed \
         row of `lies.txt`, {} a row of `rows.txt` that was found by solving the other equations, \
         and the rest a whole run that cheats or another public value.\n\
         {reasons} have a reason why nothing follows, {} of which a test checks by algebra, and \
         {open} are open.\n",
        all - survivors.unshown.len(),
        survivors::lies().len(),
        survivors::rows().len(),
        survivors.implied.len(),
    );
}

fn reasons(text: &mut String, reasons: &Reasons) {
    let mut grouped = std::collections::BTreeMap::<&str, Vec<&str>>::new();
    for (label, reason) in reasons {
        grouped.entry(reason).or_default().push(label);
    }
    for (reason, labels) in grouped {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = write!(text, "\n- {}:\n  {reason}\n", labels.join(", "));
    }
}
