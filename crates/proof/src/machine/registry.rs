//! The text that pins every table: columns, constraints and interactions.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use kapsule_lower::LProgram;
use p3_air::symbolic::AirLayout;
use p3_air::{BaseAir, RowWindow};
use p3_field::PrimeCharacteristicRing;
use p3_field::extension::BinomialExtensionField;
use p3_lookup::InteractionSymbolicBuilder;

use super::check::{Checked, Message};
use super::row::RowBuilder;
use super::table::{Kind, Table};
use crate::field::F;

/// A table as expressions in its columns.
type Symbolic = InteractionSymbolicBuilder<F, BinomialExtensionField<F, 4>>;

/// Digest of the text as hexadecimal digits; a test compares it with [`digest`].
pub const DIGEST: &str = include_str!("../registry.digest");

/// Returns the text: for each table its columns, and one line for each constraint and interaction.
///
/// A constraint is labelled `TABLE.n` in the order of evaluation; its degree and its value at a
/// fixed pseudo-random point are part of the text, so no table changes unnoticed.
#[must_use]
pub fn describe() -> String {
    let mut text = String::new();
    for table in Table::all(&empty()) {
        // Writing to a string cannot fail.
        let _ = describe_table(&mut text, &table);
    }
    text
}

/// Returns the digest of [`describe`].
#[must_use]
pub fn digest() -> [u8; 32] {
    blake3::derive_key("kapsule 2026 kp1 registry", describe().as_bytes())
}

fn describe_table(text: &mut String, table: &Table) -> core::fmt::Result {
    let name = table.name();
    write!(text, "table {} {name}", table.number())?;
    if let Kind::Execution { delta } = table.kind() {
        write!(text, " delta {delta}")?;
    }
    writeln!(text, " fixed {}", table.preprocessed_width())?;
    for column in table.column_names() {
        writeln!(text, "  column {}", column.trim_start_matches('.'))?;
    }
    let symbolic = Symbolic::from_air(table, AirLayout::from_air(table));
    let (values, messages) = fingerprint(table);
    for ((number, constraint), value) in (0..).zip(symbolic.base_constraints()).zip(values) {
        writeln!(text, "  {name}.{number} degree {} at {value}", constraint.degree_multiple())?;
    }
    for ((number, sent), message) in (0..).zip(symbolic.global_interactions()).zip(messages) {
        let (bus, width, weight) = (&sent.bus_name, sent.fields.len(), sent.count_weight);
        write!(text, "  {name}.I{number} {bus} width {width} weight {weight}")?;
        writeln!(text, " at {} {:?}", message.count, message.tuple)?;
    }
    Ok(())
}

/// Evaluates a table at a fixed pseudo-random point.
///
/// Two different constraints have one value there with a probability of at most 3 / p, and
/// nobody gains by finding such a pair: the text guards against mistakes.
fn fingerprint(table: &Table) -> (Vec<F>, Vec<Message>) {
    let mut reader = blake3::Hasher::new().update(b"kapsule kp1 registry").finalize_xof();
    let mut point = |length: usize| -> Vec<F> {
        let mut bytes = [0; 3];
        let mut next = || {
            reader.fill(&mut bytes);
            F::from_u32(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]))
        };
        (0..length).map(|_| next()).collect()
    };
    let (width, fixed) = (table.width(), table.preprocessed_width());
    let main = [point(width), point(width)];
    let fixed = [point(fixed), point(fixed)];
    let publics = point(crate::publics::COUNT);
    let selectors = core::array::from_fn(|_| point(1)[0]);
    let windows = [&main, &fixed].map(|[row, next]| RowWindow::from_two_rows(row, next));
    let checked = RowBuilder::run(table, windows, &publics, selectors, Checked::default());
    (checked.constraints, checked.messages)
}

/// A program without instructions: the text does not depend on the program.
fn empty() -> LProgram {
    LProgram {
        isa: kapsule_lower::isa::ISA,
        code: Vec::new(),
        entries: alloc::collections::BTreeMap::new(),
        globals: Vec::new(),
        table: Vec::new(),
        data: Vec::new(),
        memory: kapsule_lower::MemoryLayout::default(),
        plan: kapsule_meter::Plan::default(),
    }
}
