//! Group `fork`: verifies `bytes`, writes the sides together again, and prints the fork.

use kapsule_format::capsule::fork::Fork;
use kapsule_format::snapshot::Snapshot;

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let fork = Fork::verify(&bytes)?;
    let snapshot = Snapshot::decode(&bytes)?;
    let sides = || snapshot.capsules().values().copied();
    assert_eq!(Fork::write(fork.channel, sides(), true).unwrap(), bytes, "one form");
    let headers = Fork::write(fork.channel, sides(), false).unwrap();
    assert_eq!(Fork::verify(&headers).unwrap(), fork, "payloads prove nothing");
    assert!(Fork::write(fork.channel, sides().take(1), false).is_err());
    let Fork { channel, author, seq, sides } = fork;
    Ok(format!("fork of {author} in {channel}, seq {seq}, {} sides", sides.len()))
}
