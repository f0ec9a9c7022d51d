//! Constraints that follow from others, by linear algebra over their products with monomials.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_proof::field::F;
use p3_field::{Field, PrimeCharacteristicRing};

use super::polynomial::{Interaction, Monomial, Polynomial, Polynomials};
use super::scene::is_lookup;
use super::survivors::Implied;

/// Returns whether nothing follows if this constraint is left out, for the reason that is given.
pub(crate) fn follows(polynomials: &Polynomials, constraint: usize, implied: &Implied) -> bool {
    let defined = defined(polynomials, implied);
    let sums = Sums::new(&generators(polynomials, implied, &defined), implied.degree);
    let vanishes = |target: &Polynomial| sums.has(&target.with(&defined));
    match implied.instead.is_empty() {
        true => is_idle_where_it_fails(polynomials, constraint, vanishes),
        false => is_mended(polynomials, constraint, implied, vanishes),
    }
}

/// Returns the columns that constraints define as sums of products of others.
fn defined(polynomials: &Polynomials, implied: &Implied) -> BTreeMap<usize, Polynomial> {
    let value = |(name, number): (&String, &usize)| {
        let (column, constraint) = (column(polynomials, name), &polynomials.constraints[*number]);
        let factor = constraint.0[&vec![column]];
        let value = Polynomial::column(column).add(constraint, -factor.inverse());
        assert!(!value.columns().contains(&column), "{name} is not defined by {number}");
        (column, value)
    };
    let values: BTreeMap<usize, Polynomial> = implied.defined.iter().map(value).collect();
    // One may be defined by another.
    values.iter().map(|(column, value)| (*column, value.with(&values))).collect()
}

/// Returns what is 0: the constraints that are named, and that every message of a bus that is named
/// counts 0 times or once.
///
/// For `EXEC` that follows where flags are 0 or 1: a row takes one state as often as it gives one
/// that is later, the start gives one state, and what is taken twice was given twice.
/// For `MEM` it follows from that: no two accesses have one time, what the last access to a cell
/// gives is taken by the boundary, once, and so is, backwards, what each gives that leads to it;
/// of all others the last gives what nothing takes.
fn generators(
    polynomials: &Polynomials,
    implied: &Implied,
    defined: &BTreeMap<usize, Polynomial>,
) -> Vec<Polynomial> {
    let named = implied.others.iter().map(|other| polynomials.constraints[*other].clone());
    // In a chip each message that takes is followed by the one that gives, with the same count.
    let gives = |bus: &String| {
        let of_bus = polynomials.interactions.iter().filter(|one| one.bus == *bus);
        of_bus.skip(1).step_by(2).map(|one| one.count.clone()).collect::<Vec<_>>()
    };
    let counts = implied.given.iter().flat_map(gives);
    let mut counts: Vec<Polynomial> =
        counts.map(|count| count.times(&count).add(&count, -F::ONE)).collect();
    counts.dedup();
    named.chain(counts).map(|one| one.with(defined)).filter(|one| !one.0.is_empty()).collect()
}

/// Returns whether a row on which this constraint alone fails takes and gives nothing: its product
/// with every count of a message that is taken or given is a combination of the others.
///
/// Queries of such a row ask fixed tables and change nothing.
fn is_idle_where_it_fails(
    polynomials: &Polynomials,
    constraint: usize,
    vanishes: impl Fn(&Polynomial) -> bool,
) -> bool {
    let target = &polynomials.constraints[constraint];
    let spoken = polynomials.interactions.iter().filter(|one| !is_lookup(&one.bus));
    let mut counts: Vec<&Polynomial> = spoken.map(|one| &one.count).collect();
    counts.dedup();
    counts.iter().all(|count| vanishes(&target.times(count)))
}

/// Returns whether a row on which this constraint alone fails can be changed so that it holds, and
/// every other one still does, and every message is what it was: `instead` names columns and the
/// columns whose sum they become, or `cleared` if they become what the constraint, in which they
/// occur alone or as a factor, says.
///
/// A query whether a column is in a range, or a byte, may ask for 0 in place of it.
fn is_mended(
    polynomials: &Polynomials,
    constraint: usize,
    implied: &Implied,
    vanishes: impl Fn(&Polynomial) -> bool,
) -> bool {
    let product = &polynomials.constraints[constraint];
    let mut values = BTreeMap::new();
    for (name, sum) in &implied.instead {
        let column = column(polynomials, name);
        let value = match &sum[..] {
            "cleared" => {
                let factor = product.0.get(&vec![column]).map_or(F::ONE, Field::inverse);
                Polynomial::column(column).add(product, -factor)
            }
            sum => sum
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(|word| Polynomial::column(self::column(polynomials, word)))
                .fold(Polynomial::default(), |total, one| total.add(&one, F::ONE)),
        };
        values.insert(column, value);
    }
    let change = |one: &Polynomial| one.with(&values).add(one, -F::ONE);
    let holds = polynomials.constraints.iter().enumerate().all(|(number, one)| {
        match number == constraint {
            true => vanishes(&one.with(&values)),
            false => vanishes(&change(one)),
        }
    });
    // The new value is the old one or 0, either of which is in range.
    let in_range = |sent: &Interaction, field: &Polynomial| {
        let value = field.is_column().and_then(|column| values.get(&column));
        let asked = ["RNG", "BYTE2"].contains(&&sent.bus[..]);
        asked && value.is_some_and(|value| vanishes(&value.times(&change(field))))
    };
    let said = polynomials.interactions.iter().all(|sent| {
        let same = |field: &Polynomial| vanishes(&change(field).times(&sent.count));
        let mut fields = sent.fields.iter();
        vanishes(&change(&sent.count)) && fields.all(|field| same(field) || in_range(sent, field))
    });
    holds && said
}

/// Returns the number of a column.
fn column(polynomials: &Polynomials, name: &str) -> usize {
    let names = polynomials.table.column_names();
    let found = names.iter().position(|known| known.trim_start_matches('.') == name);
    found.unwrap_or_else(|| panic!("{} has no column {name}", polynomials.table.name()))
}

/// Sums of products of some constraints with monomials of at most a degree.
struct Sums {
    /// Columns of which a constraint says that they are 0 or 1; their powers count as themselves.
    flags: BTreeSet<usize>,
    /// Columns of the other constraints.
    columns: BTreeSet<usize>,
    /// Rows in echelon form, by their greatest monomial, whose coefficient is 1.
    echelon: BTreeMap<Monomial, Polynomial>,
}

impl Sums {
    fn new(generators: &[Polynomial], degree: usize) -> Self {
        let flags: BTreeSet<usize> = generators.iter().filter_map(Polynomial::boolean).collect();
        let others = generators.iter().filter(|one| one.boolean().is_none());
        let others: Vec<Polynomial> = others.map(|one| flat(one, &flags)).collect();
        let columns: BTreeSet<usize> = others.iter().flat_map(Polynomial::columns).collect();
        let mut sums = Self { flags, columns, echelon: BTreeMap::new() };
        let columns: Vec<usize> = sums.columns.iter().copied().collect();
        for generator in others {
            let own = generator.0.keys().map(Vec::len).max().unwrap_or_default();
            for monomial in monomials(&columns, &sums.flags, degree.saturating_sub(own)) {
                let factor = Polynomial([(monomial, F::ONE)].into());
                let product = flat(&generator.times(&factor), &sums.flags);
                let rest = reduced(product, &sums.echelon);
                let Some((lead, coefficient)) = rest.0.last_key_value() else { continue };
                let (lead, inverse) = (lead.clone(), coefficient.inverse());
                sums.echelon.insert(lead, Polynomial::default().add(&rest, inverse));
            }
        }
        sums
    }

    /// Returns whether a polynomial is such a sum, for each product of columns that the constraints
    /// do not have.
    fn has(&self, target: &Polynomial) -> bool {
        let mut parts = BTreeMap::<Monomial, Polynomial>::new();
        for (monomial, coefficient) in &flat(target, &self.flags).0 {
            let (own, foreign) =
                monomial.iter().partition::<Monomial, _>(|column| self.columns.contains(column));
            parts.entry(foreign).or_default().0.insert(own, *coefficient);
        }
        parts.into_values().all(|part| reduced(part, &self.echelon).0.is_empty())
    }
}

/// Takes flags, which are 0 or 1, for their powers.
fn flat(polynomial: &Polynomial, flags: &BTreeSet<usize>) -> Polynomial {
    polynomial.0.iter().fold(Polynomial::default(), |sum, (monomial, coefficient)| {
        let mut monomial = monomial.clone();
        let mut last = None;
        monomial.retain(|column| {
            let again = last == Some(*column) && flags.contains(column);
            last = Some(*column);
            !again
        });
        sum.add(&Polynomial([(monomial, F::ONE)].into()), *coefficient)
    })
}

/// Takes away every leading monomial that a row of the echelon form has.
fn reduced(mut rest: Polynomial, echelon: &BTreeMap<Monomial, Polynomial>) -> Polynomial {
    let mut kept = Polynomial::default();
    while let Some((lead, coefficient)) = rest.0.pop_last() {
        match echelon.get(&lead) {
            Some(row) => {
                rest.0.insert(lead, coefficient);
                rest = rest.add(row, -coefficient);
            }
            None => {
                kept.0.insert(lead, coefficient);
            }
        }
    }
    kept
}

/// Returns every monomial in these columns up to a degree, flags once at most.
fn monomials(columns: &[usize], flags: &BTreeSet<usize>, degree: usize) -> Vec<Monomial> {
    let mut all = vec![Monomial::new()];
    let mut last = all.clone();
    for _ in 0..degree {
        let longer = |one: &Monomial| -> Vec<Monomial> {
            let fits = |column: &&usize| match one.last() {
                Some(least) if flags.contains(least) => *column > least,
                Some(least) => *column >= least,
                None => true,
            };
            let next = columns.iter().filter(fits);
            next.map(|column| [&one[..], &[*column]].concat()).collect()
        };
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

#[test]
fn a_combination_is_told_from_what_is_none() {
    let column = Polynomial::column;
    let minus = |one: Polynomial, other: &Polynomial| one.add(other, -F::ONE);
    let boolean = |one: &Polynomial| minus(one.times(one), one);
    let (x, y) = (column(0), column(1));
    let sum = x.clone().add(&y, F::ONE);
    // x y = 0 where x, y and x + y are 0 or 1; that y is, is not said by the others.
    let (one, two, both) = (boolean(&x), boolean(&y), boolean(&sum));
    let sums = Sums::new(&[one.clone(), two.clone(), both.clone()], 4);
    assert!(sums.has(&x.times(&y)));
    assert!(sums.has(&x.times(&y).times(&column(2))));
    assert!(!sums.has(&x) && !sums.has(&column(2)));
    assert!(!Sums::new(&[one, both], 4).has(&two));
    assert_eq!(boolean(&x).boolean(), Some(0));
}
