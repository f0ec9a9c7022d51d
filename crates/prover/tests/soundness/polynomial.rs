//! A table as polynomials in the columns of one row.

use std::collections::BTreeMap;

use kapsule_proof::field::F;
use kapsule_proof::machine::Table;
use p3_air::BaseAir;
use p3_air::symbolic::{AirLayout, BaseEntry, BaseLeaf, SymbolicExpr, SymbolicExpression};
use p3_field::PrimeCharacteristicRing;
use p3_field::extension::BinomialExtensionField;
use p3_lookup::InteractionSymbolicBuilder;

type Symbolic = InteractionSymbolicBuilder<F, BinomialExtensionField<F, 4>>;

/// A product of columns, with repetition, in ascending order.
pub(crate) type Monomial = Vec<usize>;

/// A polynomial: coefficients that are not zero, by monomial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Polynomial(pub(crate) BTreeMap<Monomial, F>);

impl Polynomial {
    pub(crate) fn constant(value: F) -> Self {
        Self::default().plus(Vec::new(), value)
    }

    pub(crate) fn column(column: usize) -> Self {
        Self::default().plus(vec![column], F::ONE)
    }

    fn plus(mut self, monomial: Monomial, coefficient: F) -> Self {
        let entry = self.0.entry(monomial).or_default();
        *entry += coefficient;
        self.0.retain(|_, coefficient| *coefficient != F::ZERO);
        self
    }

    pub(crate) fn add(mut self, other: &Self, factor: F) -> Self {
        for (monomial, coefficient) in &other.0 {
            *self.0.entry(monomial.clone()).or_default() += *coefficient * factor;
        }
        self.0.retain(|_, coefficient| *coefficient != F::ZERO);
        self
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut product = BTreeMap::<Monomial, F>::new();
        for (one, a) in &self.0 {
            for (two, b) in &other.0 {
                let mut monomial = [&one[..], &two[..]].concat();
                monomial.sort_unstable();
                *product.entry(monomial).or_default() += *a * *b;
            }
        }
        product.retain(|_, coefficient| *coefficient != F::ZERO);
        Self(product)
    }

    /// Returns it with other polynomials in place of columns.
    pub(crate) fn with(&self, values: &BTreeMap<usize, Self>) -> Self {
        let value =
            |column: &usize| values.get(column).cloned().unwrap_or_else(|| Self::column(*column));
        let term = |(monomial, coefficient): (&Monomial, &F)| {
            let start = Self::constant(*coefficient);
            monomial.iter().fold(start, |product, column| product.times(&value(column)))
        };
        self.0.iter().map(term).fold(Self::default(), |sum, term| sum.add(&term, F::ONE))
    }

    /// Returns the columns that occur.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self.0.keys().flatten().copied().collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Returns the column that this polynomial says is 0 or 1, if it says that.
    pub(crate) fn boolean(&self) -> Option<usize> {
        let terms: Vec<(&Monomial, &F)> = self.0.iter().collect();
        match terms[..] {
            [(one, a), (two, b)] if one.len() == 1 && two[..] == [one[0]; 2] && *a == -*b => {
                Some(one[0])
            }
            _ => None,
        }
    }

    /// Returns the column that this polynomial is.
    pub(crate) fn is_column(&self) -> Option<usize> {
        let (monomial, coefficient) = self.0.first_key_value()?;
        let single = self.0.len() == 1 && monomial.len() == 1 && *coefficient == F::ONE;
        single.then(|| monomial[0])
    }
}

/// An interaction: its bus, its tuple, and how often it is sent, less how often it is received.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) bus: String,
    pub(crate) fields: Vec<Polynomial>,
    pub(crate) count: Polynomial,
}

/// Everything that a table says of one row.
#[derive(Clone, Debug)]
pub(crate) struct Polynomials {
    pub(crate) table: Table,
    pub(crate) width: usize,
    pub(crate) constraints: Vec<Polynomial>,
    pub(crate) interactions: Vec<Interaction>,
}

impl Polynomials {
    /// Writes out a table whose rows stand alone.
    pub(crate) fn of(table: &Table) -> Self {
        let symbolic = Symbolic::from_air(table, AirLayout::from_air(table));
        let interactions = symbolic.global_interactions().iter().map(|sent| Interaction {
            bus: sent.bus_name.clone(),
            fields: sent.fields.iter().map(expand).collect(),
            count: expand(&sent.count),
        });
        Self {
            table: table.clone(),
            width: table.width(),
            constraints: symbolic.base_constraints().iter().map(expand).collect(),
            interactions: interactions.collect(),
        }
    }
}

/// Multiplies an expression out.
fn expand(expression: &SymbolicExpression<F>) -> Polynomial {
    let leaf = |leaf: &BaseLeaf<F>| match leaf {
        BaseLeaf::Variable(variable) => match variable.entry {
            BaseEntry::Main { offset: 0 } => Polynomial::column(variable.index),
            other => panic!("a chip has no {other:?}"),
        },
        BaseLeaf::Constant(value) => Polynomial::constant(*value),
        other => panic!("a chip has no {other:?}"),
    };
    match expression {
        SymbolicExpr::Leaf(found) => leaf(found),
        SymbolicExpr::Add { x, y, .. } => expand(x).add(&expand(y), F::ONE),
        SymbolicExpr::Sub { x, y, .. } => expand(x).add(&expand(y), -F::ONE),
        SymbolicExpr::Neg { x, .. } => Polynomial::default().add(&expand(x), -F::ONE),
        SymbolicExpr::Mul { x, y, .. } => expand(x).times(&expand(y)),
    }
}
