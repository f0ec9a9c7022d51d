//! The words that enter and leave a run.

use std::collections::VecDeque;

use kapsule_lower::isa::{TAG_IN, TAG_OUT};
use kapsule_lower::words::Event;

/// The other side of `IN` and `OUT`.
pub trait Words {
    /// Returns the next word for the guest, or `None` if there is none, which ends the run with
    /// [`ExecError::NoWord`](super::ExecError::NoWord).
    fn next(&mut self) -> Option<u64>;

    /// Takes a word from the guest.
    fn take(&mut self, word: u64);
}

/// Gives words that were recorded, and keeps every event of the run.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    pending: VecDeque<u64>,
    events: Vec<Event>,
}

impl Recorded {
    /// Returns the other side of a run that reads these words in this order.
    #[must_use]
    pub fn new(words: impl IntoIterator<Item = u64>) -> Self {
        Self { pending: words.into_iter().collect(), events: Vec::new() }
    }

    /// Returns the events so far, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns how many words nobody has read.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.pending.len()
    }
}

impl Words for Recorded {
    fn next(&mut self) -> Option<u64> {
        let word = self.pending.pop_front()?;
        self.events.push(Event { tag: TAG_IN, word });
        Some(word)
    }

    fn take(&mut self, word: u64) {
        self.events.push(Event { tag: TAG_OUT, word });
    }
}
