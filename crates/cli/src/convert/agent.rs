//! Agent files and scenarios, to the input of `agent_logic`, and its output back to rows.

use std::collections::BTreeMap;

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::cbor::{self, Fields, FromValue, Items, Value};
use kapsule_format::hash::Digest;
use serde::Deserialize;

use super::rows::foreign;
use super::{Converted, Name, UINT_MAX, VERSION};
use crate::error::Failure;

/// Conditions of a rule, by number.
const CONDITIONS: [&str; 5] = ["kind", "author", "flag", "at_least", "below"];
/// Changes of a rule, by number.
const CHANGES: [&str; 4] = ["set", "add", "subtract", "settle"];
/// Words for what became of an action, by number.
const VERDICTS: [&str; 3] = ["proposed", "beyond the budget", "refused"];

/// A file: an agent, the events of one run, or both with what is expected of it, a scenario.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct File {
    /// What the file is about, for people.
    #[serde(rename = "about")]
    _about: String,
    now: Option<u64>,
    /// Actions that a scripted host refuses; a host on this machine goes by its budget.
    host_refuses: Vec<String>,
    budget: Option<Budget>,
    facts: BTreeMap<String, u64>,
    state: Start,
    rule: Vec<Rule>,
    goal: Vec<Goal>,
    action: Vec<Action>,
    event: Vec<Event>,
    expect: Option<Vec<Expected>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    period: u64,
    cost: u64,
    proposals: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Start {
    pending: Vec<(String, u64)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    when: Vec<Vec<toml::Value>>,
    then: Vec<Vec<toml::Value>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    name: String,
    fact: String,
    at_least: Option<u64>,
    at_most: Option<u64>,
    priority: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    name: String,
    raises: Option<String>,
    lowers: Option<String>,
    effect: u64,
    wait: u64,
    cost: u64,
    #[serde(default)]
    needs: Vec<(String, u64)>,
    publish: Option<Publish>,
    run: Option<Run>,
    notify: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    kind: String,
    channel: Option<String>,
    #[serde(default)]
    parents: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
    body: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    package: String,
    entry: String,
    input: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    kind: String,
    author: String,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    fields: Vec<(String, u64)>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    action: String,
    goal: String,
    verdict: String,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} for {}: {}", self.action, self.goal, self.verdict)
    }
}

impl File {
    /// Reads an agent file, an event file or a scenario.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let text = str::from_utf8(bytes).map_err(refuse)?;
        toml::from_str(text).map_err(refuse)
    }

    /// Returns after how long the agent may want something else although nothing happened: the
    /// shortest time that it waits for an act, or a period of its budget.
    pub(crate) fn look_again_ms(&self) -> u64 {
        let waits = self.action.iter().map(|action| action.wait);
        waits.chain(self.budget.iter().map(|budget| budget.period)).min().unwrap_or(u64::MAX).max(1)
    }

    /// Refuses a file that is no agent.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.now.is_some() || !self.event.is_empty() || self.expect.is_some() {
            return Err(refuse(
                "the file has events of its own, which are those of the store here",
            ));
        }
        self.value().map(drop).map_err(refuse)
    }

    /// Returns what a scenario expects.
    pub(crate) fn expected(self) -> Result<Vec<Expected>, Failure> {
        self.expect.ok_or_else(|| refuse("the file has no [[expect]]"))
    }
}

/// Converts an agent with the events of one run, which stand in its own file or in one more.
///
/// Without an earlier output the agent begins with the facts of its file.
pub(crate) fn convert(
    agent: &File,
    events: Option<&File>,
    earlier: Option<&[u8]>,
) -> Result<Converted, Failure> {
    if let (Some(name), None) = (agent.host_refuses.first(), events) {
        return Err(refuse(format!("host_refuses names {name:?}, which only a test can script")));
    }
    let source = events.unwrap_or(agent);
    if events.is_some() && (agent.now.is_some() || !agent.event.is_empty()) {
        return Err(refuse("the agent file has events of its own"));
    }
    let now = source.now.ok_or_else(|| refuse("no `now`, the time of the run in ms"))?;
    let state = match earlier {
        Some(bytes) => Plan::decode(bytes)?.state,
        None => agent.start(),
    };
    let events = source.event.iter().map(Event::value).collect::<Result<Vec<Value>, String>>();
    let events = events.map_err(refuse)?;
    let records = events.len() as u64;
    let agent = agent.value().map_err(refuse)?;
    let input = [VERSION.into(), now.into(), agent, state, events.into()];
    Ok(Converted { bytes: cbor::encode(&map(input)), records })
}

/// Makes the input of an agent for events that are there already.
///
/// What an earlier output remembers goes on; another package than the one that wrote it begins
/// anew.
pub(crate) fn input(
    agent: &File,
    now_ms: u64,
    events: Value,
    earlier: Option<&[u8]>,
) -> Result<Value, Failure> {
    let earlier = earlier.and_then(|bytes| Plan::decode(bytes).ok());
    let state = earlier.map_or_else(|| agent.start(), |plan| plan.state);
    let agent = agent.value().map_err(refuse)?;
    Ok(map([VERSION.into(), now_ms.into(), agent, state, events]))
}

/// Makes a map with the keys 0, 1 and so on.
fn map(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Map((0..).zip(values).collect())
}

fn array<const N: usize>(items: [Value; N]) -> Value {
    Value::Array(items.into())
}

fn pairs(pairs: &[(String, u64)]) -> Value {
    let pair = |(name, value): &(String, u64)| array([name.as_str().into(), (*value).into()]);
    Value::Array(pairs.iter().map(pair).collect())
}

fn hash(hex: &str) -> Result<Value, String> {
    let digest: Digest = hex.parse().map_err(|error| format!("hash {hex:?}: {error}"))?;
    Ok(digest.as_bytes().to_vec().into())
}

/// Returns the number and the value of the one side that is given.
fn side<T>(name: &str, sides: [(&str, Option<T>); 2]) -> Result<(Value, T), String> {
    match sides {
        [(_, Some(value)), (_, None)] => Ok((0_u64.into(), value)),
        [(_, None), (_, Some(value))] => Ok((1_u64.into(), value)),
        [(one, _), (other, _)] => Err(format!("{name:?} has either {one} or {other}")),
    }
}

/// Returns a row whose first word stands for a number.
fn numbered(row: &[toml::Value], words: &[&str]) -> Result<Value, String> {
    let word = row.first().and_then(toml::Value::as_str).unwrap_or_default();
    let number = words
        .iter()
        .position(|known| *known == word)
        .ok_or_else(|| format!("{row:?} begins with none of {}", words.join(", ")))?;
    let rest = row.iter().skip(1).map(|item| match item {
        toml::Value::String(text) if word == "author" => Ok((&text.parse::<Name>()?).into()),
        toml::Value::String(text) => Ok(text.as_str().into()),
        toml::Value::Integer(uint @ 0..) if uint.unsigned_abs() <= UINT_MAX => {
            Ok(uint.unsigned_abs().into())
        }
        _ => Err(format!("{word:?} takes names and integers from 0 to {UINT_MAX}")),
    });
    let rest = rest.collect::<Result<Vec<Value>, String>>()?;
    Ok(Value::Array(std::iter::once((number as u64).into()).chain(rest).collect()))
}

fn values<T>(items: &[T], value: impl Fn(&T) -> Result<Value, String>) -> Result<Value, String> {
    items.iter().map(value).collect::<Result<Vec<Value>, String>>().map(Value::Array)
}

impl File {
    /// Returns what the agent knows before its first run.
    fn start(&self) -> Value {
        let facts: Vec<(String, u64)> = self.facts.clone().into_iter().collect();
        let none = || 0_u64.into();
        map([pairs(&facts), none(), none(), none(), pairs(&self.state.pending)])
    }

    fn value(&self) -> Result<Value, String> {
        let budget = self.budget.as_ref().ok_or("the agent has no [budget]")?;
        let budget = [budget.period, budget.cost, budget.proposals].map(Value::from);
        Ok(map([
            values(&self.rule, |rule| {
                let when = values(&rule.when, |row| numbered(row, &CONDITIONS))?;
                Ok(array([when, values(&rule.then, |row| numbered(row, &CHANGES))?]))
            })?,
            values(&self.goal, Goal::value)?,
            values(&self.action, Action::value)?,
            array(budget),
        ]))
    }
}

impl Goal {
    fn value(&self) -> Result<Value, String> {
        let sides = [("at_least", self.at_least), ("at_most", self.at_most)];
        let (side, target) = side(&self.name, sides)?;
        let [name, fact] = [&self.name, &self.fact].map(|text| text.as_str().into());
        Ok(array([name, fact, side, target.into(), self.priority.into()]))
    }
}

impl Action {
    fn value(&self) -> Result<Value, String> {
        let sides = [("raises", self.raises.as_deref()), ("lowers", self.lowers.as_deref())];
        let (side, fact) = side(&self.name, sides)?;
        let (effect, wait) = (self.effect.into(), self.wait.into());
        let needs = pairs(&self.needs);
        let name = self.name.as_str().into();
        Ok(array([name, fact.into(), side, effect, wait, needs, self.proposal()?]))
    }

    /// Returns the proposal in the form of the hostcall `propose`.
    fn proposal(&self) -> Result<Value, String> {
        let cost = (1, self.cost.into());
        let fields = match (&self.publish, &self.run, &self.notify) {
            (Some(publish), None, None) => {
                let mut fields = vec![(0, 0_u64.into()), cost, (2, publish.kind.as_str().into())];
                if let Some(channel) = &publish.channel {
                    fields.push((3, hash(channel)?));
                }
                fields.push((4, values(&publish.parents, |parent| hash(parent))?));
                fields.push((5, Value::array(publish.flags.iter().map(String::as_str))));
                fields.push((6, publish.body.as_bytes().to_vec().into()));
                fields
            }
            (None, Some(run), None) => vec![
                (0, 1_u64.into()),
                cost,
                (2, hash(&run.package)?),
                (3, run.entry.as_str().into()),
                (4, run.input.as_bytes().to_vec().into()),
            ],
            (None, None, Some(text)) => vec![(0, 2_u64.into()), cost, (2, text.as_str().into())],
            _ => return Err(format!("{:?} has one of publish, run and notify", self.name)),
        };
        Ok(Value::Map(fields))
    }
}

impl Event {
    fn value(&self) -> Result<Value, String> {
        let flags = Value::array(self.flags.iter().map(String::as_str));
        let author = (&self.author.parse::<Name>()?).into();
        Ok(array([self.kind.as_str().into(), author, flags, pairs(&self.fields)]))
    }
}

/// One action that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Which action.
    pub(crate) action: String,
    /// For which goal.
    pub(crate) goal: String,
    /// What it costs.
    pub(crate) cost: u64,
    /// What became of it.
    pub(crate) verdict: &'static str,
}

/// How a goal stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    name: String,
    value: u64,
    met: bool,
    expected: bool,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match (self.met, self.expected) {
            (true, true) => "met",
            (true, false) => "met, expected to be missed",
            (false, true) => "missed, expected to be met",
            (false, false) => "missed",
        };
        write!(f, "{}: {word}, at {}", self.name, self.value)
    }
}

/// The output of `agent_logic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What the agent knows, for the next run.
    state: Value,
    /// What was chosen, in this order.
    pub(crate) rows: Vec<Row>,
    /// How the goals stand.
    pub(crate) goals: Vec<Standing>,
}

impl FromValue for Row {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "row", 4..=5)?;
        let (action, goal) = (items.required()?, items.required()?);
        let (cost, verdict) = (items.required()?, items.uint(0..=2)?);
        if verdict == 0 {
            let _index: u64 = items.required()?;
        }
        let verdict = VERDICTS[usize::try_from(verdict).expect("0 to 2")];
        items.finish().map(|()| Self { action, goal, cost, verdict })
    }
}

impl FromValue for Standing {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "goal", 4..=4)?;
        let standing = Self {
            name: items.required()?,
            value: items.required()?,
            met: items.required()?,
            expected: items.required()?,
        };
        items.finish().map(|()| standing)
    }
}

impl Plan {
    /// Decodes the output of the `agent_logic` module.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "agent output")?;
            fields.uint(0, VERSION..=VERSION)?;
            let plan = Self {
                state: fields.required(1)?,
                rows: fields.required(2)?,
                goals: fields.required(3)?,
            };
            fields.finish().map(|()| plan)
        };
        read().map_err(|error| foreign("agent-logic", &error))
    }

    /// Compares what was chosen with what a scenario expects.
    pub(crate) fn compare(&self, expected: &[Expected]) -> Result<(), Failure> {
        let found: Vec<Expected> = self.rows.iter().map(Row::shortened).collect();
        let length = found.len().max(expected.len());
        let Some(at) = (0..length).find(|at| found.get(*at) != expected.get(*at)) else {
            return Ok(());
        };
        let word = |row: Option<&Expected>| row.map_or("nothing".to_owned(), Expected::to_string);
        let message = format!(
            "the scenario expects {} as choice {}, found {}",
            word(expected.get(at)),
            at + 1,
            word(found.get(at))
        );
        let hint = "run the package with the input and the host's budget of the scenario";
        Err(Failure::new(ErrorCode::FactsConflict, message, hint))
    }
}

impl Row {
    fn shortened(&self) -> Expected {
        let (action, goal) = (self.action.clone(), self.goal.clone());
        Expected { action, goal, verdict: self.verdict.to_owned() }
    }
}

fn refuse(cause: impl ToString) -> Failure {
    let hint = "see examples/06-agent for the form";
    Failure::new(ErrorCode::SchemaViolation, "the agent file cannot be converted", hint)
        .cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "[budget]\nperiod = 9\ncost = 8\nproposals = 7\n[facts]\nx = 1\n\
        [[rule]]\nwhen = [[\"author\", \"7\"], [\"below\", \"size\", 3]]\n\
        then = [[\"add\", \"x\", 2], [\"settle\", \"act\"]]\n\
        [[goal]]\nname = \"g\"\nfact = \"x\"\nat_most = 4\npriority = 5\n\
        [[action]]\nname = \"act\"\nlowers = \"x\"\neffect = 1\nwait = 6\ncost = 2\n\
        needs = [[\"x\", 1]]\nnotify = \"hi\"\n";
    const EVENTS: &str = "now = 3\n[[event]]\nkind = \"note\"\nauthor = \"ada\"\n\
        flags = [\"f\"]\nfields = [[\"size\", 2]]\n";

    fn read(text: &str) -> File {
        File::read(text.as_bytes()).unwrap()
    }

    fn causes<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        result.unwrap_err().causes.join("; ")
    }

    #[test]
    fn an_agent_and_events_become_an_input() {
        let converted = convert(&read(AGENT), Some(&read(EVENTS)), None).unwrap();
        assert_eq!(converted.records, 1);
        let expect = b"\xa5\x00\x01\x01\x03\
            \x02\xa4\x00\x81\x82\x82\x82\x01\x07\x83\x04\x64size\x03\
            \x82\x83\x01\x61x\x02\x82\x03\x63act\
            \x01\x81\x85\x61g\x61x\x01\x04\x05\
            \x02\x81\x87\x63act\x61x\x01\x01\x06\x81\x82\x61x\x01\xa3\x00\x02\x01\x02\x02\x62hi\
            \x03\x83\x09\x08\x07\
            \x03\xa5\x00\x81\x82\x61x\x01\x01\x00\x02\x00\x03\x00\x04\x80\
            \x04\x81\x84\x64note\x63ada\x81\x61f\x81\x82\x64size\x02";
        assert_eq!(converted.bytes, expect);
        let both = convert(&read(&format!("now = 3\n{AGENT}")), None, None).unwrap();
        assert_eq!(both.records, 0);
    }

    #[test]
    fn the_state_of_an_earlier_output_goes_on() {
        let earlier = b"\xa4\x00\x01\x01\xa5\x00\x81\x82\x61x\x04\x01\x00\x02\x02\x03\x01\x04\x81\
            \x82\x63act\x02\x02\x80\x03\x80";
        let converted = convert(&read(AGENT), Some(&read(EVENTS)), Some(earlier)).unwrap();
        let state = &earlier[4..earlier.len() - 4];
        assert!(converted.bytes.windows(state.len()).any(|window| window == state));
    }

    #[test]
    fn other_forms_are_refused() {
        let agent = |from: &str, to: &str| read(&AGENT.replace(from, to));
        let events = read(EVENTS);
        for (file, expect) in [
            (agent("\"below\"", "\"under\""), "begins with none of kind, author"),
            (agent("\"size\", 3", "\"size\", -3"), "\"below\" takes names and integers from 0"),
            (agent("at_most = 4\n", ""), "\"g\" has either at_least or at_most"),
            (agent("effect", "raises = \"x\"\neffect"), "\"act\" has either raises or lowers"),
            (agent("notify = \"hi\"\n", ""), "\"act\" has one of publish, run and notify"),
            (read("now = 1\n"), "the agent file has events of its own"),
            (read(""), "the agent has no [budget]"),
        ] {
            let said = causes(convert(&file, Some(&events), None));
            assert!(said.contains(expect), "{said}");
        }
        assert!(causes(convert(&read(AGENT), None, None)).contains("no `now`"));
        let scripted = format!("now = 1\nhost_refuses = [\"act\"]\n{AGENT}");
        assert!(causes(convert(&read(&scripted), None, None)).contains("only a test can script"));
        assert!(causes(File::read(b"colour = 1\n")).contains("unknown field"));
        assert!(causes(read(AGENT).expected()).contains("no [[expect]]"));
    }

    #[test]
    fn another_choice_than_expected_is_named() {
        let row = |verdict| Row { action: "a".into(), goal: "g".into(), cost: 1, verdict };
        let plan = |rows| Plan { state: Value::Map(Vec::new()), rows, goals: Vec::new() };
        let expected = [row("proposed").shortened()];
        assert!(plan(vec![row("proposed")]).compare(&expected).is_ok());
        for (rows, expect) in [
            (vec![row("refused")], "expects a for g: proposed as choice 1, found a for g: refused"),
            (Vec::new(), "choice 1, found nothing"),
            (vec![row("proposed"); 2], "expects nothing as choice 2, found a for g: proposed"),
        ] {
            let message = plan(rows).compare(&expected).unwrap_err().message;
            assert!(message.contains(expect), "{message}");
        }
    }
}
