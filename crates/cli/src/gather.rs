//! From opened capsules to the inputs of the standard modules.
//!
//! What a module is told of a capsule is here and nowhere else: names are capsule ids and identity
//! ids, times are what authors claim, and a body of another kind than the module is about is
//! passed over.
//!
//! # Spec
//! `spec/capsule.md`, section "What modules are given"; the inputs are those of the READMEs of
//! `modules/`.

use std::collections::BTreeMap;

use kapsule_format::DecodeError;
use kapsule_format::capsule::{Body, Capsule, CapsuleId, Edge, Label, Transfer};
use kapsule_format::cbor::{self, Value};
use kapsule_format::key::IdentityId;
use kapsule_format::manifest::Amount;

use crate::convert::{Name, VERSION, hn, sms};

/// Amounts of a capsule are counts of 10^-18 units, those of `transfer` of 10^-6.
const LEDGER_STEP: u128 = 1_000_000_000_000;
/// Greatest amount that `transfer` takes.
const AMOUNT_MAX: u128 = (1 << 53) - 1;
/// Greatest length of a label value that `blocklist` takes, in bytes.
const LABEL_BYTES_MAX: usize = 128;

/// A capsule that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Which one.
    pub(crate) id: CapsuleId,
    /// Who signed it.
    pub(crate) author: IdentityId,
    /// Claimed time in milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// Time after which nobody wants it to be read.
    pub(crate) expiry_ms: Option<u64>,
    /// Kind, which a body of an unknown one does not tell.
    pub(crate) kind: String,
    /// Flags.
    pub(crate) flags: Vec<String>,
    /// What it says.
    pub(crate) body: Body,
}

impl Item {
    /// Takes what modules are told out of a capsule that was opened.
    pub(crate) fn of(capsule: &Capsule<'_>, body: Body) -> Self {
        let meta = capsule.meta();
        Self {
            id: capsule.id(),
            author: meta.author.id(),
            time_ms: meta.time_ms,
            expiry_ms: meta.expiry_ms,
            kind: meta.kind.clone(),
            flags: meta.flags.clone(),
            body,
        }
    }
}

/// Returns the input of `rank`: the posts, each with the number of comments on it.
///
/// Nobody can count points here, since a capsule has one author; engagement is comments. The first
/// posts are taken whose rows have at most `bytes_max` bytes together.
pub(crate) fn rank_input(
    items: &[Item],
    now_ms: u64,
    trust: Option<Value>,
    bytes_max: usize,
) -> Value {
    let mut comments: BTreeMap<CapsuleId, u64> = BTreeMap::new();
    for item in items {
        if let Body::Comment(comment) = &item.body {
            *comments.entry(comment.target).or_default() += 1;
        }
    }
    let none = || Value::Array(Vec::new());
    let posts = items.iter().filter_map(|item| {
        let Body::Post(post) = &item.body else { return None };
        let domain = domains(&post.text).into_iter().next().unwrap_or_default();
        let commented = comments.get(&item.id).copied().unwrap_or(0);
        Some(Value::Array(vec![
            id(item),
            author(item),
            domain.into(),
            0_u64.into(),
            commented.into(),
            item.time_ms.into(),
            Value::array(item.flags.iter().map(String::as_str)),
            none(),
        ]))
    });
    let mut left = bytes_max;
    let fits = |post: &Value| match left.checked_sub(cbor::encode(post).len()) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let posts = Value::Array(posts.take_while(fits).collect());
    let mut input = vec![(0, VERSION.into()), (1, now_ms.into()), (2, posts)];
    input.extend(trust.map(|trust| (3, trust)));
    Value::Map(input)
}

/// Returns the input of `blocklist`: posts and comments to judge, and the labels of those whom the
/// rules name, since nobody else's count.
pub(crate) fn blocklist_input(items: &[Item], now_ms: u64, rules: Value) -> Value {
    let judged = items.iter().filter_map(|item| {
        let text = match &item.body {
            Body::Post(post) => &post.text,
            Body::Comment(comment) => &comment.text,
            _ => return None,
        };
        let domains = Value::array(domains(text).iter().map(String::as_str));
        Some(Value::Array(vec![id(item), author(item), text.as_str().into(), domains]))
    });
    let labellers = sms::labellers(&rules);
    let labels = items.iter().filter(|item| labellers.contains(&item.author)).flat_map(|item| {
        let labels = match &item.body {
            Body::Trust(trust) => trust.labels.as_slice(),
            _ => &[],
        };
        let known = labels.iter().filter(|label| is_label_value(&label.value));
        known.map(|label| label_value(item, label))
    });
    Value::Map(vec![
        (0, VERSION.into()),
        (1, now_ms.into()),
        (2, rules),
        (3, Value::Array(judged.collect())),
        (4, Value::Array(labels.collect())),
    ])
}

/// Returns the input of `trust`: every edge that has not expired, with its author as its source.
pub(crate) fn trust_input(items: &[Item], viewer: IdentityId, now_ms: u64) -> Value {
    let statements = items.iter().flat_map(|item| {
        let edges = match &item.body {
            Body::Trust(trust) => trust.edges.as_slice(),
            _ => &[],
        };
        edges.iter().filter(move |edge| holds(edge, now_ms)).map(|edge| {
            Value::Array(vec![
                author(item),
                name(edge.about),
                edge.weight_ppm.into(),
                edge.blocked.into(),
                item.time_ms.into(),
            ])
        })
    });
    Value::Map(vec![
        (0, VERSION.into()),
        (1, name(viewer)),
        (2, Value::Array(statements.collect())),
    ])
}

/// Tells whether an edge has not expired.
pub(crate) fn holds(edge: &Edge, now_ms: u64) -> bool {
    edge.expiry_ms == 0 || now_ms <= edge.expiry_ms
}

/// A transfer that `transfer` cannot be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// Capsule.
    pub(crate) id: CapsuleId,
    /// Place of the transfer in it.
    pub(crate) index: usize,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Returns the input of `transfer` over accounts in its own form, which capsule and place each of
/// its verdicts is about, and the transfers that have no place in it.
pub(crate) fn transfer_input(
    items: &[Item],
    accounts: Value,
) -> (Value, Vec<(CapsuleId, usize)>, Vec<Unfit>) {
    let (mut transactions, mut places, mut unfit) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        let Body::Ledger(ledger) = &item.body else { continue };
        for (index, transfer) in ledger.transfers.iter().enumerate() {
            match transaction(item, &ledger.asset, transfer) {
                Ok(value) => {
                    transactions.push(value);
                    places.push((item.id, index));
                }
                Err(reason) => unfit.push(Unfit { id: item.id, index, reason }),
            }
        }
    }
    let input = Value::Map(vec![(0, VERSION.into()), (1, accounts), (2, transactions.into())]);
    (input, places, unfit)
}

/// Returns the events that `agent_logic` is told of, in the order of the capsules.
pub(crate) fn agent_events(items: &[Item]) -> Value {
    let event = |item: &Item| {
        let flags = Value::array(item.flags.iter().map(String::as_str));
        let fields = match &item.body {
            Body::Post(post) => vec![("bytes", post.text.len() as u64)],
            Body::Comment(comment) => vec![("bytes", comment.text.len() as u64)],
            Body::Trust(trust) => vec![("edges", trust.edges.len() as u64)],
            Body::Ledger(ledger) => vec![("transfers", ledger.transfers.len() as u64)],
            _ => Vec::new(),
        };
        let field = |(name, value): (&str, u64)| Value::Array(vec![name.into(), value.into()]);
        let fields = Value::Array(fields.into_iter().map(field).collect());
        Value::Array(vec![item.kind.as_str().into(), author(item), flags, fields])
    };
    Value::Array(items.iter().map(event).collect())
}

/// Only who signed the capsule has agreed to it, so a payment from another account is found out by
/// the module.
fn transaction(item: &Item, asset: &str, transfer: &Transfer) -> Result<Value, String> {
    let amount = transfer.amount / LEDGER_STEP;
    if !transfer.amount.is_multiple_of(LEDGER_STEP) {
        let amount = Amount::new(transfer.amount);
        return Err(format!("{amount} is no multiple of 0.000001, the smallest amount"));
    }
    if !(1..=AMOUNT_MAX).contains(&amount) {
        return Err(format!("{amount} millionths are outside of 1 to {AMOUNT_MAX}"));
    }
    if transfer.nonce == 0 {
        return Err("the nonce is 0, the first one is 1".to_owned());
    }
    // As tables name them, so that what an account first holds is of the same asset.
    let asset = asset.parse::<Name>().map_err(|error| format!("the asset: {error}"))?;
    // In range, as was just looked at.
    let amount = u64::try_from(amount).unwrap_or(u64::MAX);
    let posting = |account, side: u64| {
        Value::Array(vec![name(account), (&asset).into(), side.into(), amount.into()])
    };
    let authors = vec![Value::Array(vec![author(item), transfer.nonce.into()])];
    let postings = vec![posting(transfer.from, 0), posting(transfer.to, 1)];
    Ok(Value::Array(vec![authors.into(), postings.into()]))
}

fn label_value(item: &Item, label: &Label) -> Value {
    let mut fields = vec![
        (0, VERSION.into()),
        (1, author(item)),
        (2, name(label.about)),
        (3, label.value.as_str().into()),
    ];
    fields.extend(label.negated.then(|| (4, true.into())));
    fields.push((5, label.created_ms.into()));
    fields.extend((label.expiry_ms != 0).then(|| (6, label.expiry_ms.into())));
    Value::Map(fields)
}

/// Tells whether the modules take a text as the value of a label.
fn is_label_value(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(plain);
    let name = text.strip_prefix('!').unwrap_or(text);
    text.len() <= LABEL_BYTES_MAX && name.split('-').all(is_part)
}

fn name(identity: IdentityId) -> Value {
    identity.digest().as_bytes().to_vec().into()
}

fn author(item: &Item) -> Value {
    name(item.author)
}

fn id(item: &Item) -> Value {
    item.id.digest().as_bytes().to_vec().into()
}

/// Returns what a module that is no standard module is given: one capsule.
///
/// `[id, author, time_ms, kind, flags, body]`, the body in its own bytes.
pub(crate) fn capsule_input(item: &Item) -> Result<Vec<u8>, DecodeError> {
    let body = item.body.encode()?;
    let flags = Value::array(item.flags.iter().map(String::as_str));
    let kind = item.kind.as_str().into();
    let fields =
        vec![id(item), author(item), item.time_ms.into(), kind, flags, body.to_vec().into()];
    Ok(cbor::encode(&Value::Array(fields)))
}

/// Returns the hosts of the web addresses in a text, each once, in their order.
fn domains(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let host = hn::domain(word.trim_matches(['(', ')', '<', '>', '"', ',']));
        // What is no domain to the modules is text and nothing else.
        if let Ok(host) = host
            && is_domain(&host)
            && !found.contains(&host)
        {
            found.push(host);
        }
    }
    found
}

/// Tells whether the modules take a host as a domain.
fn is_domain(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    host.split('.').all(|label| !label.is_empty() && label.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kapsule_format::capsule::{Comment, Ledger, Post, TrustBody};
    use kapsule_format::hash::Digest;

    fn identity(byte: u8) -> IdentityId {
        IdentityId::new(Digest::new([byte; 32]))
    }

    fn item(byte: u8, body: Body) -> Item {
        Item {
            id: CapsuleId::new(Digest::new([byte; 32])),
            author: identity(0xa0 + byte),
            time_ms: 1_000 + u64::from(byte),
            expiry_ms: None,
            kind: "any".into(),
            flags: vec!["flagged".into()],
            body,
        }
    }

    fn list(input: &Value, key: u64) -> &[Value] {
        let Value::Map(fields) = input else { panic!("an input is a map") };
        match fields.iter().find(|(found, _)| *found == key) {
            Some((_, Value::Array(list))) => list,
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn posts_are_ranked_with_their_comments_and_first_domain() {
        let post = item(1, Body::Post(Post::plain("see (https://www.Example.org/a), or x://y.z")));
        let comment = item(2, Body::Comment(Comment::on(post.id, "so")));
        let input = rank_input(&[post, comment.clone(), comment], 5_000, None, usize::MAX);
        let expect = Value::Array(vec![
            vec![1; 32].into(),
            vec![0xa1; 32].into(),
            "example.org".into(),
            0_u64.into(),
            2_u64.into(),
            1_001_u64.into(),
            Value::array(["flagged"]),
            Value::Array(Vec::new()),
        ]);
        assert_eq!(list(&input, 2), [expect]);
    }

    #[test]
    fn posts_are_left_out_from_the_first_that_has_no_room() {
        let post = |byte, text: &str| item(byte, Body::Post(Post::plain(text)));
        let posts = [post(1, "a"), post(2, "b"), post(3, "http://long.example"), post(4, "d")];
        let taken = |bytes_max| list(&rank_input(&posts, 9, None, bytes_max), 2).len();
        let row = |post: &Item| {
            let input = rank_input(std::slice::from_ref(post), 9, None, usize::MAX);
            cbor::encode(&list(&input, 2)[0]).len()
        };
        let bytes = row(&posts[0]) + row(&posts[1]);
        assert_eq!([taken(bytes - 1), taken(bytes), taken(bytes + row(&posts[3]))], [1, 2, 2]);
        assert_eq!(taken(usize::MAX), 4);
    }

    #[test]
    fn only_hosts_that_modules_take_are_domains() {
        for (text, expect) in [
            ("http://a.org http://a.org/x,http://b.org", &["a.org"][..]),
            ("<https://a-b.example>", &["a-b.example"]),
            ("http://a_b.org http://..org http:// plain.org", &[]),
        ] {
            assert_eq!(domains(text), expect, "{text}");
        }
    }

    #[test]
    fn values_of_labels_have_the_form_of_the_module() {
        let long = "a".repeat(LABEL_BYTES_MAX);
        for (text, expect) in [
            ("spam", true),
            ("!no-warn", true),
            (&long, true),
            (&format!("{long}a"), false),
            ("", false),
            ("!", false),
            ("a--b", false),
            ("Spam", false),
            ("a b", false),
        ] {
            assert_eq!(is_label_value(text), expect, "{text:?}");
        }
    }

    #[test]
    fn only_labels_of_labellers_are_given() {
        let label = Label {
            about: identity(1),
            value: "spam".into(),
            negated: false,
            created_ms: 5,
            expiry_ms: 0,
        };
        let said = |byte| {
            let other = Label { value: "No Form".into(), ..label.clone() };
            let labels = vec![other, label.clone()];
            item(byte, Body::Trust(TrustBody { labels, ..TrustBody::default() }))
        };
        let row = vec![name(identity(0xa3)), 7_u64.into()];
        let rules = Value::Map(vec![(4, Value::Array(vec![Value::Array(row)]))]);
        let input = blocklist_input(&[said(2), said(3)], 9, rules);
        assert_eq!(list(&input, 4), [label_value(&said(3), &label)]);
    }

    #[test]
    fn transfers_that_have_no_form_are_told_apart() {
        let transfer =
            |amount, nonce| Transfer { from: identity(0xa1), to: identity(9), amount, nonce };
        let transfers = vec![
            transfer(2 * LEDGER_STEP, 1),
            transfer(1, 1),
            transfer(0, 1),
            transfer((AMOUNT_MAX + 1) * LEDGER_STEP, 1),
            transfer(LEDGER_STEP, 0),
            transfer(AMOUNT_MAX * LEDGER_STEP, 2),
        ];
        let with = |asset: &str| {
            let (asset, transfers) = (asset.into(), transfers.clone());
            let item = item(1, Body::Ledger(Ledger { asset, transfers, extensions: Vec::new() }));
            transfer_input(std::slice::from_ref(&item), Value::Array(Vec::new()))
        };
        let (input, places, unfit) = with("eur");
        assert_eq!(list(&input, 2).len(), 2);
        let id = CapsuleId::new(Digest::new([1; 32]));
        assert_eq!(places, [(id, 0), (id, 5)]);
        assert_eq!(unfit.iter().map(|unfit| unfit.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
        for asset in ["", &"x".repeat(65)] {
            let (input, places, unfit) = with(asset);
            assert_eq!((list(&input, 2).len(), places.len(), unfit.len()), (0, 0, 6), "{asset}");
            assert!(unfit[0].reason.contains("the asset: a name has 1 to 64 bytes"));
        }
    }

    #[test]
    fn expired_edges_are_left_out() {
        let edge = |about, expiry_ms| Edge {
            about: identity(about),
            weight_ppm: 1,
            blocked: false,
            expiry_ms,
        };
        let edges = vec![edge(1, 0), edge(2, 99), edge(3, 100)];
        let body = Body::Trust(TrustBody { edges, ..TrustBody::default() });
        let input = trust_input(&[item(7, body)], identity(1), 100);
        assert_eq!(list(&input, 2).len(), 2);
    }
}
