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
use kapsule_format::capsule::{Body, Capsule, CapsuleId, Edge, Label};
use kapsule_format::cbor::{self, Value};
use kapsule_format::key::IdentityId;

use crate::convert::{VERSION, hn};

/// A capsule that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Which one.
    pub(crate) id: CapsuleId,
    /// Who signed it.
    pub(crate) author: IdentityId,
    /// Claimed time in milliseconds since 1970.
    pub(crate) time_ms: u64,
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
            kind: meta.kind.clone(),
            flags: meta.flags.clone(),
            body,
        }
    }
}

/// Returns the input of `rank`: the posts, each with the number of comments on it.
///
/// Nobody can count points here, since a capsule has one author; engagement is comments.
pub(crate) fn rank_input(items: &[Item], now_ms: u64, trust: Option<Value>) -> Value {
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
    let mut input =
        vec![(0, VERSION.into()), (1, now_ms.into()), (2, Value::Array(posts.collect()))];
    input.extend(trust.map(|trust| (3, trust)));
    Value::Map(input)
}

/// Returns the input of `blocklist`: posts and comments to judge, and the labels of everybody.
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
    let labels = items.iter().flat_map(|item| {
        let labels = match &item.body {
            Body::Trust(trust) => trust.labels.as_slice(),
            _ => &[],
        };
        labels.iter().map(|label| label_value(item, label))
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
        let holds = move |edge: &&Edge| edge.expiry_ms == 0 || now_ms <= edge.expiry_ms;
        edges.iter().filter(holds).map(|edge| {
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
    use kapsule_format::capsule::{Comment, Post, TrustBody};
    use kapsule_format::hash::Digest;

    fn identity(byte: u8) -> IdentityId {
        IdentityId::new(Digest::new([byte; 32]))
    }

    fn item(byte: u8, body: Body) -> Item {
        Item {
            id: CapsuleId::new(Digest::new([byte; 32])),
            author: identity(0xa0 + byte),
            time_ms: 1_000 + u64::from(byte),
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
        let input = rank_input(&[post, comment.clone(), comment], 5_000, None);
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
