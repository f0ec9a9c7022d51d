//! Labelled messages and a rule file, to the input of `blocklist`, and its output back to rows.

use std::collections::{BTreeMap, BTreeSet};

use kapsule_format::cbor::{self, Fields, FromValue, Items, Value};
use kapsule_format::key::IdentityId;
use kapsule_format::{DecodeError, Digest};
use serde::Deserialize;

use super::rows::foreign;
use super::{Converted, Name, UINT_MAX, VERSION, is_control, refuse};
use crate::error::Failure;

/// Columns of the table; the first line is a header.
const FORM: &str = "label (ham or spam) and message, separated by a tab";

/// Key of the labellers in the rules.
const LABELLERS_KEY: u64 = 4;

/// A half of a table; equal messages are in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Messages whose SHA-256 begins with an even byte.
    First,
    /// The others.
    Second,
}

/// One message of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    /// Number of its line below the header.
    number: u64,
    is_spam: bool,
    text: String,
}

/// A rule file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    set: Vec<Set>,
    #[serde(default)]
    policy: BTreeMap<String, Threshold>,
    #[serde(default)]
    author: BTreeMap<String, Evidence>,
    #[serde(default)]
    domain: BTreeMap<String, Evidence>,
    #[serde(default)]
    labeller: BTreeMap<String, u64>,
    #[serde(default)]
    allow: Allow,
    disguise: Option<Evidence>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    label: String,
    cap: u64,
    patterns: toml::Table,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Threshold {
    warn: u64,
    hide: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Evidence {
    label: String,
    weight: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Allow {
    authors: Vec<String>,
    items: Vec<String>,
    domains: Vec<String>,
    phrases: Vec<String>,
}

/// Converts messages; the author of each is 0, since the table names none.
pub(crate) fn convert(
    table: &[u8],
    rules: &[u8],
    part: Option<Part>,
) -> Result<Converted, Failure> {
    let rules = rules_value(rules)?;
    let items: Vec<Value> = messages(table)?
        .into_iter()
        .filter(|message| part.is_none_or(|part| part_of(&message.text) == part))
        .map(|message| {
            let none = Value::Array(Vec::new());
            Value::Array(vec![message.number.into(), 0_u64.into(), message.text.into(), none])
        })
        .collect();
    let records = items.len() as u64;
    let input = vec![(0, VERSION.into()), (1, 0_u64.into()), (2, rules), (3, items.into())];
    Ok(Converted { bytes: cbor::encode(&Value::Map(input)), records })
}

/// Returns the messages of a table with their numbers, without labels and control characters.
pub(crate) fn texts(table: &[u8]) -> Result<Vec<(u64, String)>, Failure> {
    Ok(messages(table)?.into_iter().map(|message| (message.number, message.text)).collect())
}

fn part_of(text: &str) -> Part {
    let digest = kapsule_format::hash::sha256(text.as_bytes());
    if digest.as_bytes()[0] & 1 == 0 { Part::First } else { Part::Second }
}

fn messages(table: &[u8]) -> Result<Vec<Message>, Failure> {
    let text = str::from_utf8(table).map_err(|error| refuse(FORM, error))?;
    let lines = (1..).zip(text.lines().skip(1)).filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            let at = number + 1;
            let (label, text) = line
                .split_once('\t')
                .ok_or_else(|| refuse(FORM, format!("line {at} has no tab")))?;
            let is_spam = match label {
                "spam" => true,
                "ham" => false,
                other => return Err(refuse(FORM, format!("label {other:?} in line {at}"))),
            };
            // Control characters are none of KCBOR.
            Ok(Message { number, is_spam, text: text.replace(is_control, " ") })
        })
        .collect()
}

/// Reads a rule file as the value that the module is given.
pub(crate) fn rules_value(bytes: &[u8]) -> Result<Value, Failure> {
    read_rules(bytes).map_err(|cause| {
        let hint = "see examples/data/sms-rules.toml for the form";
        let code = kapsule_abi::ErrorCode::SchemaViolation;
        Failure::new(code, "the rule file cannot be converted", hint).cause(cause)
    })
}

/// Returns those whose labels count.
pub(crate) fn labellers(rules: &Value) -> BTreeSet<IdentityId> {
    let Value::Map(fields) = rules else { return BTreeSet::new() };
    let labellers = fields.iter().find(|(key, _)| *key == LABELLERS_KEY);
    let Some((_, Value::Array(labellers))) = labellers else { return BTreeSet::new() };
    let id = |labeller: &Value| match labeller {
        Value::Array(parts) => match parts.first()? {
            Value::Bytes(id) => Some(IdentityId::new(Digest::new(id.as_slice().try_into().ok()?))),
            _ => None,
        },
        _ => None,
    };
    labellers.iter().filter_map(id).collect()
}

fn read_rules(bytes: &[u8]) -> Result<Value, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let rules: Rules = toml::from_str(text).map_err(|error| error.to_string())?;
    let sets = rules.set.iter().map(Set::value).collect::<Result<Vec<Value>, String>>()?;
    let policy = rules.policy.iter().map(|(label, threshold)| {
        Value::Array(vec![label.as_str().into(), threshold.warn.into(), threshold.hide.into()])
    });
    let names = |texts: &[String]| {
        let names = texts.iter().map(|text| text.parse::<Name>().map(|name| Value::from(&name)));
        names.collect::<Result<Vec<Value>, String>>()
    };
    let mut authors = Vec::new();
    for (author, evidence) in &rules.author {
        authors.push(evidence.value((&author.parse::<Name>()?).into()));
    }
    let domains: Vec<Value> = rules
        .domain
        .iter()
        .map(|(domain, evidence)| evidence.value(domain.as_str().into()))
        .collect();
    let mut labellers = Vec::new();
    for (labeller, weight) in &rules.labeller {
        labellers.push(Value::Array(vec![(&labeller.parse::<Name>()?).into(), (*weight).into()]));
    }
    let texts = |texts: &[String]| Value::array(texts.iter().map(String::as_str));
    let allow = &rules.allow;
    let allow = Value::Map(vec![
        (0, names(&allow.authors)?.into()),
        (1, names(&allow.items)?.into()),
        (2, texts(&allow.domains)),
        (3, texts(&allow.phrases)),
    ]);
    let mut value = vec![
        (0, sets.into()),
        (1, Value::Array(policy.collect())),
        (2, authors.into()),
        (3, domains.into()),
        (LABELLERS_KEY, labellers.into()),
        (5, allow),
    ];
    value.extend(rules.disguise.map(|evidence| {
        (6, Value::Array(vec![evidence.label.as_str().into(), evidence.weight.into()]))
    }));
    Ok(Value::Map(value))
}

impl Set {
    fn value(&self) -> Result<Value, String> {
        let pattern = |(pattern, weight): (&String, &toml::Value)| match weight.as_integer() {
            Some(weight @ 0..) if weight.unsigned_abs() <= UINT_MAX => {
                Ok(Value::Array(vec![pattern.as_str().into(), weight.unsigned_abs().into()]))
            }
            _ => Err(format!("the weight of pattern {pattern:?} is no integer from 0")),
        };
        let patterns = self.patterns.iter().map(pattern).collect::<Result<Vec<Value>, String>>()?;
        Ok(Value::Array(vec![self.label.as_str().into(), self.cap.into(), patterns.into()]))
    }
}

impl Evidence {
    fn value(&self, subject: Value) -> Value {
        Value::Array(vec![subject, self.label.as_str().into(), self.weight.into()])
    }
}

/// One verdict of `blocklist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Which item.
    pub(crate) id: Name,
    /// 0 shows, 1 warns, 2 hides.
    pub(crate) action: u64,
    /// Labels with their scores in millionths.
    pub(crate) reasons: Vec<(String, u64)>,
}

struct Reason(String, u64);

impl FromValue for Reason {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "reason", 4..=4)?;
        let reason = Self(items.required()?, items.required()?);
        let _sources: u64 = items.required()?;
        let _patterns: Vec<u64> = items.required()?;
        items.finish().map(|()| reason)
    }
}

impl FromValue for Verdict {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "verdict", 4..=4)?;
        let (id, action) = (items.required()?, items.uint(0..=2)?);
        let _allowed: bool = items.required()?;
        let reasons: Vec<Reason> = items.required()?;
        let reasons = reasons.into_iter().map(|Reason(label, score)| (label, score)).collect();
        items.finish().map(|()| Self { id, action, reasons })
    }
}

impl Verdict {
    /// Decodes the verdicts of an output of the blocklist module.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Self>, Failure> {
        Verdicts::decode(bytes)?.verdicts.into_iter().map(Self::of).collect()
    }

    /// Decodes one of them.
    pub(crate) fn of(value: Value) -> Result<Self, Failure> {
        Self::from_value(value).map_err(|error| foreign("blocklist", &error))
    }

    /// Returns the action in a word.
    pub(crate) fn word(&self) -> &'static str {
        ["show", "warn", "hide"][usize::try_from(self.action).expect("0 to 2")]
    }
}

/// An output of the blocklist module, its parts as it wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    /// What it says of each item.
    pub(crate) verdicts: Vec<Value>,
    /// Labels that it writes.
    pub(crate) labels: Vec<Value>,
}

impl Verdicts {
    /// Takes an output apart.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "blocklist output")?;
            fields.uint(0, VERSION..=VERSION)?;
            let own = Self { verdicts: fields.required(1)?, labels: fields.required(2)? };
            fields.finish().map(|()| own)
        };
        read().map_err(|error| foreign("blocklist", &error))
    }

    /// Puts an output together.
    pub(crate) fn encode(self) -> Vec<u8> {
        let fields = [(0, VERSION.into()), (1, self.verdicts.into()), (2, self.labels.into())];
        cbor::encode(&Value::Map(fields.to_vec()))
    }
}

/// How verdicts meet the labels of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Messages with a verdict, and those of them that are spam.
    pub(crate) messages: u64,
    pub(crate) spam: u64,
    /// What was at least warned of, and what of it is spam; and the same for what was hidden.
    pub(crate) marked: [u64; 2],
    pub(crate) right: [u64; 2],
}

impl Measured {
    /// Compares verdicts with the labels of the table that was converted.
    pub(crate) fn of(verdicts: &[Verdict], table: &[u8]) -> Result<Self, Failure> {
        let messages = messages(table)?.into_iter();
        let spam: BTreeMap<Name, bool> =
            messages.map(|message| (Name::Number(message.number), message.is_spam)).collect();
        let mut measured = Self::default();
        for verdict in verdicts {
            let Some(is_spam) = spam.get(&verdict.id) else {
                let code = kapsule_abi::ErrorCode::FactsConflict;
                let text = format!("message {} is not in the table", verdict.id);
                return Err(Failure::new(code, text, "name the table that was converted"));
            };
            measured.messages += 1;
            measured.spam += u64::from(*is_spam);
            for (least, place) in [(1, 0), (2, 1)] {
                let marked = verdict.action >= least;
                measured.marked[place] += u64::from(marked);
                measured.right[place] += u64::from(marked && *is_spam);
            }
        }
        Ok(measured)
    }

    /// Returns a line for each of the two actions.
    pub(crate) fn lines(&self) -> [String; 2] {
        [(0, "warned or hidden"), (1, "hidden")].map(|(place, word)| {
            let share = |part: u64, whole: u64| match part.saturating_mul(10_000).checked_div(whole)
            {
                Some(share) => format!("{}.{:02} %", share / 100, share % 100),
                None => "none".to_owned(),
            };
            format!(
                "{word}: precision {}, recall {}, {} of {} messages",
                share(self.right[place], self.marked[place]),
                share(self.right[place], self.spam),
                self.marked[place],
                self.messages
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Label\tSMS\nham\thi\tthere\nspam\twin now\n";

    #[test]
    fn tables_and_rules_become_an_input() {
        let rules = "disguise = { label = \"evasion\", weight = 3 }\n\
            [[set]]\nlabel = \"spam\"\ncap = 9\npatterns = { \"win ..2 now\" = 5 }\n\
            [policy.spam]\nwarn = 1\nhide = 0\n[author.\"7\"]\nlabel = \"troll\"\nweight = 2\n\
            [labeller]\nlab = 4\n[allow]\nphrases = [\"a b\"]\n";
        let converted = convert(TABLE.as_bytes(), rules.as_bytes(), None).unwrap();
        assert_eq!(converted.records, 2);
        let expect = b"\xa4\x00\x01\x01\x00\x02\xa7\
            \x00\x81\x83\x64spam\x09\x81\x82\x6bwin ..2 now\x05\
            \x01\x81\x83\x64spam\x01\x00\x02\x81\x83\x07\x65troll\x02\x03\x80\
            \x04\x81\x82\x63lab\x04\
            \x05\xa4\x00\x80\x01\x80\x02\x80\x03\x81\x63a b\x06\x82\x67evasion\x03\
            \x03\x82\x84\x01\x00\x68hi there\x80\x84\x02\x00\x67win now\x80";
        assert_eq!(converted.bytes, expect);
    }

    #[test]
    fn every_message_is_in_one_half() {
        let count = |part| convert(TABLE.as_bytes(), b"", part).unwrap().records;
        assert_eq!(count(Some(Part::First)) + count(Some(Part::Second)), count(None));
        assert_eq!(part_of("hi there"), part_of("hi there"));
    }

    #[test]
    fn other_forms_are_refused() {
        for (table, expect) in [
            ("x\nham hi\n", "line 2 has no tab"),
            ("x\nham\thi\neggs\thi\n", "label \"eggs\" in line 3"),
        ] {
            assert_eq!(convert(table.as_bytes(), b"", None).unwrap_err().causes, [expect]);
        }
        for rules in [
            "x = 1\n",
            "[[set]]\nlabel = \"spam\"\ncap = 1\npatterns = { a = -1 }\n",
            "[[set]]\nlabel = \"spam\"\ncap = 1\npatterns = { a = 1.5 }\n",
        ] {
            assert!(convert(TABLE.as_bytes(), rules.as_bytes(), None).is_err(), "{rules}");
        }
    }

    #[test]
    fn precision_and_recall_are_counted() {
        let verdict = |id, action| Verdict { id: Name::Number(id), action, reasons: Vec::new() };
        let table = b"Label\tSMS\nham\ta\nspam\tb\nspam\tc\nham\td\nspam\te\n";
        let verdicts = [verdict(1, 1), verdict(2, 2), verdict(3, 1), verdict(5, 0)];
        let measured = Measured::of(&verdicts, table).unwrap();
        assert_eq!(
            measured.lines(),
            [
                "warned or hidden: precision 66.66 %, recall 66.66 %, 3 of 4 messages",
                "hidden: precision 100.00 %, recall 33.33 %, 1 of 4 messages",
            ]
        );
        assert!(Measured::of(&[verdict(9, 0)], table).is_err());
    }
}
