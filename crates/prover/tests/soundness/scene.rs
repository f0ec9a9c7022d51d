//! A row of a run with all that its constraints see, and what becomes of it when cells change.

use std::collections::BTreeMap;
use std::ops::Range;

use kapsule_lower::LProgram;
use kapsule_proof::field::{F, element};
use kapsule_proof::machine::{Kind, RowBuilder, Sink, Table};
use p3_air::RowWindow;
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::random::Random;
use crate::provided::provided;

/// What can refuse a changed row: a constraint or an interaction of its table, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Constraint(usize),
    Interaction(usize),
}

impl Item {
    /// Returns the label that names it in reports.
    pub(crate) fn label(self, table: &str) -> String {
        match self {
            Self::Constraint(number) => format!("{table}.{number}"),
            Self::Interaction(number) => format!("{table}.I{number}"),
        }
    }
}

/// Where something is said: the row, counted from the first that is evaluated, and what says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) row: usize,
    pub(crate) item: Item,
}

/// A message whose count is not zero.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    row: usize,
    pub(crate) number: usize,
    pub(crate) bus: &'static str,
    fields: Range<usize>,
    pub(crate) count: F,
}

impl Sent {
    pub(crate) const fn place(&self) -> Place {
        Place { row: self.row, item: Item::Interaction(self.number) }
    }
}

/// Everything that a few rows say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    row: usize,
    /// Values of the constraints, row by row.
    constraints: Vec<F>,
    /// Number of constraints of one row.
    per_row: usize,
    pub(crate) sent: Vec<Sent>,
    fields: Vec<F>,
}

const BUSES: [&str; 12] =
    ["RNG", "BYTE2", "AND", "CNT", "PROG", "P2", "EXEC", "MEM", "TX", "TXS", "IMG", "DYN"];
/// How many of them are lookups.
const LOOKUPS: usize = 6;

pub(crate) fn is_lookup(bus: &str) -> bool {
    BUSES[..LOOKUPS].contains(&bus)
}

impl Sink for &mut Said {
    fn constraint(&mut self, value: F) {
        self.constraints.push(value);
    }

    fn message(&mut self, number: usize, bus: &str, tuple: impl Iterator<Item = F>, count: F) {
        if count == F::ZERO {
            return;
        }
        let bus = BUSES.into_iter().find(|known| *known == bus).expect("a known bus");
        let from = self.fields.len();
        self.fields.extend(tuple);
        let fields = from..self.fields.len();
        self.sent.push(Sent { row: self.row, number, bus, fields, count });
    }
}

impl Said {
    /// Returns the fields of a message.
    pub(crate) fn tuple(&self, sent: &Sent) -> &[F] {
        &self.fields[sent.fields.clone()]
    }

    /// Returns the value of a constraint.
    pub(crate) fn value(&self, row: usize, number: usize) -> F {
        self.constraints[row * self.per_row + number]
    }

    /// Returns the message at a place, if its count is not zero.
    pub(crate) fn at(&self, place: Place) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.place() == place)
    }

    /// Returns the number of rows.
    pub(crate) const fn rows(&self) -> usize {
        self.row + 1
    }

    /// Returns the number of constraints of a row.
    pub(crate) const fn per_row(&self) -> usize {
        self.per_row
    }
}

/// What becomes of a changed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What refuses it.
    pub(crate) kills: Vec<Place>,
    /// It says something else than the honest row, and not nothing; not looked at where several
    /// things refuse it.
    pub(crate) differs: bool,
    /// It says nothing, like a row that is not there.
    pub(crate) silent: bool,
}

impl Verdict {
    /// Returns the only thing that refuses it, if there is just one.
    pub(crate) fn only(&self) -> Option<Item> {
        let first = self.kills.first()?.item;
        self.kills.iter().all(|kill| kill.item == first).then_some(first)
    }
}

/// Messages on permutation buses, and queries with odd counts, by tuple: net counts.
type Effect = BTreeMap<(&'static str, Vec<u32>), i64>;

/// Some neighbouring rows of a run.
pub(crate) struct Scene<'a> {
    pub(crate) table: &'a Table,
    /// Number of the run and of the row.
    pub(crate) origin: [usize; 2],
    program: &'a LProgram,
    publics: &'a [F],
    /// All rows if the table relates them, else the one.
    rows: Vec<Vec<F>>,
    /// Rows whose cells may change.
    own: Range<usize>,
    /// Rows whose constraints see those cells.
    seen: Vec<usize>,
    /// Honest cells of the own rows.
    pub(crate) cells: Vec<F>,
    pub(crate) honest: Said,
    effect: Effect,
}

impl<'a> Scene<'a> {
    /// Sets the scene for a row, and its successor if the table relates rows.
    pub(crate) fn new(
        table: &'a Table,
        (program, publics): (&'a LProgram, &'a [F]),
        all: &[Vec<F>],
        origin: [usize; 2],
    ) -> Self {
        let [_, row] = origin;
        let relates = table.relates_rows();
        let rows = if relates { all.to_vec() } else { vec![all[row].clone()] };
        let own = if !relates {
            0..1
        } else if row + 1 < rows.len() {
            row..row + 2
        } else {
            row..row + 1
        };
        let mut seen: Vec<usize> = own.clone().collect();
        if relates {
            seen.insert(0, (own.start + rows.len() - 1) % rows.len());
        }
        let cells = rows[own.clone()].concat();
        let (honest, effect) = (Said::default(), Effect::new());
        let mut scene =
            Self { table, origin, program, publics, rows, own, seen, cells, honest, effect };
        let honest = scene.say(&scene.cells);
        scene.effect = scene.effect(&honest);
        scene.honest = honest;
        let verdict = scene.judge(&scene.honest);
        assert_eq!(verdict.kills, [], "{}", table.name());
        scene
    }

    /// Returns the number of columns.
    pub(crate) fn width(&self) -> usize {
        self.rows[0].len()
    }

    /// Returns whether the table is asked and not one that asks.
    fn provides(&self) -> bool {
        self.table.name() == "POSEIDON2"
    }

    /// Returns what the rows say with these cells in place of their own.
    pub(crate) fn say(&self, cells: &[F]) -> Said {
        let (width, height) = (self.width(), self.rows.len());
        let row_cells = |row: usize| match self.own.contains(&row) {
            true => &cells[(row - self.own.start) * width..][..width],
            false => &self.rows[row][..],
        };
        let none: &[F] = &[];
        let mut said = Said::default();
        for (number, row) in self.seen.iter().copied().enumerate() {
            said.row = number;
            let (last, next) = (row + 1 == height, (row + 1) % height);
            // A table that does not relate rows has no first and no last one.
            let selectors = match self.table.relates_rows() {
                true => [row == 0, last, !last].map(F::from_bool),
                false => [F::ZERO, F::ZERO, F::ONE],
            };
            let main = RowWindow::from_two_rows(row_cells(row), row_cells(next));
            let fixed = RowWindow::from_two_rows(none, none);
            RowBuilder::run(self.table, [main, fixed], self.publics, selectors, &mut said);
            said.per_row = said.constraints.len() / (number + 1);
        }
        said
    }

    /// Returns which cells an instruction is given: its state, its fields, when cells were accessed
    /// before, and what is overwritten.
    pub(crate) fn given(&self) -> Vec<bool> {
        let of_all =
            ["state.", "operands.", "read", "write", "access", "first.", "second.", "load."];
        let named = [".a", ".b", ".cost", ".maximum", ".fuel.previous", ".fuel.gap"];
        let given = |name: String| {
            let last = name.trim_start_matches(".binary").trim_start_matches(".unary");
            let limb = |field: &str| last.strip_prefix(field).is_some_and(|rest| rest.len() == 1);
            let field = last.trim_start_matches('.');
            of_all.iter().any(|start| field.starts_with(start))
                || named.contains(&last)
                || limb(".c")
                || limb(".old")
        };
        self.table.column_names().into_iter().map(given).collect()
    }

    /// Returns another row with the same flags, and mostly the same first operand, if there is one.
    pub(crate) fn donor<'d>(&self, donors: &'d [Vec<F>], random: &mut Random) -> Option<&'d [F]> {
        if donors.is_empty() || !self.is_used() {
            return None;
        }
        let alike = !random.one_in(4);
        let counts = |name: &str| {
            let flag =
                ["selectors", "relations", "outcomes"].iter().any(|part| name.contains(part));
            flag || (alike && name.len() == 3 && name.starts_with(".x"))
        };
        let names = self.table.column_names().into_iter().enumerate();
        let same: Vec<usize> =
            names.filter(|(_, name)| counts(name)).map(|(column, _)| column).collect();
        let start = random.index(donors.len());
        let some = donors.iter().cycle().skip(start).take(donors.len()).map(Vec::as_slice);
        let mut some = some.filter(|row| same.iter().all(|cell| row[*cell] == self.cells[*cell]));
        some.next()
    }

    /// Judges cells.
    pub(crate) fn try_cells(&self, cells: &[F]) -> Verdict {
        self.judge(&self.say(cells))
    }

    /// Judges what was said.
    pub(crate) fn judge(&self, said: &Said) -> Verdict {
        let broken = said.constraints.iter().enumerate().filter(|(_, value)| **value != F::ZERO);
        let mut kills: Vec<Place> = broken
            .map(|(index, _)| {
                let (row, number) = (index / said.per_row, index % said.per_row);
                Place { row, item: Item::Constraint(number) }
            })
            .collect();
        let unanswered = said.sent.iter().filter(|sent| self.unanswered(said, sent));
        kills.extend(unanswered.map(Sent::place));
        kills.extend(self.taken(said));
        if kills.iter().any(|kill| kill.item != kills[0].item) {
            return Verdict { kills, differs: true, silent: false };
        }
        let effect = self.effect(said);
        let silent = effect.is_empty() && !self.effect.is_empty();
        let differs = !silent && effect != self.effect && !self.stated(said);
        Verdict { kills, differs, silent }
    }

    /// Returns whether a message asks for something, so that the other side can refuse it.
    pub(crate) fn demands(&self, sent: &Sent) -> bool {
        match is_lookup(sent.bus) {
            true => !self.provides(),
            false => sent.count == -F::ONE,
        }
    }

    /// Returns whether leaving something out could matter to these rows.
    pub(crate) fn has(&self, item: Item) -> bool {
        let sends = |number| self.honest.sent.iter().any(|sent| sent.number == number);
        matches!(item, Item::Constraint(_)) || matches!(item, Item::Interaction(n) if sends(n))
    }

    /// Returns whether the cells of the first own row are not all zero.
    pub(crate) fn is_used(&self) -> bool {
        self.cells[..self.width()].iter().any(|cell| *cell != F::ZERO)
    }

    /// Returns whether a query has no answer.
    fn unanswered(&self, said: &Said, sent: &Sent) -> bool {
        let asks = is_lookup(sent.bus) && !self.provides();
        asks && !provided(self.program, sent.bus, &canonical(said.tuple(sent)))
    }

    /// Returns what takes something that is not there, and what leaves something untaken that
    /// nobody else takes.
    ///
    /// What a cell holds may be there at any later time: the provers of neighbouring rows adapt.
    fn taken(&self, said: &Said) -> Vec<Place> {
        if self.is_phantom(said) {
            return Vec::new();
        }
        let receives = |sent: &&Sent| !is_lookup(sent.bus) && signed(sent.count) < 0;
        let mut there: Vec<&Sent> = self.honest.sent.iter().filter(receives).collect();
        let mut found = Vec::new();
        for sent in said.sent.iter().filter(receives) {
            let tuple = said.tuple(sent);
            let late = self.is_late(said, sent);
            let same = |other: &&Sent| {
                let honest = self.honest.tuple(other);
                let same = || honest == tuple || (late && honest[..5] == tuple[..5]);
                other.bus == sent.bus && same()
            };
            match there.iter().position(same) {
                Some(position) if signed(sent.count).abs() == 1 => {
                    there.swap_remove(position);
                }
                _ => found.push(sent.place()),
            }
        }
        // An instruction can leave a cell to the accesses after it, which then take it; nothing
        // takes what other tables leave.
        if !matches!(self.table.kind(), Kind::Execution { .. }) {
            found.extend(there.into_iter().map(Sent::place));
        }
        found
    }

    /// Returns whether a row is no step of any run and yet accesses memory.
    ///
    /// Whatever such a row takes can be there: its time is free, and so is what other rows like it
    /// or the steps of a run leave in a cell at any time.
    fn is_phantom(&self, said: &Said) -> bool {
        let executes = matches!(self.table.kind(), Kind::Execution { .. });
        let mut spoken = said.sent.iter().filter(|sent| !is_lookup(sent.bus)).peekable();
        let limbs = |sent: &Sent| {
            let [_, value @ .., time] = said.tuple(sent) else { return false };
            value.iter().all(|limb| *limb < element(1 << 16)) && *time < element(1 << 28)
        };
        let once = |sent: &Sent| signed(sent.count).abs() == 1;
        executes
            && spoken.peek().is_some()
            && spoken.all(|sent| sent.bus == "MEM" && limbs(sent) && once(sent))
    }

    /// Returns whether what is said is for others to judge: which word enters is the host's choice,
    /// which the transcript states, and whether a charge may stop the run is decided by the
    /// verifier, on public values.
    fn stated(&self, said: &Said) -> bool {
        let small = |sent: &Sent| said.tuple(sent)[2..].iter().all(|limb| *limb < element(1 << 16));
        let enters = |sent: &Sent| sent.bus == "TX" && said.tuple(sent)[1] == F::TWO && small(sent);
        let honest = |bus: &str| self.honest.sent.iter().any(|sent| sent.bus == bus);
        let any = |test: &dyn Fn(&Sent) -> bool| said.sent.iter().any(test);
        match self.table.name() {
            "IO" => any(&enters),
            "CHG" => any(&|sent| sent.bus == "DYN") && !honest("DYN"),
            _ => false,
        }
    }

    /// Returns whether a message takes the contents of a cell that it has at that time or later.
    fn is_late(&self, said: &Said, sent: &Sent) -> bool {
        let access = sent.bus == "MEM" && self.table.name() != "BOUNDARY";
        // What an access leaves is the message after what it takes.
        let left = Place { item: Item::Interaction(sent.number + 1), ..sent.place() };
        let Some(left) = said.at(left).filter(|left| access && left.bus == "MEM") else {
            return false;
        };
        let gap = said.tuple(left)[5] - F::ONE - said.tuple(sent)[5];
        gap.as_canonical_u32() >= 1 << 28
    }

    /// Returns what the rows say to other tables.
    fn effect(&self, said: &Said) -> Effect {
        let mut effect = Effect::new();
        for sent in &said.sent {
            let mut tuple = canonical(said.tuple(sent));
            let mut count = signed(sent.count);
            if self.provides() {
                // How often it is asked for is counted; what matters is that it is true.
                count = i64::from(!provided(self.program, sent.bus, &tuple));
            } else if is_lookup(sent.bus) && count == 1 {
                count = 0;
            } else if self.is_late(said, sent) {
                *effect.entry(("late", vec![sent.number as u32])).or_default() += 1;
                // All else that it takes is what is there.
                tuple[5] = self
                    .honest
                    .at(sent.place())
                    .map_or(0, |honest| self.honest.tuple(honest)[5].as_canonical_u32());
            }
            *effect.entry((sent.bus, tuple)).or_default() += count;
        }
        effect.retain(|_, count| *count != 0);
        effect
    }

    /// Returns the label of a column, counted through the own rows.
    pub(crate) fn column(&self, cell: usize) -> String {
        format!("{}{}", self.table.name(), self.table.column_names()[cell % self.width()])
    }
}

fn canonical(fields: &[F]) -> Vec<u32> {
    fields.iter().map(PrimeField32::as_canonical_u32).collect()
}

/// Returns the number nearest to 0 that the element stands for.
pub(crate) fn signed(element: F) -> i64 {
    let negated = i64::from((-element).as_canonical_u32());
    let value = i64::from(element.as_canonical_u32());
    if negated < value { -negated } else { value }
}
