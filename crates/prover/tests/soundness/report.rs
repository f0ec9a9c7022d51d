//! The report of a whole matrix, written when `KAPSULE_SOAK_REPORT` names a file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::matrix::{Findings, Size};
use super::standing::Standing;
use super::survivors::{self, Reasons, Survivors};

/// How things stand, by label.
type Standings = BTreeMap<String, Standing>;

pub(super) fn write(found: &[Findings], known: &Standings, size: Size) {
    let Some(path) = std::env::var_os("KAPSULE_SOAK_REPORT") else { return };
    let commit = std::env::var("KAPSULE_SOAK_COMMIT").unwrap_or_else(|_| "not given".into());
    survivors::write_lies(found);
    std::fs::write(path, text(found, known, size, &commit)).expect("the report can be written");
}

fn text(found: &[Findings], known: &Standings, size: Size, commit: &str) -> String {
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
    deletions(&mut text, found, known);
    let survivors = Survivors::read();
    text.push_str("\n## Columns that may be anything on some rows\n");
    reasons(&mut text, &survivors.free);
    text.push_str("\n## Deletions from which nothing follows\n");
    reasons(&mut text, &survivors.unshown);
    text
}

/// Says how each deletion stands, by the lists that CI replays.
fn deletions(text: &mut String, found: &[Findings], known: &Standings) {
    text.push_str(
        "\n## Deletions\n\n\
         Every constraint, and every interaction that asks for something, is left out alone.\n\
         Then there is a lie that only it refuses: a changed row (`lies.txt`), a row that was \
         found by solving the other equations (`rows.txt`), or a whole run that cheats or states \
         another public value (`runs.rs`, `frames.rs`).\n\
         Or nothing follows: by algebra that a test checks, or for a reason in words; both are \
         listed below, from `survivors.toml`.\n\
         Tests replay all of these lists with the tables of this commit; they are in \
         `crates/proof/soundness` and `crates/prover/tests/soundness`.\n\
         `Again` counts the deletions for which this run came across such a change itself.\n\
         Interactions that give are those without which no honest run balances.\n\n\
         | Table | Left out | Changed row | Solved row | Run | Algebra | Reason | Open | Again \
         | Give |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut sums = [0; 9];
    for one in found {
        let standings: Vec<Option<&Standing>> =
            one.labels().map(|label| known.get(&label)).collect();
        let count = |standing: Option<&Standing>| {
            standings.iter().filter(|other| **other == standing).count()
        };
        let [changed, solved, run, algebra, reason] =
            Standing::ALL.map(|standing| count(Some(&standing)));
        let (all, open) = (standings.len(), count(None));
        let (again, give) = (one.shown.len(), one.gives.len());
        let counts = [all, changed, solved, run, algebra, reason, open, again, give];
        row(text, one.table, counts);
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    row(text, "all", sums);
}

fn row<const N: usize>(text: &mut String, name: &str, counts: [usize; N]) {
    let counts = counts.map(|count| count.to_string());
    let _ = writeln!(text, "| {name} | {} |", counts.join(" | "));
}

fn reasons(text: &mut String, reasons: &Reasons) {
    let mut grouped = BTreeMap::<&str, Vec<&str>>::new();
    for (label, reason) in reasons {
        grouped.entry(reason).or_default().push(label);
    }
    for (reason, labels) in grouped {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = write!(text, "\n- {}:\n  {reason}\n", labels.join(", "));
    }
}
