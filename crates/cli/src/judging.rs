//! A filter such as `blocklist` over more items than one run takes: runs over parts of them, on
//! all cores.
//!
//! A filter judges each item by itself, so the runs together say what one over all would say.
//!
//! # Spec
//! `spec/store.md`, section "Views".

use kapsule_engine::MemoryHost;
use kapsule_format::cbor::{self, Value};

use crate::convert::sms::Verdicts;
use crate::error::Failure;
use crate::execute::{Ready, Request};
use crate::session::Session;
use crate::text::grouped;
use crate::ui::Ui;
use crate::views::{Input, Made, run_within};
use crate::{batch, ingest, interrupt};

/// Key of the items in an input of `blocklist`.
const ITEMS_KEY: u64 = 3;

/// Bytes of items that one run is given, unless the first of them has more.
///
/// Chosen: twice the longest text of a post or comment, so that a run takes little more than the
/// longest one by itself does, whatever others wrote.
const RUN_BYTES_MAX: usize = 128 << 10;

/// An input whose items may be judged apart.
pub(crate) struct Question {
    /// Time that the package is told.
    pub(crate) now_ms: u64,
    /// Everything but the items.
    pub(crate) fields: Vec<(u64, Value)>,
    /// What is to be judged.
    pub(crate) items: Vec<Value>,
}

impl Question {
    /// Takes an input of `blocklist` apart.
    pub(crate) fn of(now_ms: u64, input: Value) -> Self {
        let mut fields = match input {
            Value::Map(fields) => fields,
            _ => Vec::new(),
        };
        let place = fields.iter().position(|(key, _)| *key == ITEMS_KEY);
        let items = match place.map(|place| fields.remove(place)) {
            Some((_, Value::Array(items))) => items,
            _ => Vec::new(),
        };
        Self { now_ms, fields, items }
    }

    /// Has a package judge the items; what it writes is joined to the output of one run.
    pub(crate) fn ask(&self, ui: &Ui, session: &Session<'_>, entry: &str) -> Result<Made, Failure> {
        match self.parts().as_slice() {
            // Without items the rules are looked at all the same.
            [] => run_within(session, entry, &self.input(&[]), 0),
            [whole] => run_within(session, entry, &self.input(whole), 0),
            parts => self.ask_in_parts(ui, session, entry, parts),
        }
    }

    fn ask_in_parts(
        &self,
        ui: &Ui,
        session: &Session<'_>,
        entry: &str,
        parts: &[&[Value]],
    ) -> Result<Made, Failure> {
        interrupt::watch()?;
        let fuel = session.request.policy.limits.fuel.saturating_mul(parts.len() as u64);
        let ready = session.loaded.compile(session.request.engine, fuel)?;
        let what = format!("judging {} items", grouped(self.items.len() as u64));
        let progress = ui.begin_counted(&what, parts.len() as u64);
        let mut joined = Verdicts::default();
        let (mut outcome, mut fuel) = (String::new(), 0_u64);
        let work = |part: usize| self.ask_ready(session, entry, &ready, parts[part]);
        batch::in_order(parts.len(), ingest::jobs(), work, |_, made| {
            let made = made?;
            let mut own = Verdicts::decode(&made.output)?;
            joined.verdicts.append(&mut own.verdicts);
            joined.labels.append(&mut own.labels);
            fuel = fuel.saturating_add(made.fuel);
            outcome = made.outcome;
            progress.advance();
            Ok::<(), Failure>(())
        })?;
        interrupt::check()?;
        progress.end(&format!("{} verdicts", grouped(joined.verdicts.len() as u64)));
        Ok(Made { outcome, fuel, output: joined.encode(), proposals: Vec::new() })
    }

    fn ask_ready(
        &self,
        session: &Session<'_>,
        entry: &str,
        ready: &Ready<'_>,
        items: &[Value],
    ) -> Result<Made, Failure> {
        let input = self.input(items).bytes;
        let request = Request { entry: Some(entry), input: &input, ..session.request };
        let host = || MemoryHost { now_ms: self.now_ms, ..session.memory.clone() };
        Made::of(session, ready.run(&request, host)?)
    }

    /// Returns the items in parts that are small enough for a run.
    fn parts(&self) -> Vec<&[Value]> {
        let (mut parts, mut start, mut bytes) = (Vec::new(), 0, 0);
        for (place, item) in self.items.iter().enumerate() {
            let more = cbor::encode(item).len();
            if place > start && bytes + more > RUN_BYTES_MAX {
                parts.push(&self.items[start..place]);
                (start, bytes) = (place, 0);
            }
            bytes += more;
        }
        if start < self.items.len() {
            parts.push(&self.items[start..]);
        }
        parts
    }

    fn input(&self, items: &[Value]) -> Input {
        let mut fields = self.fields.clone();
        let place = fields.partition_point(|(key, _)| *key < ITEMS_KEY);
        fields.insert(place, (ITEMS_KEY, Value::Array(items.to_vec())));
        let bytes = cbor::encode(&Value::Map(fields));
        Input { now_ms: self.now_ms, bytes, until_ms: self.now_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: usize) -> Value {
        Value::Bytes(vec![7; bytes])
    }

    #[test]
    fn items_are_parted_by_their_bytes_and_none_is_lost() {
        // A byte string of this length has three bytes before it.
        let half = RUN_BYTES_MAX / 2 - 3;
        for (bytes, expect) in [
            (vec![], vec![]),
            (vec![2 * RUN_BYTES_MAX], vec![1]),
            (vec![half, half, 0], vec![2, 1]),
            (vec![half, half + 1, half - 1], vec![1, 2]),
            (vec![0, 2 * RUN_BYTES_MAX, 0, 0], vec![1, 1, 2]),
        ] {
            let items: Vec<Value> = bytes.iter().copied().map(item).collect();
            let input = Value::Map(vec![(0, 1_u64.into()), (3, items.clone().into())]);
            let question = Question::of(5, input.clone());
            let parts = question.parts();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), expect);
            assert_eq!(parts.concat(), items);
            assert_eq!(question.input(&items).bytes, cbor::encode(&input));
        }
    }
}
