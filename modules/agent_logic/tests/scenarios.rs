//! Every scenario file: what the agent proposes is what the file expects.

use std::path::Path;

use agent_logic::run_with;
use kapsule_guest::minicbor::{Decoder, Encode, to_vec};
use kapsule_guest::{Act, Errno, Proposal};
use toml::{Table, Value};

/// Encodes one item.
fn item(value: impl Encode<()>) -> Vec<u8> {
    to_vec(value).unwrap()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = item(items.iter().map(|_| ()).collect::<Vec<()>>());
    bytes.truncate(bytes.len() - items.len());
    [bytes, items.concat()].concat()
}

/// Encodes a map whose keys are below 24.
fn map(pairs: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let pairs_bytes = pairs.iter().flat_map(|(key, value)| [&[*key], value.as_slice()].concat());
    [0xa0 + u8::try_from(pairs.len()).unwrap()].into_iter().chain(pairs_bytes).collect()
}

fn bytes(content: &[u8]) -> Vec<u8> {
    item(kapsule_guest::minicbor::bytes::ByteVec::from(content.to_vec()))
}

/// Encodes integers, texts and lists of them as they stand.
fn plain(value: &Value) -> Vec<u8> {
    match value {
        Value::Integer(number) => item(number.unsigned_abs()),
        Value::String(text) => item(text),
        Value::Array(items) => array(&items.iter().map(plain).collect::<Vec<_>>()),
        other => panic!("a scenario has no {other:?}"),
    }
}

fn at<'a>(table: &'a Table, key: &str) -> &'a Value {
    table.get(key).unwrap_or_else(|| panic!("no {key} in {table:?}"))
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    at(table, key).as_str().unwrap()
}

fn tables<'a>(table: &'a Table, key: &str) -> Vec<&'a Table> {
    let list = table.get(key).and_then(Value::as_array).into_iter().flatten();
    list.map(|table| table.as_table().unwrap()).collect()
}

/// Encodes a list that may be absent.
fn listed(table: &Table, key: &str) -> Vec<u8> {
    table.get(key).map_or_else(|| array(&[]), plain)
}

/// Encodes rows whose first word stands for a number.
fn numbered(rows: &Value, words: &[&str]) -> Vec<u8> {
    let row = |row: &Value| {
        let row = row.as_array().unwrap();
        let word = row[0].as_str().unwrap();
        let number = words.iter().position(|known| *known == word).unwrap();
        let rest = row[1..].iter().map(plain);
        array(&core::iter::once(item(number as u64)).chain(rest).collect::<Vec<_>>())
    };
    array(&rows.as_array().unwrap().iter().map(row).collect::<Vec<_>>())
}

/// Returns the side and the value of the key that is there.
fn side(table: &Table, keys: [&str; 2]) -> [Vec<u8>; 2] {
    let number = keys.iter().position(|key| table.contains_key(*key)).unwrap();
    [item(number as u64), plain(at(table, keys[number]))]
}

fn action(table: &Table) -> Vec<u8> {
    let [side, fact] = side(table, ["raises", "lowers"]);
    let cost = (1, plain(at(table, "cost")));
    let proposal = if let Some(given) = table.get("publish").and_then(Value::as_table) {
        let body = bytes(text(given, "body").as_bytes());
        map(&[
            (0, item(0)),
            cost,
            (2, item(text(given, "kind"))),
            (4, array(&[])),
            (5, array(&[])),
            (6, body),
        ])
    } else if let Some(given) = table.get("run").and_then(Value::as_table) {
        let hex = text(given, "package").as_bytes();
        let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
        let package: Vec<u8> =
            hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
        let input = bytes(text(given, "input").as_bytes());
        map(&[
            (0, item(1)),
            cost,
            (2, bytes(&package)),
            (3, item(text(given, "entry"))),
            (4, input),
        ])
    } else {
        map(&[(0, item(2)), cost, (2, item(text(table, "notify")))])
    };
    let effect = [plain(at(table, "effect")), plain(at(table, "wait"))];
    let [effect, wait] = effect;
    array(&[item(text(table, "name")), fact, side, effect, wait, listed(table, "needs"), proposal])
}

fn input(scenario: &Table) -> Vec<u8> {
    let rules = tables(scenario, "rule").into_iter().map(|rule| {
        let conditions = ["kind", "author", "flag", "at_least", "below"];
        let changes = ["set", "add", "subtract", "settle"];
        array(&[numbered(at(rule, "when"), &conditions), numbered(at(rule, "then"), &changes)])
    });
    let goals = tables(scenario, "goal").into_iter().map(|goal| {
        let [side, target] = side(goal, ["at_least", "at_most"]);
        let name = [item(text(goal, "name")), item(text(goal, "fact"))];
        let [name, fact] = name;
        array(&[name, fact, side, target, plain(at(goal, "priority"))])
    });
    let actions = tables(scenario, "action").into_iter().map(action);
    let budget = at(scenario, "budget").as_table().unwrap();
    let budget = ["period", "cost", "proposals"].map(|key| plain(at(budget, key)));
    let agent = map(&[
        (0, array(&rules.collect::<Vec<_>>())),
        (1, array(&goals.collect::<Vec<_>>())),
        (2, array(&actions.collect::<Vec<_>>())),
        (3, array(&budget)),
    ]);
    let facts = at(scenario, "facts").as_table().unwrap();
    let facts: Vec<Vec<u8>> =
        facts.iter().map(|(name, value)| array(&[item(name), plain(value)])).collect();
    let pending = plain(at(at(scenario, "state").as_table().unwrap(), "pending"));
    let events = tables(scenario, "event").into_iter().map(|event| {
        let named = ["kind", "author"].map(|key| item(text(event, key)));
        let [kind, author] = named;
        array(&[kind, author, listed(event, "flags"), listed(event, "fields")])
    });
    map(&[
        (0, item(1)),
        (1, plain(at(scenario, "now"))),
        (2, agent),
        (3, map(&[(0, array(&facts)), (4, pending)])),
        (4, array(&events.collect::<Vec<_>>())),
    ])
}

/// Returns action, goal and verdict of each row of an output.
fn rows(output: &[u8]) -> Vec<[String; 3]> {
    let mut decoder = Decoder::new(output);
    let mut rows = Vec::new();
    for _ in 0..decoder.map().unwrap().unwrap() {
        if decoder.u8().unwrap() != 2 {
            decoder.skip().unwrap();
            continue;
        }
        for _ in 0..decoder.array().unwrap().unwrap() {
            let length = decoder.array().unwrap().unwrap();
            let [action, goal] = [0, 1].map(|_| decoder.str().unwrap().to_owned());
            let _cost = decoder.u64().unwrap();
            let verdict = decoder.u8().unwrap();
            let words = ["proposed", "beyond the budget", "refused"];
            rows.push([action, goal, words[usize::from(verdict)].to_owned()]);
            if length == 5 {
                decoder.skip().unwrap();
            }
        }
    }
    rows
}

/// Returns the name of the action that a proposal came from.
fn name_of<'a>(scenario: &'a Table, proposal: &Proposal) -> &'a str {
    let is_it = |action: &&Table| match &proposal.act {
        Act::Notify { text } => {
            action.get("notify").is_some_and(|given| given.as_str() == Some(text))
        }
        Act::Publish { .. } => action.contains_key("publish"),
        Act::Run { .. } => action.contains_key("run"),
    };
    text(tables(scenario, "action").into_iter().find(is_it).unwrap(), "name")
}

#[test]
fn every_scenario_plays_as_expected() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let scenario: Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let refuses = at(&scenario, "host_refuses").as_array().unwrap();
        let mut taken = 0;
        let output = run_with(&input(&scenario), &mut |proposal| {
            let name = name_of(&scenario, proposal);
            if refuses.iter().any(|refused| refused.as_str() == Some(name)) {
                return Err(Errno::Refused);
            }
            taken += 1;
            Ok(taken - 1)
        });
        let expect: Vec<[String; 3]> = tables(&scenario, "expect")
            .into_iter()
            .map(|row| ["action", "goal", "verdict"].map(|key| text(row, key).to_owned()))
            .collect();
        assert_eq!(
            rows(&output.unwrap()),
            expect,
            "{}: {}",
            path.display(),
            text(&scenario, "about")
        );
        count += 1;
    }
    assert!(count >= 4, "{count} scenarios");
}
