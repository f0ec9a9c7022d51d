//! The abstract operand stack: where each operand is while nothing has been emitted for it.

use alloc::vec;
use alloc::vec::Vec;

/// Where one operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// Nowhere: it is this constant, an i32 zero-extended.
    Const(u64),
    /// In the slot of a local, which has not been set since.
    Local(u32),
    /// In a slot behind the frame, where a call left it.
    Result(u32),
    /// In its own slot, put there by the instruction at this position.
    Own(u32),
}

/// Position of no instruction.
pub(super) const NOWHERE: u32 = u32::MAX;

/// One operand, and the next lower one that is the same local.
#[derive(Clone, Copy, Debug)]
struct Entry {
    operand: Operand,
    below: Option<u32>,
}

/// The operands of a function, lowest first.
///
/// # Invariants
/// - `top_alias[l]` and the `below` links name exactly the operands that are local `l`, highest
///   first.
/// - Every operand below `settled` is in its own slot.
/// - `results` are the heights of the operands that are results, ascending.
#[derive(Debug)]
pub(super) struct Stack {
    entries: Vec<Entry>,
    top_alias: Vec<Option<u32>>,
    settled: u32,
    results: Vec<u32>,
}

impl Stack {
    pub(super) fn new(locals: u32) -> Self {
        Self {
            entries: Vec::new(),
            top_alias: vec![None; locals as usize],
            settled: 0,
            results: Vec::new(),
        }
    }

    /// Returns the number of operands.
    pub(super) fn height(&self) -> u32 {
        // At most the frame weight, which has 16 bits.
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn push(&mut self, operand: Operand) {
        let height = self.height();
        let below = match operand {
            Operand::Local(local) => self.top_alias[local as usize].replace(height),
            Operand::Result(_) => {
                self.results.push(height);
                None
            }
            Operand::Const(_) | Operand::Own(_) => None,
        };
        self.entries.push(Entry { operand, below });
    }

    /// Takes the highest operand; validation has shown that there is one.
    pub(super) fn pop(&mut self) -> Operand {
        let Entry { operand, below } = self.entries.pop().expect("validation counted operands");
        match operand {
            Operand::Local(local) => self.top_alias[local as usize] = below,
            Operand::Result(_) => {
                self.results.pop();
            }
            Operand::Const(_) | Operand::Own(_) => {}
        }
        self.settled = self.settled.min(self.height());
        operand
    }

    pub(super) fn truncate(&mut self, height: u32) {
        while self.height() > height {
            self.pop();
        }
    }

    pub(super) fn at(&self, height: u32) -> Operand {
        self.entries[height as usize].operand
    }

    /// Returns the heights of the operands that are this local, and calls them settled.
    pub(super) fn take_aliases(&mut self, local: u32) -> Vec<u32> {
        let mut heights = Vec::new();
        let mut next = self.top_alias[local as usize].take();
        while let Some(height) = next {
            heights.push(height);
            let entry = &mut self.entries[height as usize];
            next = entry.below.take();
            entry.operand = Operand::Own(NOWHERE);
        }
        heights
    }

    /// Returns the heights of the results below `height`, which are to be moved.
    pub(super) fn results_below(&self, height: u32) -> Vec<u32> {
        self.results.iter().copied().take_while(|result| *result < height).collect()
    }

    /// Says that the result at `height` is in its own slot now, put there at `position`.
    pub(super) fn settle_result(&mut self, height: u32, position: u32) {
        self.results.retain(|result| *result != height);
        self.entries[height as usize].operand = Operand::Own(position);
    }

    /// Returns the operands that are not in their own slots, with their heights, and says that from
    /// now on all are.
    pub(super) fn settle_all(&mut self) -> Vec<(u32, Operand)> {
        let mut moved = Vec::new();
        for (height, entry) in (self.settled..).zip(&mut self.entries[self.settled as usize..]) {
            if let Operand::Local(local) = entry.operand {
                self.top_alias[local as usize] = None;
                entry.below = None;
            }
            if !matches!(entry.operand, Operand::Own(_)) {
                moved.push((height, entry.operand));
            }
            entry.operand = Operand::Own(NOWHERE);
        }
        self.settled = self.height();
        self.results.clear();
        moved
    }
}
