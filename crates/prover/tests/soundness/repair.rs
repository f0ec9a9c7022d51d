//! A prover who adapts: a cell is changed and held, and the other cells of the row are changed
//! until nothing refuses it any more, or patience ends.
//!
//! The next step mends one thing that refuses the row, by solving for one column that it depends
//! on.
//! It may also begin with an honest row of another instruction, but for what this one was given.
//! No knowledge of the tables is needed, so the search serves every table, and every table with
//! something left out.

use kapsule_proof::field::{F, element};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};

use super::random::Random;
use super::scene::{Item, Place, Said, Scene, Verdict, signed};

/// Which cells every constraint and every message of a scene depends on.
pub(crate) struct Supports {
    constraints: Vec<Vec<usize>>,
    /// By place: what depends on a cell.
    messages: Vec<(Place, Vec<usize>)>,
    per_row: usize,
}

impl Supports {
    /// Finds them by changing each cell at a random point.
    pub(crate) fn of(scene: &Scene<'_>, random: &mut Random) -> Self {
        let mut base: Vec<F> = scene.cells.iter().map(|_| random.field()).collect();
        let at = scene.say(&base);
        let mut supports = Self {
            constraints: vec![Vec::new(); at.rows() * at.per_row()],
            messages: at.sent.iter().map(|sent| (sent.place(), Vec::new())).collect(),
            per_row: at.per_row(),
        };
        for cell in 0..base.len() {
            let kept = base[cell];
            base[cell] = random.field();
            supports.note(cell, &at, &scene.say(&base));
            base[cell] = kept;
        }
        supports
    }

    fn note(&mut self, cell: usize, before: &Said, after: &Said) {
        for (index, support) in self.constraints.iter_mut().enumerate() {
            let (row, number) = (index / self.per_row, index % self.per_row);
            if before.value(row, number) != after.value(row, number) {
                support.push(cell);
            }
        }
        for (place, support) in &mut self.messages {
            let (one, other) = (before.at(*place), after.at(*place));
            let changed = match (one, other) {
                (Some(one), Some(other)) => {
                    before.tuple(one) != after.tuple(other) || one.count != other.count
                }
                _ => true,
            };
            if changed {
                support.push(cell);
            }
        }
    }

    /// Returns the cells that some constraint depends on which also depends on this one.
    fn with(&self, cell: usize, random: &mut Random) -> &[usize] {
        let has = self.constraints.iter().filter(|support| support.contains(&cell));
        let having: Vec<&Vec<usize>> = has.collect();
        having.get(random.index(having.len())).map_or(&[], |support| support.as_slice())
    }

    /// Returns the cells that some constraint depends on.
    pub(crate) fn any(&self, random: &mut Random) -> &[usize] {
        self.constraints.get(random.index(self.constraints.len())).map_or(&[], Vec::as_slice)
    }

    /// Returns the cells that something depends on.
    pub(crate) fn at(&self, place: Place) -> &[usize] {
        match place.item {
            Item::Constraint(number) => &self.constraints[place.row * self.per_row + number],
            Item::Interaction(_) => self
                .messages
                .iter()
                .find(|(other, _)| *other == place)
                .map_or(&[][..], |(_, support)| support),
        }
    }
}

/// Steps after which a search gives up, for a table of this width.
///
/// Chosen: most searches that succeed do so within ten steps; the rounds of a permutation are as
/// many as its columns.
fn patience(width: usize) -> usize {
    24.max(2 * width)
}

/// Looks for cells that nothing but `deleted` refuses and that say something else.
///
/// Starts from a random change near `deleted`, or of something that is said.
pub(crate) fn search(
    scene: &Scene<'_>,
    supports: &Supports,
    deleted: Option<Item>,
    random: &mut Random,
) -> Option<(Vec<F>, Verdict)> {
    let mut cells = scene.cells.clone();
    let mut held = vec![false; cells.len()];
    begin(scene, supports, deleted, (&mut cells, &mut held), random);
    settle(scene, supports, deleted, (cells, held), random)
}

/// As [`search`], from what another honest row of the table has where this one was given nothing.
pub(crate) fn search_from(
    scene: &Scene<'_>,
    supports: &Supports,
    deleted: Option<Item>,
    donor: &[F],
    random: &mut Random,
) -> Option<(Vec<F>, Verdict)> {
    let held = scene.given();
    let own = scene.cells.iter().zip(donor).zip(&held);
    let cells = own.map(|((own, other), given)| if *given { *own } else { *other }).collect();
    settle(scene, supports, deleted, (cells, held), random)
}

/// Mends one thing after another until nothing is left or patience ends.
fn settle(
    scene: &Scene<'_>,
    supports: &Supports,
    deleted: Option<Item>,
    (mut cells, mut held): (Vec<F>, Vec<bool>),
    random: &mut Random,
) -> Option<(Vec<F>, Verdict)> {
    // Row by row downwards and to the right, as the columns are computed, or in any order.
    let orderly = random.one_in(2);
    let mut failed = 0;
    for _ in 0..patience(scene.width()) {
        let said = scene.say(&cells);
        let verdict = scene.judge(&said);
        let others: Vec<Place> =
            verdict.kills.iter().copied().filter(|kill| Some(kill.item) != deleted).collect();
        let Some(first) = others.first() else {
            return verdict.differs.then_some((cells, verdict));
        };
        let some = others[random.index(others.len())];
        let place = if orderly || random.one_in(2) { *first } else { some };
        let free: Vec<usize> =
            supports.at(place).iter().copied().filter(|cell| !held[*cell]).collect();
        if orderly && random.one_in(2) {
            let digits = expand(scene, (&said, place), &cells, &free, random);
            if !digits.is_empty() {
                for (cell, value) in digits {
                    (cells[cell], held[cell]) = (value, true);
                }
                continue;
            }
        }
        let mended = match orderly {
            // Results come after what they follow from.
            true => free.last().and_then(|cell| mend(scene, (&said, place), &cells, *cell, random)),
            false => best(scene, deleted, (&said, place), (&mut cells, &free), random),
        };
        match mended {
            Some((cell, value)) => {
                cells[cell] = value;
                // What was mended once is rarely touched again, or two mends undo each other.
                held[cell] = orderly || !random.one_in(4);
            }
            None => {
                failed += 1;
                if failed > 3 {
                    return None;
                }
            }
        }
    }
    None
}

/// Makes the first change and holds it.
fn begin(
    scene: &Scene<'_>,
    supports: &Supports,
    deleted: Option<Item>,
    (cells, held): (&mut [F], &mut [bool]),
    random: &mut Random,
) {
    let near = match deleted {
        Some(item) if !random.one_in(4) => {
            let support = supports.at(Place { row: random.index(scene.honest.rows()), item });
            (!support.is_empty()).then(|| support[random.index(support.len())])
        }
        _ => {
            let sent = &scene.honest.sent;
            let some = (!sent.is_empty()).then(|| sent[random.index(sent.len())].place());
            let support = some.map_or(&[][..], |place| supports.at(place));
            (!support.is_empty()).then(|| support[random.index(support.len())])
        }
    };
    let mut cell = near.unwrap_or_else(|| random.index(cells.len()));
    // Or a cell of another constraint that has it.
    if random.one_in(2) {
        let support = supports.with(cell, random);
        if !support.is_empty() {
            cell = support[random.index(support.len())];
        }
    }
    change(scene, cell, (cells, held), random);
    // Flags come in groups: others near it are changed as well.
    let near = cell.saturating_sub(9)..(cell + 10).min(cells.len());
    let flags: Vec<usize> =
        near.filter(|other| *other != cell && scene.cells[*other].as_canonical_u32() < 2).collect();
    if flags.is_empty() {
        return;
    }
    match random.index(4) {
        // A mixture of opcodes whose number is that of the honest one.
        0 if scene.cells[cell].as_canonical_u32() < 2 => {
            for flag in &flags {
                if scene.cells[*flag] == F::ONE {
                    (cells[*flag], held[*flag]) = (F::ZERO, true);
                }
            }
            cells[cell] = if random.one_in(2) { -F::ONE } else { F::TWO };
            for _ in 0..2 {
                let flag = flags[random.index(flags.len())];
                cells[flag] = if cells[cell] == F::TWO { -F::ONE } else { F::ONE };
                held[flag] = true;
                if cells[cell] == F::TWO {
                    break;
                }
            }
        }
        // Two opcodes that cancel, in a row that is no step.
        1 if scene.cells[cell] == F::ZERO => {
            let flag = flags[random.index(flags.len())];
            [cells[cell], cells[flag]] = [-F::ONE, F::ONE];
            [held[cell], held[flag]] = [true; 2];
        }
        1 => {
            for _ in 0..=random.index(2) {
                change(scene, flags[random.index(flags.len())], (cells, held), random);
            }
        }
        _ => {}
    }
}

fn change(
    scene: &Scene<'_>,
    cell: usize,
    (cells, held): (&mut [F], &mut [bool]),
    random: &mut Random,
) {
    let x = scene.cells[cell];
    let values = [
        F::ZERO,
        F::ONE,
        F::TWO,
        -F::ONE,
        F::ONE - x,
        x + F::ONE,
        x - F::ONE,
        x + element(1 << 8),
        x - element(1 << 8),
        x + element(1 << 16),
        x - element(1 << 16),
        -x,
        scene.cells[random.index(scene.cells.len())],
        random.field(),
    ];
    cells[cell] = values[random.index(values.len())];
    held[cell] = true;
}

/// Returns the cell and the value that leave the fewest things to mend, or sometimes any.
fn best(
    scene: &Scene<'_>,
    deleted: Option<Item>,
    (said, place): (&Said, Place),
    (cells, free): (&mut [F], &[usize]),
    random: &mut Random,
) -> Option<(usize, F)> {
    let mut found: Option<((usize, F), usize)> = None;
    let start = random.index(free.len());
    for offset in 0..free.len().min(CANDIDATES) {
        let cell = free[(start + offset) % free.len()];
        let Some((cell, value)) = mend(scene, (said, place), cells, cell, random) else { continue };
        let kept = core::mem::replace(&mut cells[cell], value);
        let kills = scene.try_cells(cells).kills;
        cells[cell] = kept;
        let left = kills.iter().filter(|kill| Some(kill.item) != deleted).count();
        if found.is_none_or(|(_, least)| left < least) {
            found = Some(((cell, value), left));
        }
        if random.one_in(8) {
            break;
        }
    }
    found.map(|(mend, _)| mend)
}

/// Cells that are tried for one mend; chosen, most constraints have fewer.
const CANDIDATES: usize = 12;

/// Returns what to set a cell to, so that the thing at `place` no longer refuses the row.
fn mend(
    scene: &Scene<'_>,
    (said, place): (&Said, Place),
    cells: &[F],
    cell: usize,
    random: &mut Random,
) -> Option<(usize, F)> {
    let mut changed = cells.to_vec();
    changed[cell] += F::ONE;
    let one = scene.say(&changed);
    let value = match place.item {
        Item::Constraint(number) => {
            changed[cell] += F::ONE;
            let two = scene.say(&changed);
            let at = |said: &Said| said.value(place.row, number);
            let [f0, f1, f2] = [said, &one, &two].map(at);
            let root = (f1 - f0 == f2 - f1).then(|| solved(f0, f1)).flatten();
            match root {
                Some(root) => cells[cell] + root,
                // Of a higher degree: mostly a product with a flag.
                None => F::from_u64(random.below(2)),
            }
        }
        Item::Interaction(_) => {
            let now = said.at(place)?;
            let (field, target) = wish(scene, said, place, random)?;
            let (before, after) = (said.tuple(now)[field], one.tuple(one.at(place)?)[field]);
            cells[cell] + solved(before - target, after - target)?
        }
    };
    (value != cells[cell]).then_some((cell, value))
}

/// Returns the digits of a number for the cells that a constraint adds up with weights that are
/// powers of two: the limbs of a sum and what it carries, or the bits of an amount.
///
/// The highest digit takes what is left, and sometimes one more or less than that.
fn expand(
    scene: &Scene<'_>,
    (said, place): (&Said, Place),
    cells: &[F],
    free: &[usize],
    random: &mut Random,
) -> Vec<(usize, F)> {
    let Item::Constraint(number) = place.item else { return Vec::new() };
    let base = said.value(place.row, number);
    let mut changed = cells.to_vec();
    let mut slopes = Vec::new();
    for cell in free.iter().copied() {
        let mut step = |by: u32| {
            changed[cell] = cells[cell] + element(by);
            let value = scene.say(&changed).value(place.row, number) - base;
            changed[cell] = cells[cell];
            value
        };
        let slope = step(1);
        if slope != F::ZERO && step(2) == slope.double() {
            slopes.push((cell, slope));
        }
    }
    // Of all weights those that are a power of two of another one.
    let Some((_, unit)) = slopes.get(random.index(slopes.len())).copied() else {
        return Vec::new();
    };
    let Some(inverse) = unit.try_inverse() else { return Vec::new() };
    let shift = |slope: F| {
        let weight = (slope * inverse).as_canonical_u32();
        weight.is_power_of_two().then(|| weight.ilog2())
    };
    let mut places: Vec<(u32, usize)> =
        slopes.iter().filter_map(|(cell, slope)| Some((shift(*slope)?, *cell))).collect();
    places.sort_unstable();
    places.dedup_by_key(|(shift, _)| *shift);
    if places.len() < 2 {
        return Vec::new();
    }
    let kept: F = places.iter().map(|(shift, cell)| cells[*cell] * element(1 << shift)).sum();
    let mut left = signed(kept - base * inverse);
    let mut digits = Vec::new();
    for (index, (shift, cell)) in places.iter().enumerate() {
        let digit = match places.get(index + 1) {
            Some((next, _)) => {
                let modulus = 1_i64 << (next - shift);
                // One more or less further up is taken back here.
                let astray = [0, 0, 0, 0, 0, 0, modulus, -modulus][random.index(8)];
                let digit = left.rem_euclid(modulus) + astray;
                left = (left - digit) / modulus;
                digit
            }
            None => left,
        };
        digits.push((*cell, integer(digit)));
    }
    digits
}

fn integer(value: i64) -> F {
    let magnitude = element(u32::try_from(value.unsigned_abs()).expect("below p"));
    if value < 0 { -magnitude } else { magnitude }
}

/// Returns where the line through (0, f0) and (1, f1) is zero.
fn solved(f0: F, f1: F) -> Option<F> {
    let slope = f1 - f0;
    slope.try_inverse().map(|inverse| -f0 * inverse)
}

/// Returns a field of a message that nobody answers and what it could be instead.
fn wish(scene: &Scene<'_>, said: &Said, place: Place, random: &mut Random) -> Option<(usize, F)> {
    let sent = said.at(place)?;
    let tuple = said.tuple(sent);
    let numbers: Vec<u32> = tuple.iter().map(PrimeField32::as_canonical_u32).collect();
    let honest = scene.honest.at(place).map(|sent| scene.honest.tuple(sent));
    let byte = |random: &mut Random| F::from_u64(random.below(256));
    match (sent.bus, &numbers[..]) {
        ("RNG", [x, bits]) => {
            let end = 1_u64 << (*bits).min(16);
            let kept = honest.map_or(F::ZERO, |tuple| tuple[0]);
            let near = F::from_u64(u64::from(*x) % end);
            let values = [kept, near, F::ZERO, F::from_u64(random.below(end))];
            Some((0, values[random.index(values.len())]))
        }
        ("BYTE2", [x, _]) => Some((usize::from(*x < 256), byte(random))),
        ("AND", [x, y, _]) if *x < 256 && *y < 256 => Some((2, element(x & y))),
        ("AND", [x, ..]) => Some((usize::from(*x < 256), byte(random))),
        ("CNT", [x, ..]) => match u8::try_from(*x) {
            Ok(x) => {
                let counts = [x.leading_zeros(), x.trailing_zeros(), x.count_ones()];
                let wrong = (0..3).find(|index| numbers[index + 1] != counts[*index])?;
                Some((wrong + 1, element(counts[wrong])))
            }
            Err(_) => Some((0, byte(random))),
        },
        _ => {
            let honest = honest?;
            let wrong = (0..tuple.len()).find(|field| tuple[*field] != honest[*field])?;
            Some((wrong, honest[wrong]))
        }
    }
}
