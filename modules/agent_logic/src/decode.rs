//! From bytes to an input.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_guest::minicbor::Decoder;
use kapsule_guest::minicbor::bytes::{ByteArray, ByteVec};
use kapsule_guest::{Act, Error, Proposal};
use kapsule_modules_common::{Name, read};

use crate::facts::{FACT_MAX, State};
use crate::input::{
    ACTIONS_MAX, Action, Agent, Budget, Change, Condition, EVENTS_MAX, Event, GOALS_MAX, Goal,
    Input, LIMIT_ERROR, NAME_ERROR, PENDING_MAX, RULES_MAX, Rule, Side,
};

/// Greatest number of conditions, changes, needs, flags or fields in one list; chosen.
const LIST_MAX: usize = 64;
/// Greatest length of the name of a fact, goal, action, kind, flag or field, in bytes.
const NAME_BYTES_MAX: usize = 64;

type Result<T> = core::result::Result<T, Error>;

impl<'a> Input<'a> {
    /// Decodes an input.
    ///
    /// # Errors
    /// [`Error::INPUT`] for another form, [`LIMIT_ERROR`], [`NAME_ERROR`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let (mut now_ms, mut agent, mut events) = (None, None, None);
        let mut state = State::default();
        read::versioned(&mut read::decoder(bytes)?, "input", |key, decoder| {
            match key {
                1 => now_ms = Some(uint(decoder, "now_ms")?),
                2 => agent = Some(decode_agent(decoder)?),
                3 => state = decode_state(decoder)?,
                4 => events = Some(list(decoder, "events", EVENTS_MAX, event)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let agent = read::required(agent, "input", "agent")?;
        check_names(&agent)?;
        Ok(Self {
            now_ms: read::required(now_ms, "input", "now_ms")?,
            agent,
            state,
            events: read::required(events, "input", "events")?,
        })
    }
}

fn decode_agent<'a>(decoder: &mut Decoder<'a>) -> Result<Agent<'a>> {
    let (mut rules, mut goals, mut actions, mut budget) = (None, None, None, None);
    read::map(decoder, "agent", |key, decoder| {
        match key {
            0 => rules = Some(list(decoder, "rules", RULES_MAX, rule)?),
            1 => goals = Some(list(decoder, "goals", GOALS_MAX, goal)?),
            2 => actions = Some(list(decoder, "actions", ACTIONS_MAX, action)?),
            3 => budget = Some(decode_budget(decoder)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Agent {
        rules: read::required(rules, "agent", "rules")?,
        goals: read::required(goals, "agent", "goals")?,
        actions: read::required(actions, "agent", "actions")?,
        budget: read::required(budget, "agent", "budget")?,
    })
}

fn decode_budget(decoder: &mut Decoder<'_>) -> Result<Budget> {
    read::tuple(decoder, "budget", 3)?;
    Ok(Budget {
        period_ms: read::uint(decoder, "period_ms", 1..=FACT_MAX)?,
        cost_max: uint(decoder, "cost_max")?,
        proposals_max: uint(decoder, "proposals_max")?,
    })
}

/// Checks that goals and actions have names of their own, and that what is settled is an action.
fn check_names(agent: &Agent<'_>) -> Result<()> {
    let goals: BTreeSet<&str> = agent.goals.iter().map(|goal| goal.name).collect();
    let actions: BTreeSet<&str> = agent.actions.iter().map(|action| action.name).collect();
    if goals.len() < agent.goals.len() || actions.len() < agent.actions.len() {
        return Err(Error::new(NAME_ERROR, "two goals or actions have one name"));
    }
    for change in agent.rules.iter().flat_map(|rule| &rule.changes) {
        if let Change::Settle(name) = change
            && !actions.contains(name)
        {
            return Err(Error::new(NAME_ERROR, format!("there is no action {name:?} to settle")));
        }
    }
    Ok(())
}

fn decode_state<'a>(decoder: &mut Decoder<'a>) -> Result<State<'a>> {
    let mut state = State::default();
    read::map(decoder, "state", |key, decoder| {
        match key {
            0 => state.facts = list(decoder, "facts", PENDING_MAX, fact)?.into_iter().collect(),
            1 => state.period_ms = uint(decoder, "period_ms")?,
            2 => state.spent = uint(decoder, "spent")?,
            3 => state.proposed = uint(decoder, "proposed")?,
            4 => state.pending = list(decoder, "pending", PENDING_MAX, fact)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(state)
}

fn rule<'a>(decoder: &mut Decoder<'a>) -> Result<Rule<'a>> {
    read::tuple(decoder, "rule", 2)?;
    Ok(Rule {
        conditions: list(decoder, "conditions", LIST_MAX, condition)?,
        changes: list(decoder, "changes", LIST_MAX, change)?,
    })
}

fn condition<'a>(decoder: &mut Decoder<'a>) -> Result<Condition<'a>> {
    let start = decoder.position();
    let items = read::array(decoder, "condition")?;
    let condition = match (read::uint(decoder, "condition", 0..=4)?, items) {
        (0, 2) => Condition::Kind(name(decoder, "kind")?),
        (1, 2) => Condition::Author(Name::decode(decoder, "author")?),
        (2, 2) => Condition::Flag(name(decoder, "flag")?),
        (3, 3) => Condition::AtLeast(name(decoder, "field")?, uint(decoder, "value")?),
        (4, 3) => Condition::Below(name(decoder, "field")?, uint(decoder, "value")?),
        _ => return Err(read::refuse(start, "condition", "another number of items")),
    };
    Ok(condition)
}

fn change<'a>(decoder: &mut Decoder<'a>) -> Result<Change<'a>> {
    let start = decoder.position();
    let items = read::array(decoder, "change")?;
    let change = match (read::uint(decoder, "change", 0..=3)?, items) {
        (0, 3) => Change::Set(name(decoder, "fact")?, uint(decoder, "value")?),
        (1, 3) => Change::Add(name(decoder, "fact")?, uint(decoder, "value")?),
        (2, 3) => Change::Subtract(name(decoder, "fact")?, uint(decoder, "value")?),
        (3, 2) => Change::Settle(name(decoder, "action")?),
        _ => return Err(read::refuse(start, "change", "another number of items")),
    };
    Ok(change)
}

fn goal<'a>(decoder: &mut Decoder<'a>) -> Result<Goal<'a>> {
    read::tuple(decoder, "goal", 5)?;
    Ok(Goal {
        name: name(decoder, "goal")?,
        fact: name(decoder, "fact")?,
        side: side(decoder)?,
        target: uint(decoder, "target")?,
        priority: uint(decoder, "priority")?,
    })
}

fn action<'a>(decoder: &mut Decoder<'a>) -> Result<Action<'a>> {
    read::tuple(decoder, "action", 7)?;
    Ok(Action {
        name: name(decoder, "action")?,
        fact: name(decoder, "fact")?,
        side: side(decoder)?,
        effect: read::uint(decoder, "effect", 1..=FACT_MAX)?,
        wait_ms: uint(decoder, "wait_ms")?,
        needs: list(decoder, "needs", LIST_MAX, fact)?,
        proposal: proposal(decoder)?,
    })
}

/// Reads a proposal in the form in which it is handed to the host.
fn proposal(decoder: &mut Decoder<'_>) -> Result<Proposal> {
    let (mut kind, mut cost) = (None, None);
    let mut parts = Parts::default();
    let start = decoder.position();
    read::map(decoder, "proposal", |key, decoder| {
        match (key, kind) {
            (0, _) => kind = Some(read::uint(decoder, "proposal", 0..=2)?),
            (1, _) => cost = Some(uint(decoder, "cost")?),
            (2, Some(1)) => parts.first = Some(hash(decoder)?),
            (2, Some(0 | 2)) => parts.text = Some(read::text(decoder, "text")?.into()),
            (3, Some(0)) => parts.first = Some(hash(decoder)?),
            (4, Some(0)) => parts.parents = Some(list(decoder, "parents", LIST_MAX, hash)?),
            (5, Some(0)) => parts.flags = Some(list(decoder, "flags", LIST_MAX, owned)?),
            (3, Some(1)) => parts.text = Some(read::text(decoder, "entry")?.into()),
            (4, Some(1)) | (6, Some(0)) => {
                parts.bytes = Some(read::bytes(decoder, "content")?.to_vec().into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let act = kind.and_then(|kind| parts.act(kind));
    let act = act.ok_or_else(|| read::refuse(start, "proposal", "a field is missing"))?;
    Ok(Proposal { cost: read::required(cost, "proposal", "cost")?, act })
}

/// Fields of a proposal that were read.
#[derive(Default)]
struct Parts {
    first: Option<ByteArray<32>>,
    text: Option<String>,
    parents: Option<Vec<ByteArray<32>>>,
    flags: Option<Vec<String>>,
    bytes: Option<ByteVec>,
}

impl Parts {
    fn act(self, kind: u64) -> Option<Act> {
        Some(match kind {
            0 => Act::Publish {
                kind: self.text?,
                channel: self.first,
                parents: self.parents?,
                flags: self.flags?,
                body: self.bytes?,
            },
            1 => Act::Run { package: self.first?, entry: self.text?, input: self.bytes? },
            _ => Act::Notify { text: self.text? },
        })
    }
}

fn hash(decoder: &mut Decoder<'_>) -> Result<ByteArray<32>> {
    let start = decoder.position();
    let bytes = read::bytes(decoder, "hash")?;
    let bytes: [u8; 32] =
        bytes.try_into().map_err(|_other| read::refuse(start, "hash", "expected 32 bytes"))?;
    Ok(bytes.into())
}

fn owned(decoder: &mut Decoder<'_>) -> Result<String> {
    name(decoder, "flag").map(Into::into)
}

fn event<'a>(decoder: &mut Decoder<'a>) -> Result<Event<'a>> {
    read::tuple(decoder, "event", 4)?;
    Ok(Event {
        kind: name(decoder, "kind")?,
        author: Name::decode(decoder, "author")?,
        flags: list(decoder, "flags", LIST_MAX, |decoder| name(decoder, "flag"))?,
        fields: list(decoder, "fields", LIST_MAX, fact)?,
    })
}

/// Reads a name with a number.
fn fact<'a>(decoder: &mut Decoder<'a>) -> Result<(&'a str, u64)> {
    read::tuple(decoder, "pair", 2)?;
    Ok((name(decoder, "name")?, uint(decoder, "value")?))
}

fn side(decoder: &mut Decoder<'_>) -> Result<Side> {
    Ok(if read::uint(decoder, "side", 0..=1)? == 0 { Side::Up } else { Side::Down })
}

fn uint(decoder: &mut Decoder<'_>, what: &str) -> Result<u64> {
    read::uint(decoder, what, 0..=FACT_MAX)
}

/// Reads a text of 1 to 64 bytes.
fn name<'a>(decoder: &mut Decoder<'a>, what: &str) -> Result<&'a str> {
    let start = decoder.position();
    let text = read::text(decoder, what)?;
    match (1..=NAME_BYTES_MAX).contains(&text.len()) {
        true => Ok(text),
        false => Err(read::refuse(start, what, "a name has 1 to 64 bytes")),
    }
}

/// Reads an array of at most `most` items.
fn list<'a, T>(
    decoder: &mut Decoder<'a>,
    what: &str,
    most: usize,
    mut read_one: impl FnMut(&mut Decoder<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = read::array(decoder, what)?;
    if count > most as u64 {
        return Err(Error::new(LIMIT_ERROR, format!("{count} {what} exceed the limit of {most}")));
    }
    (0..count).map(|_| read_one(decoder)).collect()
}
