//! The soundness matrix: what a prover could change, and what each constraint is there for.
//!
//! `cargo xtask soak proof-mutation` tries more of everything and writes the report.

mod frames;
mod implied;
mod lies;
mod matrix;
mod polynomial;
mod random;
mod repair;
mod report;
mod runs;
pub(crate) mod scene;
mod situation;
mod solver;
mod standing;
mod survivors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use kapsule_lower::LProgram;
use kapsule_proof::ParamSet;
use kapsule_proof::field::F;
use kapsule_proof::machine::{Kind, Table, Trace, rows_of};
use p3_field::PrimeCharacteristicRing;

use crate::chips::programs::{traps, values};
use crate::programs::{FIB, job, key, run};
use lies::{Effort, Subject};
use matrix::{Findings, Kinds, Size, examine};
use polynomial::Polynomials;
pub(crate) use random::Random;
use scene::Scene;
use survivors::Survivors;

/// What CI tries; the soak multiplies it by `KAPSULE_SOAK_ROUNDS`, and leaves things out as well.
const SLICE: Size = Size { seed: 1, rounds: 1, rows: 24, pairs: 100, repairs: 30, deletions: 0 };

/// Repairs that the soak tries in each round for each thing that is left out and that nothing is
/// known of.
const DELETIONS: usize = 300;

/// A run in tables.
struct Run {
    program: LProgram,
    publics: Vec<F>,
    tables: Vec<(Table, Trace)>,
}

/// Whole runs that cheat.
fn cheats() -> impl Iterator<Item = &'static runs::Cheat> {
    runs::CHEATS.iter().chain(frames::CHEATS)
}

/// Runs in which every interaction of every table says something.
fn honest_runs() -> Vec<Run> {
    let chips = core::iter::once(values()).chain(traps());
    let mut runs: Vec<Run> = chips
        .map(|built| Run { program: built.program, publics: built.publics, tables: built.tables })
        .collect();
    let key = key(FIB, ParamSet::TEST);
    let salt = [1, u64::MAX, 3, 4];
    let cases: [(&str, u64, &[u64]); 4] =
        [("run", 10_000, &[]), ("run", 200, &[]), ("run", 10_000, &salt), ("trap", 100, &salt)];
    for (entry, fuel, words) in cases {
        let job = kapsule_prover::prove::Job {
            words,
            salt_present: !words.is_empty(),
            ..job(entry, fuel)
        };
        let witness = run(&key, &job);
        let program = key.program.clone();
        runs.push(Run { program, publics: witness.publics, tables: witness.tables });
    }
    runs
}

fn size() -> Size {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let soak = number("KAPSULE_SOAK_ROUNDS").map(|rounds| rounds as usize);
    let rounds = soak.unwrap_or(1);
    Size {
        seed: number("KAPSULE_SOAK_SEED").unwrap_or(SLICE.seed),
        rounds,
        rows: SLICE.rows * rounds,
        pairs: SLICE.pairs * rounds,
        repairs: SLICE.repairs * rounds,
        deletions: soak.map_or(SLICE.deletions, |rounds| DELETIONS * rounds),
    }
}

/// Returns what was found out about every table that has constraints, found out once.
fn matrix() -> &'static [Findings] {
    static MATRIX: OnceLock<Vec<Findings>> = OnceLock::new();
    MATRIX.get_or_init(|| {
        let runs = honest_runs();
        let size = size();
        let known = standing::standings(&runs);
        let scenes = Mutex::new(scenes(&runs, size).into_values());
        let donors = donors(&runs);
        let found = Mutex::new(Vec::new());
        let work = || {
            loop {
                let next = scenes.lock().expect("no holder panics").next();
                let Some(scenes) = next else { return };
                let donors = &donors[&scenes[0].table.number()];
                let findings = examine(&scenes, donors, &known, size);
                found.lock().expect("no holder panics").push((scenes[0].table.number(), findings));
            }
        };
        std::thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(work)));
        });
        let mut found = found.into_inner().expect("no holder panics");
        found.sort_by_key(|(number, _)| *number);
        let found: Vec<Findings> = found.into_iter().map(|(_, findings)| findings).collect();
        report::write(&found, &known, size);
        found
    })
}

/// Greatest number of rows of a run and a table that others begin with.
const DONORS: usize = 400;

/// Returns rows in use of every table whose rows stand alone, by number.
fn donors(runs: &[Run]) -> BTreeMap<usize, Vec<Vec<F>>> {
    let mut donors = BTreeMap::<usize, Vec<Vec<F>>>::new();
    for (table, trace) in runs.iter().flat_map(|run| &run.tables) {
        let of_table = donors.entry(table.number()).or_default();
        if table.kind() == Kind::Fixed || table.relates_rows() {
            continue;
        }
        let used: Vec<&[F]> = trace
            .values
            .chunks(trace.width)
            .filter(|row| row.iter().any(|cell| *cell != F::ZERO))
            .collect();
        let stride = used.len().div_ceil(DONORS).max(1);
        of_table.extend(used.iter().step_by(stride).map(|row| row.to_vec()));
    }
    donors
}

/// Sets scenes for every table with constraints, by number.
fn scenes(runs: &[Run], size: Size) -> BTreeMap<usize, Vec<Scene<'_>>> {
    let mut scenes = BTreeMap::<usize, Vec<Scene<'_>>>::new();
    let mut kinds = BTreeMap::<usize, Kinds>::new();
    for (origin, run) in runs.iter().enumerate() {
        for (table, trace) in &run.tables {
            if table.kind() == Kind::Fixed {
                continue;
            }
            let mut rows = rows_of(table, trace).main;
            let number = table.number();
            let context = (&run.program, &run.publics[..]);
            let executes = matches!(table.kind(), Kind::Execution { .. });
            if executes && !scenes.contains_key(&number) {
                // One that is not in use.
                rows.push(vec![F::ZERO; rows[0].len()]);
                let idle = Scene::new(table, context, &rows, [origin, rows.len() - 1]);
                scenes.entry(number).or_default().push(idle);
            }
            let sample = kinds.entry(number).or_default().sample(table, &rows, size.rows);
            let sampled =
                sample.into_iter().map(|row| Scene::new(table, context, &rows, [origin, row]));
            scenes.entry(number).or_default().extend(sampled);
        }
    }
    scenes
}

#[test]
fn no_row_that_lies_is_accepted() {
    for findings in matrix() {
        assert_eq!(findings.lies, BTreeSet::new(), "{}", findings.table);
        assert!(findings.cells > 0 && findings.pairs > 0 && findings.repairs > 0);
    }
    assert_eq!(matrix().len(), Table::COUNT - Table::FIXED);
}

#[test]
fn columns_that_may_be_anything_are_listed() {
    let listed: BTreeSet<String> = Survivors::read().free.into_keys().collect();
    let found: BTreeSet<String> =
        matrix().iter().flat_map(|findings| findings.free.iter().cloned()).collect();
    // A slice need not come across each of them.
    assert_eq!(found.difference(&listed).collect::<Vec<_>>(), [""; 0]);
    assert!(found.len() > 70, "{found:?}");
    let runs = honest_runs();
    let tables = runs.iter().flat_map(|run| &run.tables);
    let columns: BTreeSet<String> = tables
        .flat_map(|(table, _)| {
            table.column_names().into_iter().map(|name| format!("{}{name}", table.name()))
        })
        .collect();
    assert_eq!(listed.difference(&columns).collect::<Vec<_>>(), [""; 0]);
}

/// Every constraint, and every interaction that asks for something, has a lie that only it refuses,
/// a row or a whole run, or is listed with a reason.
#[test]
fn whatever_is_left_out_lets_a_lie_through_or_is_listed() {
    let runs = honest_runs();
    let mut shown = BTreeSet::new();
    for (label, lie) in survivors::lies() {
        let scene = scene_of(&runs, label.split('.').next().expect("a table"), lie.origin);
        let mut cells = scene.cells.clone();
        for (cell, value) in lie.cells {
            cells[cell] = value;
        }
        let verdict = scene.try_cells(&cells);
        let only = verdict.only().map(|item| item.label(scene.table.name()));
        assert!(verdict.differs && only.as_ref() == Some(&label), "{label}: {verdict:?}");
        assert!(shown.insert(label.clone()), "{label} stands twice");
    }
    let cheats = cheats().filter(|cheat| cheat.refused_by.len() == 1);
    shown.extend(cheats.map(|cheat| cheat.refused_by[0].to_owned()));
    shown.extend(runs.iter().flat_map(runs::other_publics));
    shown.extend(survivors::rows().into_keys());
    let listed: BTreeSet<String> = Survivors::read().unshown.into_keys().collect();
    let all: BTreeSet<String> = matrix().iter().flat_map(Findings::labels).collect();
    let missing: Vec<&String> = all.iter().filter(|label| !shown.contains(*label)).collect();
    let missing: Vec<&String> = missing.into_iter().filter(|one| !listed.contains(*one)).collect();
    let stale: Vec<&String> =
        listed.iter().filter(|one| shown.contains(*one) || !all.contains(*one)).collect();
    assert_eq!((missing, stale), (Vec::new(), Vec::new()));
}

/// Sets the scene for a row of a run; the row after the last is one that is not in use.
fn scene_of<'a>(runs: &'a [Run], table: &str, origin: [usize; 2]) -> Scene<'a> {
    let run = &runs[origin[0]];
    let found = run.tables.iter().find(|(found, _)| found.name() == table);
    let (table, trace) = found.expect("the run has the table");
    let mut rows = rows_of(table, trace).main;
    if origin[1] == rows.len() {
        rows.push(vec![F::ZERO; rows[0].len()]);
    }
    Scene::new(table, (&run.program, &run.publics), &rows, origin)
}

#[test]
fn honest_rows_use_every_interaction() {
    for findings in matrix() {
        assert_eq!(findings.unused, BTreeSet::new(), "{}", findings.table);
        assert!(!findings.gives.is_empty(), "{}", findings.table);
    }
}

#[test]
fn whole_runs_that_cheat_are_refused_for_the_reason_that_is_named() {
    let mut wrong = Vec::new();
    for cheat in cheats() {
        let named = cheat.refused_by.iter().map(|label| (*label).to_owned()).collect();
        let found = cheat.refusals();
        if found != named {
            wrong.push(format!("{}: {found:?}", cheat.name));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// Returns every chip by the name of its table.
fn subjects() -> BTreeMap<&'static str, Subject> {
    Subject::all(&Table::all(&key(FIB, ParamSet::TEST).program))
}

/// Rows that do something else than the instruction that they take, found by solving the equations
/// of the chip without one of them: that one alone refuses each.
#[test]
fn rows_that_lie_are_refused_by_the_one_thing_that_is_named() {
    let subjects = subjects();
    let mut wrong = Vec::new();
    for (label, row) in survivors::rows() {
        let table = label.split('.').next().expect("a table");
        let subject = &subjects[table];
        let (refused, differs) = subject.judge(&row);
        let refused: Vec<String> = refused.iter().map(|item| item.label(table)).collect();
        if refused != [label.clone()] || !differs {
            wrong.push((label, refused, differs));
        }
    }
    assert_eq!(wrong, []);
}

/// A constraint that is listed as implied fails only on rows that take and give nothing, or on rows
/// that other values mend without a change of what they say.
#[test]
fn what_is_implied_follows_from_what_is_named() {
    let tables = Table::all(&key(FIB, ParamSet::TEST).program);
    let mut polynomials = BTreeMap::new();
    let mut wrong = Vec::new();
    for (label, implied) in Survivors::read().implied {
        let (name, number) = label.split_once('.').expect("a label");
        let polynomials = polynomials.entry(name.to_owned()).or_insert_with(|| {
            let table = tables.iter().find(|table| table.name() == name);
            Polynomials::of(table.expect("a table"))
        });
        if !implied::follows(polynomials, number.parse().expect("a constraint"), &implied) {
            wrong.push(label);
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// With `KAPSULE_SOAK_SOLVE=PREFIX`, looks for rows of which nothing is known yet, and writes those
/// that it finds.
#[test]
fn rows_are_solved_for_what_is_left_out() {
    let Some(only) = std::env::var_os("KAPSULE_SOAK_SOLVE") else { return };
    let only = only.into_string().expect("a prefix");
    let subjects = subjects();
    let mut rows = survivors::rows();
    let open = Survivors::read().unshown.into_iter();
    let open = open.filter(|(_, reason)| reason.starts_with("Open"));
    let labels = open.map(|(label, _)| label);
    let labels = labels.filter(|label| label.starts_with(&only) && !rows.contains_key(label));
    for label in labels.collect::<Vec<String>>() {
        let (table, item) = label.split_once('.').expect("a label");
        let Some(subject) = subjects.get(table) else { continue };
        let item = match item.strip_prefix('I') {
            Some(number) => scene::Item::Interaction(number.parse().expect("a number")),
            None => scene::Item::Constraint(item.parse().expect("a number")),
        };
        let situations = 30 * size().rounds;
        let effort = Effort { seed: size().seed, situations, searches: 40 };
        if let Some(found) = subject.lie(Some(item), effort) {
            rows.insert(label, found);
            survivors::write_rows(&rows);
        }
    }
}
