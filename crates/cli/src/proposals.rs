//! What agents want done: the form in which it is kept, and words for it.

use kapsule_engine::{Act, Proposal};
use kapsule_format::cbor::{self, Value};
use kapsule_format::hash::Digest;
use kapsule_store::{ProposalRow, StoreError};
use serde_json::json;

use crate::error::Failure;
use crate::text::{cut, plain};

/// Widest text in characters of what a proposal is about.
const WIDTH: usize = 60;

/// Returns the bytes that the hostcall `propose` takes.
pub(crate) fn encode(proposal: &Proposal) -> Vec<u8> {
    let hash = |digest: &Digest| Value::from(digest.as_bytes().to_vec());
    let cost = |act: u64| vec![(0, act.into()), (1, proposal.cost.into())];
    cbor::encode(&Value::Map(match &proposal.act {
        Act::Publish { kind, channel, parents, flags, body } => {
            let mut fields = cost(0);
            fields.push((2, kind.as_str().into()));
            fields.extend(channel.iter().map(|channel| (3, hash(channel))));
            fields.push((4, Value::Array(parents.iter().map(hash).collect())));
            fields.push((5, Value::array(flags.iter().map(String::as_str))));
            fields.push((6, body.clone().into()));
            fields
        }
        Act::Run { package, entry, input } => {
            let mut fields = cost(1);
            fields.push((2, hash(package.digest())));
            fields.push((3, entry.as_str().into()));
            fields.push((4, input.clone().into()));
            fields
        }
        Act::Notify { text } => {
            let mut fields = cost(2);
            fields.push((2, text.as_str().into()));
            fields
        }
    }))
}

/// Reads what the store keeps.
pub(crate) fn decode(row: &ProposalRow) -> Result<Proposal, Failure> {
    Proposal::decode(&row.body).map_err(|error| {
        let detail = format!("proposal {} is no proposal: {error:?}", row.number);
        let code = kapsule_abi::ErrorCode::StoreCorrupt;
        Failure::from(StoreError::from(kapsule_format::DecodeError::new(code, detail)))
    })
}

/// Says in a line what a proposal is about.
pub(crate) fn about(act: &Act) -> String {
    match act {
        Act::Publish { kind, body, .. } => {
            let text = String::from_utf8_lossy(body);
            format!("a {} saying {:?}", plain(kind), cut(&plain(&text), WIDTH))
        }
        Act::Run { package, entry, input } => {
            let package = &package.to_string()[..16];
            format!("{} of {package} on {} bytes", plain(entry), input.len())
        }
        Act::Notify { text } => cut(&plain(text), WIDTH),
    }
}

/// Returns a proposal as data.
pub(crate) fn to_json(row: &ProposalRow, proposal: &Proposal) -> serde_json::Value {
    let mut object = json!({
        "schema": "kapsule/proposal/1",
        "number": row.number,
        "act": proposal.act.name(),
        "cost": proposal.cost.to_string(),
        "decision": row.decision,
    });
    match &proposal.act {
        Act::Publish { kind, channel, parents, flags, body } => {
            object["kind"] = kind.as_str().into();
            object["channel"] = channel.map(|channel| channel.to_string()).into();
            object["parents"] = parents.iter().map(Digest::to_string).collect();
            object["flags"] = flags.as_slice().into();
            object["body"] = String::from_utf8_lossy(body).into();
        }
        Act::Run { package, entry, input } => {
            object["package"] = package.to_string().into();
            object["entry"] = entry.as_str().into();
            object["input_hex"] = kapsule_format::hash::encode_hex(input).into();
        }
        Act::Notify { text } => object["text"] = text.as_str().into(),
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use kapsule_format::package::PackageId;

    #[test]
    fn what_is_kept_is_what_was_proposed() {
        let hash = Digest::new([7; 32]);
        for act in [
            Act::Publish {
                kind: "post".into(),
                channel: Some(hash),
                parents: vec![hash],
                flags: vec!["topic:x".into()],
                body: b"hello".to_vec(),
            },
            Act::Publish {
                kind: "post".into(),
                channel: None,
                parents: Vec::new(),
                flags: Vec::new(),
                body: Vec::new(),
            },
            Act::Run { package: PackageId::new(hash), entry: "run".into(), input: vec![1] },
            Act::Notify { text: "hello".into() },
        ] {
            let proposal = Proposal { cost: 3, act };
            assert_eq!(Proposal::decode(&encode(&proposal)), Ok(proposal));
        }
    }
}
