//! Group `transcript`: decodes `bytes` and prints the number of entries, root, head and outcome.

use kapsule_format::transcript::{Transcript, ZERO_HEAD, next_head, root};

use super::package::check_detail;
use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    check_detail(case, open(&case.bytes("bytes")))
}

fn open(bytes: &[u8]) -> Verdict {
    let transcript = Transcript::decode(bytes)?;
    assert_eq!(transcript.encode().unwrap(), bytes);
    let entries = &transcript.entries;
    let leaves = entries.iter().zip(0..).map(|(entry, seq)| entry.leaf(seq, None));
    let head = leaves.fold(ZERO_HEAD, |head, leaf| next_head(&head, &leaf));
    let (count, outcome) = (entries.len(), transcript.end.outcome);
    Ok(format!("{count} entries, root {}, head {head}, {outcome}", root(entries, None)))
}
