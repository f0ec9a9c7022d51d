//! Group `container`: decodes `bytes` and prints kind, number of entries and length.

use kapsule_format::container::Container;

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let bytes = case.bytes("bytes");
    let container = Container::decode(&bytes)?;
    let entries = container.entries();
    Ok(format!("{}, {} entries, {} bytes", container.kind(), entries.len(), bytes.len()))
}
