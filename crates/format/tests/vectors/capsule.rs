//! Group `capsule`: makes every check of `bytes` in the decode order and prints the ids.
//!
//! `keyring`, `parents` and `rivals` name accepted cases that the reader holds, `now_ms` is its
//! time, and `identity` opens the payload; without any of them that step is left out.

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Capsule, CapsuleId, Finding, Held, KeyringAt, Surroundings, standing,
};
use kapsule_format::encrypt::Identities;

use super::{Case, Verdict, spec_folder};

fn neighbour(name: &str) -> Vec<u8> {
    let path = spec_folder().join(format!("vectors/capsule/accept/{name}.bin"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn held(name: &str) -> Held {
    let bytes = neighbour(name);
    let capsule = Capsule::decode(&bytes).unwrap();
    let meta = capsule.meta();
    let (channel, author) = (meta.channel_id(), meta.author.id());
    Held { id: capsule.id(), channel, author, seq: meta.seq }
}

/// Judges where the capsule stands, as far as the case says what the reader holds.
fn check_standing(case: &Case, capsule: &Capsule<'_>) -> Result<(), DecodeError> {
    let names = |member| case.find(member).map(|_| case.texts(member)).unwrap_or_default();
    let keyring = case.find("keyring").map(|_| {
        let bytes = neighbour(case.text("keyring"));
        let found = Capsule::decode(&bytes).unwrap();
        KeyringAt { id: found.id(), keyring: found.meta().keyring.clone().unwrap() }
    });
    let parents: Vec<Held> = names("parents").into_iter().map(held).collect();
    let rivals: Vec<CapsuleId> = names("rivals").into_iter().map(|name| held(name).id).collect();
    let owners = keyring.iter().flat_map(|at| &at.keyring.owners);
    let signatures = capsule.signatures(owners.flat_map(|owner| owner.keys()));
    let around = Surroundings {
        keyring: keyring.as_ref(),
        parents: &parents,
        rivals: &rivals,
        identities: &[],
        now_ms: case.find("now_ms").map(|_| case.uint("now_ms")),
    };
    let found = standing(capsule.meta(), &signatures, &around);
    if let Some(error) = found.refusal() {
        return Err(error.clone());
    }
    if let Finding::NotDone(error) = found.fork {
        return Err(error);
    }
    let waits = keyring.is_some().then_some(found.ancestors);
    match waits {
        Some(Finding::NotDone(error)) => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let capsule = Capsule::decode(&bytes)?;
    let meta = capsule.meta();
    assert_eq!(meta.encode(), capsule.container().index(), "metadata have one form");
    capsule.check_bound()?;
    meta.check_facts()?;
    let signatures = capsule.signatures([]);
    let wrong = [&signatures.statement, &signatures.signature].into_iter().flatten().next();
    wrong.map_or(Ok(()), |error| Err(error.clone()))?;
    signatures.check_own(&meta.author)?;
    capsule.check_links()?;
    check_standing(case, &capsule)?;
    if case.find("identity").is_some() {
        let identities = Identities::decode(case.text("identity")).unwrap();
        let opened = capsule.open(&identities).inspect_err(|error| {
            assert_eq!(error.detail, kapsule_format::capsule::OPEN_REFUSED);
        })?;
        assert_eq!(opened.body.encode().unwrap(), opened.bytes, "a body has one form");
        assert_ne!(opened.bytes.len(), 0, "a sample says something");
    }
    if capsule.payload().is_none() {
        let absent: Vec<&str> = capsule.absent().collect();
        assert_eq!(absent, ["payload.age"]);
        let error = capsule.open(&Identities::default()).unwrap_err();
        assert_eq!(error.code, ErrorCode::EntryAbsent);
    }
    let (channel, binding) = (meta.channel_id(), meta.binding());
    let (id, kind, seq) = (capsule.id(), &meta.kind, meta.seq);
    Ok(format!("capsule {id}, channel {channel}, {kind} {seq}, binding {binding}"))
}
