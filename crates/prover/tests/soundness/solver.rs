//! A search for rows that solve the equations of a table, with something left out.
//!
//! A cell is known or it is not; an equation with one unknown cell is solved for it, one with two
//! cells of few values by trying them, and a lookup narrows what a cell can be.
//! Where nothing follows, a cell is chosen and the search comes back to it when it led nowhere.
//! It begins with a cell that differs from the honest row, near what is left out.

use std::collections::BTreeSet;

use kapsule_proof::field::{F, element};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField32};

use super::polynomial::{Monomial, Polynomial, Polynomials};
use super::random::Random;
use super::scene::{Item, is_lookup, signed};
use super::situation::{Situation, number};
use crate::provided::fixed;

/// A row that says something else than the instruction does, and is refused by one thing at most.
pub(crate) type Row = Vec<F>;

/// The equations of one situation.
pub(crate) struct Search<'a> {
    polynomials: &'a Polynomials,
    situation: &'a Situation,
    left_out: Option<Item>,
    honest: Option<&'a [F]>,
    equations: Vec<Polynomial>,
    /// Equations that have a cell.
    having: Vec<Vec<usize>>,
    /// Interactions that are lookups, and pairs that access cells.
    lookups: Vec<usize>,
    accesses: Vec<usize>,
    /// A cell is below this number, or anything.
    below: Vec<Option<u32>>,
}

/// What is known so far.
#[derive(Clone)]
struct Known {
    cells: Vec<Option<F>>,
    /// What a cell can be, where that is known.
    options: Vec<Option<Vec<F>>>,
    /// A cell is affine in a number of so many bits: factor, start, bits.
    ranges: Vec<Option<(F, F, u32)>>,
    /// Equations to look at.
    queue: BTreeSet<usize>,
    /// Accesses whose cell was found.
    bound: Vec<bool>,
}

/// What is left of a polynomial.
enum Left {
    Value(F),
    /// A cell, and the coefficients of its powers from 0.
    One(usize, Vec<F>),
    /// Two cells with their factors, and a constant.
    Two([(usize, F); 2], F),
    More,
}

/// Contradiction.
struct No;

/// Cells with at most so many values are tried one after another.
const FEW: usize = 4096;

impl<'a> Search<'a> {
    pub(crate) fn new(
        polynomials: &'a Polynomials,
        situation: &'a Situation,
        honest: Option<&'a [F]>,
        left_out: Option<Item>,
    ) -> Self {
        let constraints = polynomials.constraints.iter().enumerate();
        let kept = constraints.filter(|(index, _)| left_out != Some(Item::Constraint(*index)));
        let mut equations: Vec<Polynomial> = kept.map(|(_, one)| one.clone()).collect();
        let instr = situation.instr;
        let program: Vec<u32> = [situation.state[0], instr.op as u32, instr.a, instr.b]
            .into_iter()
            .chain(instr.c.map(u32::from))
            .chain([u32::from(instr.cost)])
            .collect();
        let (mut lookups, mut accesses) = (Vec::new(), Vec::new());
        let mut below: Vec<Option<u32>> = vec![None; polynomials.width];
        let mut narrow = |column: Option<usize>, end: u32| {
            let Some(column) = column else { return };
            below[column] = Some(below[column].map_or(end, |old: u32| old.min(end)));
        };
        let equal = |fields: &[Polynomial], values: &[u32]| -> Vec<Polynomial> {
            let pairs = fields.iter().zip(values);
            pairs.map(|(one, value)| one.clone().add(&constant(1), -element(*value))).collect()
        };
        let mut states = 0;
        for (index, one) in polynomials.interactions.iter().enumerate() {
            let left = left_out == Some(Item::Interaction(index));
            match &one.bus[..] {
                "EXEC" if states == 0 => {
                    states += 1;
                    equations.extend(equal(&one.fields, &situation.state));
                    equations.push(one.count.clone().add(&constant(1), F::ONE));
                }
                "PROG" if !left => equations.extend(equal(&one.fields, &program)),
                "MEM" if accesses.last() != Some(&index.wrapping_sub(1)) => accesses.push(index),
                bus if is_lookup(bus) && bus != "PROG" && !left => {
                    lookups.push(index);
                    match bus {
                        "RNG" => {
                            let bits = one.fields[1].0.get(&Monomial::new());
                            let bits = bits.map_or(0, |bits| number(*bits));
                            narrow(one.fields[0].is_column(), 1 << bits);
                        }
                        _ => one.fields.iter().for_each(|field| narrow(field.is_column(), 256)),
                    }
                }
                _ => {}
            }
        }
        equations.iter().for_each(|one| narrow(one.boolean(), 2));
        let mut having = vec![Vec::new(); polynomials.width];
        for (index, one) in equations.iter().enumerate() {
            one.columns().into_iter().for_each(|column| having[column].push(index));
        }
        Self {
            polynomials,
            situation,
            left_out,
            honest,
            equations,
            having,
            lookups,
            accesses,
            below,
        }
    }

    /// Tries to find a row that does something else and that only what is left out refuses.
    pub(crate) fn lie(&self, patience: usize, random: &mut Random) -> Option<Row> {
        let mut known = Known {
            cells: vec![None; self.polynomials.width],
            options: vec![None; self.polynomials.width],
            ranges: vec![None; self.polynomials.width],
            queue: (0..self.equations.len()).collect(),
            bound: vec![false; self.accesses.len()],
        };
        self.follow(&mut known).ok()?;
        let near = self.near();
        if !near.is_empty() && !random.one_in(6) {
            let cell = near[random.index(near.len())];
            if known.cells[cell].is_none() {
                let value = self.astray(cell, random);
                self.set(&mut known, cell, value);
                self.follow(&mut known).ok()?;
            }
        }
        // How often a cell is what it is on the honest row.
        let faithful = [2, 4, 8, 24][random.index(4)];
        let mut patience = patience;
        self.search(known, faithful, &mut patience, random)
    }

    /// Returns the cells of what is left out, or any.
    fn near(&self) -> Vec<usize> {
        let columns = |polynomials: &[Polynomial]| -> Vec<usize> {
            polynomials.iter().flat_map(Polynomial::columns).collect()
        };
        match self.left_out {
            Some(Item::Constraint(index)) => self.polynomials.constraints[index].columns(),
            Some(Item::Interaction(index)) => columns(&self.polynomials.interactions[index].fields),
            None => (0..self.polynomials.width).collect(),
        }
    }

    fn astray(&self, cell: usize, random: &mut Random) -> F {
        let x = self.honest.map_or(F::ZERO, |row| row[cell]);
        let small = element(1 + random.index(4) as u32);
        let step = [1, 1, 2, 1 << 7, 1 << 8, 1 << 15, 1 << 16][random.index(7)];
        // p - 1 is 127 times 2^24: a part of it times a power of two is -1.
        let part = element(127 << random.index(25)) * element(random.below(9) as u32);
        match random.index(9) {
            0 => small,
            1 => -small,
            2 => F::ONE - x,
            3 => x + element(step),
            4 => x - element(step),
            5 => x + part,
            6 => x - part,
            7 => random.field(),
            _ => element(random.below(u64::from(self.below[cell].unwrap_or(1 << 16))) as u32),
        }
    }

    fn set(&self, known: &mut Known, cell: usize, value: F) {
        known.cells[cell] = Some(value);
        known.queue.extend(self.having[cell].iter().copied());
    }

    /// Draws all conclusions.
    fn follow(&self, known: &mut Known) -> Result<(), No> {
        loop {
            while let Some(index) = known.queue.pop_first() {
                self.conclude(known, &self.equations[index])?;
            }
            for place in 0..self.accesses.len() {
                self.access(known, place)?;
            }
            if known.queue.is_empty() {
                for index in &self.lookups {
                    self.look_up(known, *index)?;
                }
            }
            if known.queue.is_empty() {
                return Ok(());
            }
        }
    }

    /// Solves an equation if it has one unknown cell, or few.
    fn conclude(&self, known: &mut Known, equation: &Polynomial) -> Result<(), No> {
        match left(equation, &known.cells) {
            Left::Value(F::ZERO) | Left::More => Ok(()),
            Left::Value(_) => Err(No),
            Left::One(cell, powers) => {
                let roots = match powers[..] {
                    [start, factor] => vec![-start * factor.inverse()],
                    [start, factor, square] => roots([start, factor, square]),
                    _ => return Ok(()),
                };
                self.narrow(known, cell, roots)
            }
            Left::Two(cells, start) => self.pair(known, cells, start),
        }
    }

    /// Keeps of what a cell can be what is also among these values.
    fn narrow(&self, known: &mut Known, cell: usize, values: Vec<F>) -> Result<(), No> {
        let fits = |value: &F| {
            let listed = known.options[cell].as_ref();
            listed.is_none_or(|options| options.contains(value))
        };
        let values: Vec<F> = values.into_iter().filter(fits).collect();
        match values[..] {
            [] => Err(No),
            [value] => {
                self.set(known, cell, value);
                Ok(())
            }
            _ => {
                known.options[cell] = Some(values);
                Ok(())
            }
        }
    }

    /// Solves `start` plus two cells times their factors, if both have few values.
    fn pair(&self, known: &mut Known, cells: [(usize, F); 2], start: F) -> Result<(), No> {
        let ends = cells.map(|(cell, _)| self.below[cell]);
        let [Some(one), Some(other)] = ends else { return Ok(()) };
        let [few, many] = if one <= other { cells } else { [cells[1], cells[0]] };
        let (few_end, many_end) = (one.min(other), one.max(other));
        if few_end as usize > FEW {
            return Ok(());
        }
        let inverse = many.1.inverse();
        let other = |value: F| -(start + value * few.1) * inverse;
        let fits = |value: &F| other(*value).as_canonical_u32() < many_end;
        let values: Vec<F> = (0..few_end).map(element).filter(fits).collect();
        self.narrow(known, few.0, values)
    }

    /// Binds an access to the contents of its cell once that is known.
    fn access(&self, known: &mut Known, place: usize) -> Result<(), No> {
        if known.bound[place] {
            return Ok(());
        }
        let receive = &self.polynomials.interactions[self.accesses[place]];
        let Left::Value(count) = left(&receive.count, &known.cells) else { return Ok(()) };
        if count == F::ZERO {
            known.bound[place] = true;
            return Ok(());
        }
        if count != -F::ONE {
            return Err(No);
        }
        let Left::Value(addr) = left(&receive.fields[0], &known.cells) else { return Ok(()) };
        // A cell that the row itself wrote before is judged at the end.
        for before in &self.accesses[..place] {
            let sent = &self.polynomials.interactions[before + 1];
            let same = match left(&sent.fields[0], &known.cells) {
                Left::Value(other) => other == addr,
                _ => return Ok(()),
            };
            if same {
                return Ok(());
            }
        }
        let (value, since) = self.situation.held(number(addr));
        let held = value.into_iter().chain([since]);
        let mut bound = true;
        for (field, value) in receive.fields[1..].iter().zip(held) {
            match left(field, &known.cells) {
                Left::Value(found) if found == element(value) => continue,
                Left::Value(_) => return Err(No),
                Left::One(cell, powers) if powers.len() == 2 => {
                    let solved = (element(value) - powers[0]) * powers[1].inverse();
                    self.narrow(known, cell, vec![solved])?;
                }
                Left::Two(cells, start) => self.pair(known, cells, start - element(value))?,
                _ => {}
            }
            bound = false;
        }
        known.bound[place] = bound;
        Ok(())
    }

    /// Narrows cells by a lookup that is made.
    fn look_up(&self, known: &mut Known, index: usize) -> Result<(), No> {
        let one = &self.polynomials.interactions[index];
        let Left::Value(count) = left(&one.count, &known.cells) else { return Ok(()) };
        if count == F::ZERO {
            return Ok(());
        }
        if count != F::ONE {
            return Err(No);
        }
        let fields: Vec<Left> = one.fields.iter().map(|field| left(field, &known.cells)).collect();
        let values: Option<Vec<u32>> = fields
            .iter()
            .map(|field| if let Left::Value(value) = field { Some(number(*value)) } else { None })
            .collect();
        if let Some(values) = values {
            return if fixed(&one.bus, &values) == Some(true) { Ok(()) } else { Err(No) };
        }
        let known_byte = |field: &Left| match field {
            Left::Value(value) => u8::try_from(number(*value)).ok(),
            _ => None,
        };
        match (&one.bus[..], &fields[..]) {
            ("RNG", [Left::One(cell, powers), Left::Value(bits)]) if powers.len() == 2 => {
                let (bits, inverse) = (number(*bits), powers[1].inverse());
                let root = |value: u32| (element(value) - powers[0]) * inverse;
                match self.below[*cell] {
                    Some(end) if end <= 256 => {
                        let fits = |value: &F| number(powers[0] + *value * powers[1]) < 1 << bits;
                        let values = (0..end).map(element).filter(fits).collect();
                        self.narrow(known, *cell, values)
                    }
                    _ if known.options[*cell].is_some() => {
                        let options = known.options[*cell].clone().unwrap_or_default();
                        let fits = |value: &F| number(powers[0] + *value * powers[1]) < 1 << bits;
                        let values = options.into_iter().filter(fits).collect();
                        self.narrow(known, *cell, values)
                    }
                    _ if bits <= 3 => self.narrow(known, *cell, (0..1 << bits).map(root).collect()),
                    _ => {
                        known.ranges[*cell] = Some((inverse, -powers[0] * inverse, bits));
                        Ok(())
                    }
                }
            }
            ("AND", [x, y, Left::One(cell, powers)]) if powers.len() == 2 => {
                let (Some(x), Some(y)) = (known_byte(x), known_byte(y)) else { return Ok(()) };
                let value = F::from_u8(x & y) - powers[0];
                self.narrow(known, *cell, vec![value * powers[1].inverse()])
            }
            ("CNT", [x, counts @ ..]) => {
                let Some(x) = known_byte(x) else { return Ok(()) };
                let true_counts = [x.leading_zeros(), x.trailing_zeros(), x.count_ones()];
                for (field, count) in counts.iter().zip(true_counts) {
                    if let Left::One(cell, powers) = field
                        && powers.len() == 2
                    {
                        let value = (element(count) - powers[0]) * powers[1].inverse();
                        self.narrow(known, *cell, vec![value])?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Chooses a cell and tries values for it.
    fn search(
        &self,
        known: Known,
        faithful: u64,
        patience: &mut usize,
        random: &mut Random,
    ) -> Option<Row> {
        if *patience == 0 {
            return None;
        }
        *patience -= 1;
        let unknown = (0..known.cells.len()).filter(|cell| known.cells[*cell].is_none());
        let weight = |cell: &usize| match (&known.options[*cell], self.below[*cell]) {
            (Some(options), _) => options.len().min(200),
            (None, Some(2)) => 2,
            (None, Some(end)) => 200 + end.ilog2() as usize,
            (None, None) => 300 - usize::from(known.ranges[*cell].is_some()),
        };
        let start = random.index(known.cells.len());
        let turned = |cell: &usize| (cell + known.cells.len() - start) % known.cells.len();
        let Some(cell) = unknown.min_by_key(|cell| (weight(cell), turned(cell))) else {
            let row: Row = known.cells.into_iter().flatten().collect();
            return self.is_lie(&row).then_some(row);
        };
        for value in self.values(&known, cell, faithful, random) {
            let mut next = known.clone();
            self.set(&mut next, cell, value);
            if self.follow(&mut next).is_ok()
                && let Some(row) = self.search(next, faithful, patience, random)
            {
                return Some(row);
            }
        }
        None
    }

    /// Returns values to try for a cell, the best first.
    fn values(&self, known: &Known, cell: usize, faithful: u64, random: &mut Random) -> Vec<F> {
        let honest = self.honest.map(|row| row[cell]);
        let mut values = match (&known.options[cell], self.below[cell], known.ranges[cell]) {
            (Some(options), _, _) => {
                let mut options = options.clone();
                if random.one_in(2) {
                    // Those that are small numbers fit into more.
                    options.sort_by_key(|value| signed(*value).abs());
                    options.truncate(6);
                }
                for place in (1..options.len()).rev() {
                    options.swap(place, random.index(place + 1));
                }
                options.truncate(6);
                options
            }
            (None, Some(2), _) => {
                let first = F::from_bool(random.one_in(2));
                vec![first, F::ONE - first]
            }
            (None, Some(end), _) => {
                let mut any = || element(random.below(u64::from(end)) as u32);
                vec![any(), any(), F::ZERO]
            }
            (None, None, Some((factor, start, bits))) => {
                let mut any = || start + element(random.below(1 << bits) as u32) * factor;
                vec![any(), any()]
            }
            (None, None, None) => {
                let cells: Vec<u32> = self.situation.known().collect();
                let other = element(cells[random.index(cells.len())]);
                vec![self.astray(cell, random), other]
            }
        };
        if let Some(honest) = honest
            && !random.one_in(faithful)
            && known.options[cell].as_ref().is_none_or(|options| options.contains(&honest))
        {
            values.retain(|value| *value != honest);
            values.insert(0, honest);
        }
        values
    }

    /// Returns whether a row does something else, and nothing but what is left out refuses it.
    fn is_lie(&self, row: &[F]) -> bool {
        let (refused, differs) = self.situation.judge(&self.polynomials.table, row);
        differs && refused.iter().copied().eq(self.left_out)
    }
}

fn constant(value: u32) -> Polynomial {
    Polynomial::constant(element(value))
}

/// Puts known cells into a polynomial.
fn left(polynomial: &Polynomial, cells: &[Option<F>]) -> Left {
    let mut start = F::ZERO;
    // Up to two cells with their coefficients by power.
    let mut found: [Option<(usize, Vec<F>)>; 2] = [None, None];
    for (monomial, coefficient) in &polynomial.0 {
        let mut value = *coefficient;
        let mut open: Option<(usize, usize)> = None;
        let mut mixed = false;
        for column in monomial {
            match (cells[*column], open) {
                (Some(cell), _) => value *= cell,
                (None, None) => open = Some((*column, 1)),
                (None, Some((other, power))) if other == *column => open = Some((other, power + 1)),
                (None, Some(_)) => mixed = true,
            }
            if value == F::ZERO {
                break;
            }
        }
        if value == F::ZERO {
            continue;
        }
        if mixed {
            return Left::More;
        }
        let Some((column, power)) = open else {
            start += value;
            continue;
        };
        let place =
            found.iter().position(|one| one.as_ref().is_none_or(|(other, _)| *other == column));
        let Some(place) = place else { return Left::More };
        let (_, powers) = found[place].get_or_insert_with(|| (column, vec![F::ZERO; 4]));
        powers[power] += value;
    }
    let trimmed = |found: Option<(usize, Vec<F>)>| {
        let (column, mut powers) = found?;
        while powers.last() == Some(&F::ZERO) {
            powers.pop();
        }
        (powers.len() > 1).then_some((column, powers))
    };
    let mut rest = found.into_iter().filter_map(trimmed);
    match (rest.next(), rest.next()) {
        (None, _) => Left::Value(start),
        (Some((column, mut powers)), None) => {
            powers[0] = start;
            Left::One(column, powers)
        }
        (Some((one, a)), Some((other, b))) if a.len() == 2 && b.len() == 2 => {
            Left::Two([(one, a[1]), (other, b[1])], start)
        }
        _ => Left::More,
    }
}

/// Returns the roots of a polynomial of degree 2.
fn roots([c, b, a]: [F; 3]) -> Vec<F> {
    let half = (a.double()).inverse();
    let Some(root) = root(b.square() - a * c * element(4)) else { return Vec::new() };
    if root == F::ZERO {
        return vec![-b * half];
    }
    vec![(root - b) * half, (-root - b) * half]
}

/// Returns a square root, by Tonelli and Shanks: p - 1 is 127 times 2^24.
fn root(x: F) -> Option<F> {
    if x == F::ZERO {
        return Some(F::ZERO);
    }
    if x.exp_u64((1 << 23) * 127) != F::ONE {
        return None;
    }
    let mut twist = F::GENERATOR.exp_u64(127);
    let (mut result, mut order) = (x.exp_u64(64), x.exp_u64(127));
    let mut size = 24;
    while order != F::ONE {
        let mut power = order;
        let mut steps = 0;
        while power != F::ONE {
            power = power.square();
            steps += 1;
        }
        let factor = (0..size - steps - 1).fold(twist, |factor, _| factor.square());
        result *= factor;
        twist = factor.square();
        order *= twist;
        size = steps;
    }
    Some(result)
}
