//! Every cell changed, every pair, every repair, and every constraint and interaction left out.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_proof::field::{F, element};
use kapsule_proof::machine::Table;
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::random::Random;
use super::repair::{Supports, search, search_from};
use super::scene::{Item, Scene, Verdict};
use super::standing::Standing;

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) seed: u64,
    /// By what the numbers below were multiplied.
    pub(crate) rounds: usize,
    /// Greatest number of honest rows of each table.
    pub(crate) rows: usize,
    /// Pairs of cells changed on each of them.
    pub(crate) pairs: usize,
    /// Repairs tried on each of them with nothing left out.
    pub(crate) repairs: usize,
    /// Repairs tried in all for each thing that is left out.
    pub(crate) deletions: usize,
}

/// A change that only one thing refuses: number of the run and of the row, and what cells become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lie {
    pub(crate) origin: [usize; 2],
    pub(crate) cells: Vec<(usize, F)>,
}

impl Lie {
    fn of(scene: &Scene<'_>, cells: &[F]) -> Self {
        let changed = scene.cells.iter().zip(cells).enumerate();
        let changed = changed.filter(|(_, (old, new))| old != new);
        let cells = changed.map(|(cell, (_, new))| (cell, *new)).collect();
        Self { origin: scene.origin, cells }
    }
}

/// What was found out about one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) table: &'static str,
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) cells: u64,
    pub(crate) pairs: u64,
    pub(crate) repairs: u64,
    /// Changes that a constraint, a lookup, or what a row takes refuses first.
    pub(crate) refused: [u64; 3],
    /// Changes after which the row is not there.
    pub(crate) silent: u64,
    /// Columns of which some change is not noticed, because it says nothing.
    pub(crate) free: BTreeSet<String>,
    /// Everything that could refuse a row.
    pub(crate) items: BTreeSet<Item>,
    /// Interactions that only give: without them no honest run balances.
    pub(crate) gives: BTreeSet<usize>,
    /// What was shown to be needed, and by which change of which scene.
    pub(crate) shown: BTreeMap<Item, Lie>,
    /// Rows that lie and are not refused.
    pub(crate) lies: BTreeSet<String>,
    /// Interactions of which no honest row makes use.
    pub(crate) unused: BTreeSet<usize>,
}

impl Findings {
    /// Returns the labels of everything that could refuse a row.
    pub(crate) fn labels(&self) -> impl Iterator<Item = String> {
        self.items.iter().map(|item| item.label(self.table))
    }

    fn note(&mut self, scene: &Scene<'_>, cells: &[F], verdict: &Verdict) {
        match verdict.kills.first() {
            None if verdict.differs => drop(self.lies.insert(difference(scene, cells))),
            None => self.silent += u64::from(verdict.silent),
            Some(first) => {
                let class = match first.item {
                    Item::Constraint(_) => 0,
                    Item::Interaction(_) => 1,
                };
                self.refused[class] += 1;
                if let (Some(only), true) = (verdict.only(), verdict.differs) {
                    self.shown.entry(only).or_insert_with(|| Lie::of(scene, cells));
                }
            }
        }
    }
}

/// Examines one table on its scenes; the last of them is a row that is not in use.
pub(super) fn examine(
    scenes: &[Scene<'_>],
    donors: &[Vec<F>],
    known: &BTreeMap<String, Standing>,
    size: Size,
) -> Findings {
    let table = scenes[0].table;
    let mut random = Random::new(size.seed.wrapping_mul(64) + table.number() as u64);
    let mut findings = Findings {
        table: table.name(),
        columns: scenes[0].width(),
        rows: scenes.len(),
        ..Findings::default()
    };
    let supports: Vec<Supports> =
        scenes.iter().map(|scene| Supports::of(scene, &mut random)).collect();
    take_stock(scenes, &mut findings, &mut random);
    for (scene, supports) in scenes.iter().zip(&supports) {
        change_cells(scene, scenes, &mut findings, &mut random);
        change_pairs(scene, supports, size.pairs, &mut findings, &mut random);
        for _ in 0..size.repairs {
            findings.repairs += 1;
            if let Some((cells, verdict)) = search(scene, supports, None, &mut random) {
                findings.note(scene, &cells, &verdict);
            }
        }
    }
    let is_open = |item: &Item| {
        !findings.shown.contains_key(item) && !known.contains_key(&item.label(findings.table))
    };
    let open: Vec<Item> = findings.items.iter().copied().filter(is_open).collect();
    let idle = scenes.iter().position(|scene| !scene.is_used());
    for item in open {
        for attempt in 0..size.deletions {
            findings.repairs += 1;
            // The rows that are not in use are few, and what they could say is all of it a lie.
            let idle = idle.filter(|_| attempt % 4 == 3);
            let number = idle.unwrap_or(attempt % scenes.len());
            if !scenes[number].has(item) {
                continue;
            }
            let (scene, supports) = (&scenes[number], &supports[number]);
            let donor = match attempt % 3 {
                0 => scene.donor(donors, &mut random),
                _ => None,
            };
            let found = match donor {
                Some(donor) => search_from(scene, supports, Some(item), donor, &mut random),
                None => search(scene, supports, Some(item), &mut random),
            };
            if let Some((cells, verdict)) = found {
                findings.note(&scenes[number], &cells, &verdict);
                if findings.shown.contains_key(&item) {
                    break;
                }
            }
        }
    }
    findings
}

/// Lists what there is to leave out.
pub(crate) fn take_stock(scenes: &[Scene<'_>], findings: &mut Findings, random: &mut Random) {
    let honest = &scenes[0].honest;
    findings.items.extend((0..honest.per_row()).map(Item::Constraint));
    let anything: Vec<F> = scenes[0].cells.iter().map(|_| random.field()).collect();
    let all = scenes[0].say(&anything);
    findings.unused = all.sent.iter().map(|sent| sent.number).collect();
    for scene in scenes {
        for sent in &scene.honest.sent {
            findings.unused.remove(&sent.number);
            match scene.demands(sent) {
                true => drop(findings.items.insert(Item::Interaction(sent.number))),
                false => drop(findings.gives.insert(sent.number)),
            }
        }
    }
}

/// Replaces every cell of the first own row by each of the values of the design, and others.
fn change_cells(
    scene: &Scene<'_>,
    scenes: &[Scene<'_>],
    findings: &mut Findings,
    random: &mut Random,
) {
    let mut cells = scene.cells.clone();
    for cell in 0..scene.width() {
        let x = cells[cell];
        let other = scenes[random.index(scenes.len())].cells[cell];
        let fixed = [F::ZERO, F::ONE, -F::ONE, -x, random.field(), other];
        let added = [1, 1 << 8, 1 << 15, 1 << 16].map(|step| x + element(step));
        let taken = [1, 1 << 8, 1 << 16].map(|step| x - element(step));
        for value in fixed.into_iter().chain(added).chain(taken) {
            if value == x {
                continue;
            }
            cells[cell] = value;
            let verdict = scene.try_cells(&cells);
            findings.cells += 1;
            if verdict.kills.is_empty() && !verdict.differs && !verdict.silent && scene.is_used() {
                findings.free.insert(scene.column(cell));
            }
            findings.note(scene, &cells, &verdict);
        }
        cells[cell] = x;
    }
}

/// Changes pairs of cells of one constraint by steps that may cancel.
fn change_pairs(
    scene: &Scene<'_>,
    supports: &Supports,
    pairs: usize,
    findings: &mut Findings,
    random: &mut Random,
) {
    let steps = [1_u32, 2, 8, 1 << 8, 1 << 15, 1 << 16];
    let mut cells = scene.cells.clone();
    for _ in 0..pairs {
        let support = supports.any(random);
        if support.len() < 2 {
            continue;
        }
        let [one, other] = [0, 1].map(|_| support[random.index(support.len())]);
        if one == other {
            continue;
        }
        let step = |random: &mut Random| {
            let step = element(steps[random.index(steps.len())]);
            if random.one_in(2) { step } else { -step }
        };
        let kept = [cells[one], cells[other]];
        let flip = |x: F| x.as_canonical_u32() < 2;
        cells[one] = if flip(kept[0]) { F::ONE - kept[0] } else { kept[0] + step(random) };
        cells[other] = match random.index(3) {
            0 if flip(kept[1]) => F::ONE - kept[1],
            1 => kept[1] - (cells[one] - kept[0]),
            _ => kept[1] + step(random),
        };
        let verdict = scene.try_cells(&cells);
        findings.pairs += 1;
        findings.note(scene, &cells, &verdict);
        [cells[one], cells[other]] = kept;
    }
}

/// Returns what was changed, for a message.
fn difference(scene: &Scene<'_>, cells: &[F]) -> String {
    let changed = scene.cells.iter().zip(cells).enumerate().filter(|(_, (old, new))| old != new);
    let text = changed
        .map(|(cell, (old, new))| format!("{} {old} -> {new}", scene.column(cell)))
        .collect::<Vec<_>>();
    text.join(", ")
}

/// Kinds of rows that were seen: which of the columns that are flags are set.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    flags: Vec<usize>,
    /// Pairs of flags that were set together.
    pairs: BTreeSet<[usize; 2]>,
    seen: BTreeSet<Vec<usize>>,
}

impl Kinds {
    /// Returns numbers of rows of kinds that were not seen before, those with new flags and then
    /// those with new pairs of flags first, so that at most `most` kinds are seen in all.
    pub(crate) fn sample(&mut self, table: &Table, rows: &[Vec<F>], most: usize) -> Vec<usize> {
        let used: Vec<usize> =
            (0..rows.len()).filter(|row| rows[*row].iter().any(|cell| *cell != F::ZERO)).collect();
        if self.seen.is_empty() {
            let is_flag =
                |column: &usize| used.iter().all(|row| rows[*row][*column].as_canonical_u32() < 2);
            self.flags = (0..rows[0].len()).filter(is_flag).collect();
        }
        let mut chosen = BTreeSet::new();
        for novel in [1, 2, 0] {
            for row in &used {
                let set = self.flags.iter().copied().filter(|flag| rows[*row][*flag] != F::ZERO);
                let kind: Vec<usize> = set.collect();
                let pairs = kind.iter().flat_map(|one| kind.iter().map(|other| [*one, *other]));
                let pairs: Vec<[usize; 2]> =
                    pairs.filter(|[one, other]| novel != 1 || one == other).collect();
                let fresh = novel == 0 || pairs.iter().any(|pair| !self.pairs.contains(pair));
                if fresh && self.seen.len() < most && self.seen.insert(kind) {
                    self.pairs.extend(pairs);
                    chosen.insert(*row);
                }
            }
        }
        if table.relates_rows() {
            // The ends of what is in use, and of the table.
            let last = used.last().copied().unwrap_or_default();
            chosen.extend([0, last.saturating_sub(1), last, (last + 1) % rows.len()]);
            chosen.extend([rows.len() - 2, rows.len() - 1]);
        }
        chosen.into_iter().collect()
    }
}
