//! The input: what the agent is, what it knows, and what happened.

use alloc::vec::Vec;

use kapsule_guest::Proposal;
use kapsule_modules_common::Name;

use crate::facts::State;

/// Code of an input with more items than the limits below.
pub const LIMIT_ERROR: u16 = 16;
/// Code of two goals or actions of one name, or of a settled action that there is not.
pub const NAME_ERROR: u16 = 17;

/// Greatest number of rules; chosen.
pub const RULES_MAX: usize = 256;
/// Greatest number of goals; chosen.
pub const GOALS_MAX: usize = 64;
/// Greatest number of actions; chosen.
pub const ACTIONS_MAX: usize = 256;
/// Greatest number of events; chosen so that a run stays below 64 MiB of memory.
pub const EVENTS_MAX: usize = 10_000;
/// Greatest number of facts, and of pending actions; chosen.
pub const PENDING_MAX: usize = 4_096;

/// What an event must be for a rule to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Of this kind.
    Kind(&'a str),
    /// By this author.
    Author(Name<'a>),
    /// With this flag.
    Flag(&'a str),
    /// With a field of at least this value.
    AtLeast(&'a str, u64),
    /// With a field below this value.
    Below(&'a str, u64),
}

/// What a rule does to the agent's knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Sets a fact.
    Set(&'a str, u64),
    /// Adds to a fact, at most up to the greatest value.
    Add(&'a str, u64),
    /// Subtracts from a fact, at most down to 0.
    Subtract(&'a str, u64),
    /// Awaits the effect of the oldest pending proposal of this action no longer.
    Settle(&'a str),
}

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// All must hold.
    pub conditions: Vec<Condition<'a>>,
    /// What changes then, in this order.
    pub changes: Vec<Change<'a>>,
}

/// On which side of a bound a fact should be, and which way an action moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// At least; upwards.
    Up,
    /// At most; downwards.
    Down,
}

/// What the agent wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which fact it is about.
    pub fact: &'a str,
    /// Whether the fact should be at least or at most the target.
    pub side: Side,
    /// The bound.
    pub target: u64,
    /// The greater one is served first.
    pub priority: u64,
}

/// What the agent may propose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action<'a> {
    /// Its name.
    pub name: &'a str,
    /// Which fact it moves.
    pub fact: &'a str,
    /// Which way.
    pub side: Side,
    /// By how much, as far as the agent knows.
    pub effect: u64,
    /// For how long its effect is awaited, in milliseconds.
    pub wait_ms: u64,
    /// Least values of facts without which it is not proposed.
    pub needs: Vec<(&'a str, u64)>,
    /// What is proposed, with its cost.
    pub proposal: Proposal,
}

/// How much the agent may propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Length of a period in milliseconds.
    pub period_ms: u64,
    /// Greatest cost in a period.
    pub cost_max: u64,
    /// Greatest number of proposals in a period.
    pub proposals_max: u64,
}

/// What the agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent<'a> {
    /// What follows from events.
    pub rules: Vec<Rule<'a>>,
    /// What it wants.
    pub goals: Vec<Goal<'a>>,
    /// What it may propose.
    pub actions: Vec<Action<'a>>,
    /// How much.
    pub budget: Budget,
}

/// A capsule that arrived, in the fields that rules look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Kind, such as `comment`.
    pub kind: &'a str,
    /// Who wrote it.
    pub author: Name<'a>,
    /// Flags.
    pub flags: Vec<&'a str>,
    /// Numbers by name.
    pub fields: Vec<(&'a str, u64)>,
}

/// A decoded input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub now_ms: u64,
    /// What the agent is.
    pub agent: Agent<'a>,
    /// What it knows.
    pub state: State<'a>,
    /// What happened since, in this order.
    pub events: Vec<Event<'a>>,
}
