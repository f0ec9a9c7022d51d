//! The view of verdicts: what a filter says of posts and comments.
//!
//! A verdict is about one item, so what was judged is not judged again before the rules or the
//! labels are others: of a store that grows, only what came is judged.

use std::collections::BTreeMap;

use kapsule_format::capsule::{Body, CapsuleId, kind};
use kapsule_format::cbor::{self, FromValue, Items, Value};
use kapsule_format::hash::sha256;
use kapsule_format::{DecodeError, Digest};

use super::feed::{ITEMS_MAX, Latest, capsule_id};
use super::{Asked, Desk, Input, Made, Seen, at, changes, next_change};
use crate::convert::rows::foreign;
use crate::convert::sms::{self, Verdict, Verdicts};
use crate::dispatch::Rule;
use crate::error::Failure;
use crate::gather::{self, Item};
use crate::judging::Question;
use crate::session::Session;

/// Keys of an input of `blocklist` and of a label in it.
const LABELS_KEY: u64 = 4;
const LABEL_CTS_KEY: u64 = 5;
const LABEL_EXP_KEY: u64 = 6;

/// What is kept of the view: outputs of the package as if it had run once over some of the items.
struct Output {
    /// Digest of what a verdict depends on besides its item and the basis of the view.
    labels: Digest,
    /// Over the items that are warned of or hidden.
    told: Vec<u8>,
    /// Over the others, which nobody reads who only looks at the feed.
    quiet: Vec<u8>,
}

/// Sees what a filter says of the latest posts and comments by the rules of the settings.
pub(super) fn see(desk: &mut Desk<'_>, latest: &Latest) -> Result<Seen, Failure> {
    let settings = desk.settings(kind::COMMENT)?;
    let rules = sms::rules_value(&settings)?;
    let labellers = sms::labellers(&rules);
    let asked = Asked {
        kind: kind::COMMENT,
        name: "filter",
        channel: latest.channel,
        reads: &[kind::POST, kind::COMMENT],
        reads_anywhere: if labellers.is_empty() { &[] } else { &[kind::TRUST] },
        viewer: None,
        parts: vec![sha256(&settings)],
    };
    desk.see(
        &asked,
        |desk| {
            let items = latest.open(desk)?;
            let mut labels = Vec::new();
            for labeller in &labellers {
                let (view, most) = (desk.store.view(), ITEMS_MAX as u64);
                labels.extend(view.latest(None, Some(labeller), kind::TRUST, most)?);
            }
            let labels = desk.items(&labels)?.items;
            Ok(Box::new(move |now_ms| {
                // Posts come first, and comments as far as there is room.
                let mut there = at(&items[..items.len().min(ITEMS_MAX)], now_ms);
                there.extend(at(&labels, now_ms));
                let times = there.iter().flat_map(label_times);
                let changes = changes(&items).chain(changes(&labels));
                let until_ms = next_change(now_ms, changes.chain(times));
                let input = gather::blocklist_input(&there, now_ms, rules.clone());
                Ok(Input { now_ms, bytes: cbor::encode(&input), until_ms })
            }))
        },
        |desk, session, rule, input| judge(desk, &asked, session, rule, input),
    )
}

/// Returns what an output of the view says; what it shows without a word is left out.
pub(super) fn told(output: Option<&[u8]>) -> Result<BTreeMap<CapsuleId, Verdict>, Failure> {
    let Some(output) = output else { return Ok(BTreeMap::new()) };
    let told = Verdict::decode(&Output::decode(output)?.told)?.into_iter();
    Ok(told.filter_map(|verdict| Some((capsule_id(&verdict.id)?, verdict))).collect())
}

/// Returns the times at which a label of an item begins or ends, if it has any.
fn label_times(item: &Item) -> impl Iterator<Item = u64> {
    let labels = match &item.body {
        Body::Trust(trust) => trust.labels.as_slice(),
        _ => &[],
    };
    labels.iter().flat_map(|label| {
        let expiry = label.expiry_ms;
        [label.created_ms, expiry, expiry.saturating_add(1)]
    })
}

/// Has the items judged that were not judged before, and adds what was.
fn judge(
    desk: &Desk<'_>,
    asked: &Asked<'_>,
    session: &Session<'_>,
    rule: &Rule,
    input: &Input,
) -> Result<Made, Failure> {
    let value = cbor::decode(&input.bytes).map_err(|error| foreign("input", &error))?;
    let mut question = Question::of(input.now_ms, value);
    let labels = labels_digest(&question);
    let mut known = known(desk, asked, rule, &labels)?;
    let ids: Vec<Vec<u8>> = question.items.iter().map(id).collect();
    question.items.retain(|item| !known.contains_key(&id(item)));
    let made = question.ask(&desk.context.ui, session, &rule.target.entry)?;
    let own = Verdicts::decode(&made.output)?.verdicts;
    known.extend(own.into_iter().map(|verdict| (id(&verdict), verdict)));
    let held = ids.iter().filter_map(|id| known.remove(id));
    let output = Output::of(labels, held)?.encode();
    Ok(Made { output, ..made })
}

/// Returns the verdicts that still hold, by the ids of their items.
fn known(
    desk: &Desk<'_>,
    asked: &Asked<'_>,
    rule: &Rule,
    labels: &Digest,
) -> Result<BTreeMap<Vec<u8>, Value>, Failure> {
    let Some(row) = desk.kept(asked, &desk.basis(asked, rule)?)? else {
        return Ok(BTreeMap::new());
    };
    let before = Output::decode(&desk.store.view().output(&row)?)?;
    if before.labels != *labels {
        return Ok(BTreeMap::new());
    }
    let [told, quiet] = [before.told, before.quiet].map(|output| Verdicts::decode(&output));
    let verdicts = told?.verdicts.into_iter().chain(quiet?.verdicts);
    Ok(verdicts.map(|verdict| (id(&verdict), verdict)).collect())
}

/// Returns the first element of an item or a verdict, which is the name of the item.
fn id(value: &Value) -> Vec<u8> {
    match value {
        Value::Array(parts) => parts.first().map(cbor::encode).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Returns a digest of the labels, and of which have begun and ended.
fn labels_digest(question: &Question) -> Digest {
    let labels = question.fields.iter().find(|(key, _)| *key == LABELS_KEY);
    let labels = match labels {
        Some((_, Value::Array(labels))) => labels.as_slice(),
        _ => &[],
    };
    let standing = labels.iter().map(|label| {
        let passed = [LABEL_CTS_KEY, LABEL_EXP_KEY].map(|key| passed(label, key, question.now_ms));
        Value::Array(vec![label.clone(), Value::array(passed)])
    });
    sha256(&cbor::encode(&Value::Array(standing.collect())))
}

/// Returns 0 where a time of a label is to come, 1 where it is now, and 2 where it is past.
fn passed(label: &Value, key: u64, now_ms: u64) -> u64 {
    let Value::Map(fields) = label else { return 0 };
    match fields.iter().find(|(found, _)| *found == key) {
        Some((_, Value::Uint(time_ms))) => match now_ms.cmp(time_ms) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        },
        _ => 0,
    }
}

impl Output {
    /// Sorts verdicts.
    fn of(labels: Digest, verdicts: impl Iterator<Item = Value>) -> Result<Self, Failure> {
        let (mut told, mut quiet) = (Verdicts::default(), Verdicts::default());
        for value in verdicts {
            match Verdict::of(value.clone())?.action {
                0 => quiet.verdicts.push(value),
                _ => told.verdicts.push(value),
            }
        }
        Ok(Self { labels, told: told.encode(), quiet: quiet.encode() })
    }

    fn encode(self) -> Vec<u8> {
        let labels = self.labels.as_bytes().to_vec();
        cbor::encode(&Value::array([labels, self.told, self.quiet]))
    }

    fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let value = cbor::decode(bytes).and_then(Self::from_value);
        value.map_err(|error| foreign("filter", &error))
    }
}

impl FromValue for Output {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "kept verdicts", 3..=3)?;
        let (labels, told, quiet) = (items.required()?, items.required()?, items.required()?);
        items.finish().map(|()| Self { labels, told, quiet })
    }
}
