//! The output: what the agent knows now, what it proposed, and how its goals stand.

use alloc::vec::Vec;
use core::convert::Infallible;

use kapsule_guest::minicbor::Encoder;
use kapsule_guest::minicbor::encode;
use kapsule_modules_common::VERSION;

use crate::facts::State;

/// What became of an action that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host took it under this index; it has not been done.
    Proposed(u32),
    /// It is beyond the agent's own budget, and the host was not asked.
    BeyondBudget,
    /// The host refused it.
    Refused,
}

/// An action that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which action.
    pub action: &'a str,
    /// For which goal.
    pub goal: &'a str,
    /// What it costs.
    pub cost: u64,
    /// What became of it.
    pub verdict: Verdict,
}

/// How a goal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoalRow<'a> {
    /// Which goal.
    pub name: &'a str,
    /// What its fact is.
    pub value: u64,
    /// Whether it is met.
    pub met: bool,
    /// Whether it is met once what is pending has had its effect.
    pub expected: bool,
}

/// A whole result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// What the agent knows, for the next run.
    pub state: State<'a>,
    /// What was chosen, in this order.
    pub rows: Vec<Row<'a>>,
    /// How the goals stand, in their order.
    pub goals: Vec<GoalRow<'a>>,
}

impl Output<'_> {
    /// Encodes the output as the README's CDDL says.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        self.write(&mut encoder).expect("encoding into a vector cannot fail");
        encoder.into_writer()
    }

    fn write(&self, encoder: &mut Encoder<Vec<u8>>) -> Result<(), encode::Error<Infallible>> {
        let state = &self.state;
        encoder.map(4)?.u8(0)?.u64(VERSION)?.u8(1)?.map(5)?;
        encoder.u8(0)?.array(state.facts.len() as u64)?;
        for (name, value) in &state.facts {
            encoder.array(2)?.str(name)?.u64(*value)?;
        }
        encoder.u8(1)?.u64(state.period_ms)?.u8(2)?.u64(state.spent)?;
        encoder.u8(3)?.u64(state.proposed)?.u8(4)?.array(state.pending.len() as u64)?;
        for (name, since_ms) in &state.pending {
            encoder.array(2)?.str(name)?.u64(*since_ms)?;
        }
        encoder.u8(2)?.array(self.rows.len() as u64)?;
        for row in &self.rows {
            let index = matches!(row.verdict, Verdict::Proposed(_));
            encoder.array(4 + u64::from(index))?.str(row.action)?.str(row.goal)?.u64(row.cost)?;
            match row.verdict {
                Verdict::Proposed(index) => encoder.u8(0)?.u32(index)?,
                Verdict::BeyondBudget => encoder.u8(1)?,
                Verdict::Refused => encoder.u8(2)?,
            };
        }
        encoder.u8(3)?.array(self.goals.len() as u64)?;
        for goal in &self.goals {
            encoder.array(4)?.str(goal.name)?.u64(goal.value)?.bool(goal.met)?;
            encoder.bool(goal.expected)?;
        }
        Ok(())
    }
}
